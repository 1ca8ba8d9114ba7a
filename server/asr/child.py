"""The other side of `process.py`: a recogniser in a process of its own, answering one call at a time."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Protocol

from aec_core.types import Samples
from server.asr.contract import BatchRecognizer, Recognizer, RecognizerError, Transcript, Utterance

logger = logging.getLogger(__name__)


class Models(Protocol):
    """What a recogniser is loaded from; it is pickled on its way here."""

    @property
    def name(self) -> str:
        """For people."""
        ...

    def load(self) -> Recognizer:
        """Load it.

        Raises:
            RecognizerError: If that cannot be.
        """
        ...


@dataclass(frozen=True, slots=True)
class Ready:
    """The recogniser is loaded: what it says of itself."""

    name: str
    streaming: bool
    batch: int


@dataclass(frozen=True, slots=True)
class Call:
    """A method of `Desk` with its arguments, and the utterances that nobody holds any more."""

    method: str
    arguments: tuple[Any, ...]
    forgotten: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Fault:
    """A call failed; `refused` if the recogniser cannot do what it was asked for."""

    message: str
    refused: bool = False

    def error(self) -> Exception:
        """Return it as an exception."""
        return RecognizerError(self.message) if self.refused else RuntimeError(self.message)

    @classmethod
    def of(cls, error: Exception) -> Fault:
        """Keep of an exception what can be sent: models raise what only they can unpickle."""
        if isinstance(error, RecognizerError):
            return cls(str(error), refused=True)
        return cls(f"{type(error).__name__}: {error}")


class Desk:
    """The utterances of a recogniser, by number."""

    def __init__(self, recognizer: Recognizer) -> None:
        self._recognizer = recognizer
        self._utterances: dict[int, Utterance] = {}

    def open(self, number: int, language: str | None, hotwords: Sequence[str]) -> None:
        """Begin an utterance."""
        self._utterances[number] = self._recognizer.open(language, hotwords)

    def feed(self, number: int, audio: Samples) -> str:
        """Give samples `(n,)` to an utterance and return its text."""
        return self._utterances[number].feed(audio)

    def finish(self, ends: Sequence[tuple[int, Samples]]) -> list[Transcript | Fault]:
        """Complete utterances and forget them."""
        utterances = [(self._utterances.pop(number), tail) for number, tail in ends]
        if isinstance(self._recognizer, BatchRecognizer):
            outcomes = self._recognizer.finish_together(utterances)
            return [Fault.of(one) if isinstance(one, Exception) else one for one in outcomes]
        return [utterance.finish(tail) for utterance, tail in utterances]

    def answer(self, call: Call) -> Any:
        """Do what a call asks for; what goes wrong is an answer too."""
        for number in call.forgotten:
            self._utterances.pop(number, None)
        try:
            return getattr(self, call.method)(*call.arguments)
        except Exception as error:
            if not isinstance(error, RecognizerError):
                logger.exception("%s failed", self._recognizer.name)
            return Fault.of(error)


def run(pipe: Connection, models: Models) -> None:
    """Load the models, say how that went, and answer calls until the other side hangs up."""
    # Ctrl-C reaches the whole group; only the parent knows what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(os, "nice"):
        os.nice(5)  # never at the cost of audio
    with contextlib.suppress(EOFError, OSError):  # the parent is gone, and with it every reason to stay
        desk = _open_desk(pipe, models)
        while desk is not None:
            call: Call = pipe.recv()
            pipe.send(desk.answer(call))


def _open_desk(pipe: Connection, models: Models) -> Desk | None:
    logging.basicConfig(level=logging.WARNING, format="asr: %(levelname)s %(name)s: %(message)s")
    logging.disable(logging.WARNING)  # funasr talks a lot while it loads; what matters it raises
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            recognizer = models.load()
    except Exception as error:
        pipe.send(Fault.of(error))
        return None
    finally:
        logging.disable(logging.NOTSET)
    batch = recognizer.batch if isinstance(recognizer, BatchRecognizer) else 1
    pipe.send(Ready(recognizer.name, recognizer.streaming, batch))
    return Desk(recognizer)
