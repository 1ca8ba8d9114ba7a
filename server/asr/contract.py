"""What a recogniser is: a model that sessions share, and the state of one utterance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar, runtime_checkable

from aec_core.types import Samples


class RecognizerError(RuntimeError):
    """A recogniser cannot be loaded, or cannot do what it is asked for."""


class RecognizerLost(RecognizerError):
    """The process of a recogniser ended, and the utterance with it."""


class RecognizerAway(RecognizerError):
    """A recogniser is not there at the moment; what it was asked for may wait, and be asked again."""


@dataclass(frozen=True, slots=True)
class Word:
    """A word and where it lies, in samples at 16 kHz from the start of the utterance."""

    word: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Transcript:
    """The final text of an utterance; `words` is empty where the backend has no times."""

    text: str
    words: tuple[Word, ...] = ()


class Utterance(Protocol):
    """State of one utterance of one session; used by one thread at a time."""

    def feed(self, audio: Samples) -> str:
        """Take the next samples `(n,)` at 16 kHz and return the whole text so far."""
        ...

    def finish(self, tail: Samples) -> Transcript:
        """Take the last samples `(n,)`, possibly none, and return the final text.

        Raises:
            RecognizerAway: If it has to be asked for again; it has the samples then.
        """
        ...


class Recognizer(Protocol):
    """A loaded model.

    Attributes:
        name: For people, such as "whisper tiny.en int8".
        streaming: Text comes chunk by chunk; otherwise partials are decoded anew each time.
    """

    @property
    def name(self) -> str: ...

    @property
    def streaming(self) -> bool: ...

    def open(self, language: str | None, hotwords: Sequence[str]) -> Utterance:
        """Begin an utterance.

        Args:
            language: ISO-639-1 code, or None for what the model prefers.
            hotwords: Words that are likely; a backend may ignore them.

        Raises:
            RecognizerError: If the model does not know the language.
        """
        ...


UtteranceT = TypeVar("UtteranceT", bound=Utterance, contravariant=True)


@runtime_checkable
class BatchRecognizer(Protocol[UtteranceT]):
    """A recogniser that writes the final texts of several utterances at a time.

    Attributes:
        batch: How many it takes.
    """

    @property
    def batch(self) -> int: ...

    def finish_together(self, ends: Sequence[tuple[UtteranceT, Samples]]) -> list[Transcript | Exception]:
        """Take the last samples of each utterance; return what becomes of each, in order."""
        ...


@runtime_checkable
class ParallelRecognizer(Protocol):
    """A recogniser whose utterances need not wait for each other: each is asked for by a thread of its own.

    Attributes:
        parallel: How many at a time.
    """

    @property
    def parallel(self) -> int: ...


@runtime_checkable
class Restarting(Protocol):
    """A recogniser whose process may end and be started again.

    Attributes:
        on_restart: Called when it is there again.
    """

    on_restart: Callable[[], None]


@runtime_checkable
class Closable(Protocol):
    """A model that holds more than memory."""

    def close(self) -> None:
        """Let go of it; what it was doing is lost."""
        ...
