"""One utterance on its way through the worker: its audio waits here, its texts come back here."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Protocol

import numpy as np

from aec_core.types import SAMPLE_RATE, Samples
from server.asr.contract import Recognizer, Transcript, Utterance

_AT_ONCE = 2 * 9600  # 1.2 s: more of one utterance would keep the others waiting


@dataclass(frozen=True, slots=True)
class Partial:
    """The text so far, made from the first `until` samples of the utterance."""

    text: str
    until: int


@dataclass(frozen=True, slots=True)
class Failed:
    """There will be no transcript."""

    code: str
    message: str


Result = Partial | Transcript | Failed


@dataclass(frozen=True, slots=True)
class Limits:
    """What the service takes on.

    Attributes:
        utterances: Utterances that are open at one time; more fail at once.
        waiting_s: Audio of one utterance that the model has not taken yet.
        finish_s: Time from the end of an utterance to its transcript.
    """

    utterances: int = 64
    waiting_s: float = 35.0
    finish_s: float = 20.0


class Worker(Protocol):
    """Who runs the recogniser."""

    def wake(self, recognition: Recognition) -> None:
        """There is something to do for it."""
        ...

    def forget(self, recognition: Recognition) -> None:
        """Nothing more is to be done for it."""
        ...


class Recognition:
    """One utterance at the service. No method waits; all may be called from one thread."""

    def __init__(self, worker: Worker, language: str | None, hotwords: Sequence[str], limits: Limits) -> None:
        self._worker = worker
        self._language = language
        self._hotwords = tuple(hotwords)
        self._limits = limits
        self._lock = threading.Lock()
        self._audio: list[Samples] = []
        self._waiting = 0  # samples in `_audio`
        self._taken = 0  # samples that the model was given
        self._finished_at: float | None = None
        self._utterance: Utterance | None = None  # touched by the worker only
        self._partial: Partial | None = None
        self._end: Transcript | Failed | None = None
        self._over = False  # nothing more is wanted from the worker

    @property
    def finishing(self) -> bool:
        """The audio is complete."""
        return self._finished_at is not None

    def feed(self, audio: Samples) -> None:
        """Hand over the next samples `(n,)` at 16 kHz; they are copied."""
        with self._lock:
            if self._over or self.finishing:
                return
            self._audio.append(audio.copy())
            self._waiting += len(audio)
            too_far = self._waiting > self._limits.waiting_s * SAMPLE_RATE
        if too_far:
            self.fail("too_slow", f"the recogniser is {self._limits.waiting_s:g} s of audio behind")
        else:
            self._worker.wake(self)

    def finish(self) -> None:
        """Say that the audio is complete; the transcript follows through `poll`."""
        with self._lock:
            if self._over or self.finishing:
                return
            self._finished_at = monotonic()
        self._worker.wake(self)

    def cancel(self) -> None:
        """Drop the utterance; nothing more comes out of `poll`."""
        with self._lock:
            self._partial = self._end = None
        self._close()

    def fail(self, code: str, message: str) -> None:
        """End the utterance without a transcript."""
        with self._lock:
            if not self._over:
                self._end = Failed(code, message)
        self._close()

    def poll(self) -> list[Result]:
        """Return what is new: the latest partial text, and the end once."""
        finished_at = self._finished_at
        if finished_at is not None and monotonic() - finished_at > self._limits.finish_s:
            self.fail("timeout", f"no transcript {self._limits.finish_s:g} s after the end of the turn")
        with self._lock:
            results: list[Result] = [result for result in (self._partial, self._end) if result is not None]
            self._partial = self._end = None
        return results

    def begin(self, recognizer: Recognizer) -> Utterance | None:
        """Return the utterance, opened if need be, or None if nothing is wanted from it any more.

        Called by the worker's thread only, as `take`, `advance` and `complete` are.

        Raises:
            RecognizerAway: If it has to wait; its audio stays here.
        """
        utterance = self._utterance
        if utterance is None and not self._over:
            utterance = recognizer.open(self._language, self._hotwords)
        with self._lock:
            self._utterance = None if self._over else utterance
        return self._utterance

    def take(self, most: int | None = None) -> Samples:
        """Return the waiting audio, at most so many samples of it."""
        with self._lock:
            audio = np.concatenate([np.zeros(0, np.float32), *self._audio])
            self._audio = [audio[most:]] if most is not None and most < len(audio) else []
            self._waiting = sum(map(len, self._audio))
        self._taken += len(audio[:most])
        return audio[:most]

    def advance(self, recognizer: Recognizer) -> None:
        """Do what there is to do."""
        utterance = self.begin(recognizer)
        if utterance is None:
            return
        if self.finishing:
            self.complete(utterance.finish(self.take()))
            return
        self._report(
            Partial(utterance.feed(self.take(_AT_ONCE if recognizer.streaming else None)), self._taken)
        )
        if self._waiting:
            self._worker.wake(self)

    def complete(self, outcome: Transcript | Exception) -> None:
        """End the utterance with its transcript; an exception is raised."""
        if isinstance(outcome, Exception):
            raise outcome
        with self._lock:
            if not self._over:
                self._end = outcome
        self._close()

    def _report(self, partial: Partial) -> None:
        with self._lock:
            if not self._over and partial.text:
                self._partial = partial

    def _close(self) -> None:
        with self._lock:
            self._over = True
            self._audio, self._waiting = [], 0
            self._utterance = None
        self._worker.forget(self)
