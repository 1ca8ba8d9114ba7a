"""The turn model and the recogniser without their threads: an answer is there before the next hop."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future

import numpy as np

from aec_core.types import Samples
from server.asr import Recognition, RecognitionService, Recognizer, Transcript, Utterance
from server.turn import TurnModel


class AwaitedTurns:
    """Turn model whose decisions do not depend on how busy a machine is."""

    def __init__(self, model: TurnModel) -> None:
        self._model = model

    def submit(self, audio: Samples) -> Future[float]:
        """Return a future that is done."""
        future: Future[float] = Future()
        future.set_result(self._model.predict(audio))
        return future


class AwaitedRecognition(RecognitionService):
    """Recogniser that answers in the call that gives it audio: as fast as real time, in effect."""

    def wake(self, recognition: Recognition) -> None:
        """Do at once what the worker would do."""
        recognition.advance(self.recognizer)


class FinalOnly:
    """A recogniser that is asked for the final text alone, which costs a quarter."""

    streaming = False

    def __init__(self, recognizer: Recognizer) -> None:
        self._recognizer = recognizer
        self.name = recognizer.name

    def open(self, language: str | None, hotwords: Sequence[str]) -> Utterance:
        """Begin an utterance."""
        return _Collected(self._recognizer.open(language, hotwords))


class _Collected:
    def __init__(self, utterance: Utterance) -> None:
        self._utterance = utterance
        self._audio: list[Samples] = []

    def feed(self, audio: Samples) -> str:
        self._audio.append(audio)
        return ""

    def finish(self, tail: Samples) -> Transcript:
        return self._utterance.finish(np.concatenate([*self._audio, tail]))
