"""What a recogniser is: a model that sessions share, and the state of one utterance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from aec_core.types import Samples


class RecognizerError(RuntimeError):
    """A recogniser cannot be loaded, or cannot do what it is asked for."""


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
        """Take the last samples `(n,)`, possibly none, and return the final text."""
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
