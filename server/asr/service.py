"""One worker thread over one recogniser, shared by all sessions.

Sessions never wait for it: they hand audio over and poll for results. Whatever goes wrong, no
room, an exception, a model that is too slow, ends in one `Failed` for the utterance it hit.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic

import numpy as np

from aec_core.types import SAMPLE_RATE, Samples
from server.asr.contract import Recognizer, RecognizerError, Transcript, Utterance

logger = logging.getLogger(__name__)


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


class Recognition:
    """One utterance at the service. No method waits; all may be called from one thread."""

    def __init__(
        self, service: RecognitionService, language: str | None, hotwords: Sequence[str], limits: Limits
    ) -> None:
        self._service = service
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
            self._service.wake(self)

    def finish(self) -> None:
        """Say that the audio is complete; the transcript follows through `poll`."""
        with self._lock:
            if self._over or self.finishing:
                return
            self._finished_at = monotonic()
        self._service.wake(self)

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

    def advance(self, recognizer: Recognizer) -> None:
        """Do what there is to do; called by the worker thread."""
        with self._lock:
            if self._over:
                return
            audio = np.concatenate([np.zeros(0, np.float32), *self._audio])
            finishing = self.finishing
            self._audio, self._waiting = [], 0
        if self._utterance is None:
            self._utterance = recognizer.open(self._language, self._hotwords)
        self._taken += len(audio)
        if finishing:
            self._complete(self._utterance.finish(audio))
        else:
            self._report(Partial(self._utterance.feed(audio), self._taken))

    def _report(self, partial: Partial) -> None:
        with self._lock:
            if not self._over and partial.text:
                self._partial = partial

    def _complete(self, transcript: Transcript) -> None:
        with self._lock:
            if not self._over:
                self._end = transcript
        self._close()

    def _close(self) -> None:
        with self._lock:
            self._over = True
            self._audio, self._waiting = [], 0
        self._service.forget(self)


class RecognitionService:
    """The worker thread and the order in which utterances get it.

    Utterances whose audio is complete go first, for somebody waits for their transcript; the
    others take turns. Audio that came while an utterance waited is taken in one piece, so a
    busy service gives fewer partials and never a longer queue.
    """

    def __init__(self, recognizer: Recognizer, limits: Limits | None = None) -> None:
        self.recognizer = recognizer
        self._limits = limits or Limits()
        self._condition = threading.Condition()
        self._open: set[Recognition] = set()
        self._ready: deque[Recognition] = deque()
        self._urgent: deque[Recognition] = deque()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="asr", daemon=True)
        self._thread.start()

    def open(self, language: str | None = None, hotwords: Sequence[str] = ()) -> Recognition:
        """Begin an utterance; one that has no room has failed already."""
        recognition = Recognition(self, language, hotwords, self._limits)
        with self._condition:
            room = not self._closed and len(self._open) < self._limits.utterances
            if room:
                self._open.add(recognition)
        if not room:
            recognition.fail("busy", "the recogniser has no room for another utterance")
        return recognition

    def wake(self, recognition: Recognition) -> None:
        """Put an utterance that has something to do in the queue, once."""
        with self._condition:
            if recognition not in self._open or recognition in self._urgent:
                return
            if recognition.finishing:
                self._urgent.append(recognition)
            elif recognition not in self._ready:
                self._ready.append(recognition)
            self._condition.notify()

    def forget(self, recognition: Recognition) -> None:
        """Take an utterance out of all queues."""
        with self._condition:
            self._open.discard(recognition)
            for jobs in (self._ready, self._urgent):
                if recognition in jobs:
                    jobs.remove(recognition)

    def close(self, timeout_s: float = 5.0) -> None:
        """Fail what is open and end the thread; a model that hangs is left behind after a while."""
        with self._condition:
            self._closed = True
            left = list(self._open)
            self._condition.notify()
        for recognition in left:
            recognition.fail("closed", "the service is shutting down")
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while (recognition := self._next()) is not None:
            try:
                recognition.advance(self.recognizer)
            except RecognizerError as error:
                recognition.fail("unsupported", str(error))
            except Exception as error:
                logger.exception("%s failed on an utterance", self.recognizer.name)
                recognition.fail("recognizer_error", f"{self.recognizer.name} failed: {error}")

    def _next(self) -> Recognition | None:
        with self._condition:
            while not (self._urgent or self._ready or self._closed):
                self._condition.wait()
            if self._closed:
                return None
            recognition = (self._urgent or self._ready).popleft()
            if recognition in self._ready:  # it had audio to take before it was complete
                self._ready.remove(recognition)
            return recognition
