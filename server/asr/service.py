"""The worker over one recogniser, shared by all sessions: one thread, or several where it takes that.

Sessions never wait for it: they hand audio over and poll for results. Whatever goes wrong, no
room, an exception, a model that is too slow, ends in one `Failed` for the utterance it hit.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from time import monotonic

from aec_core.types import Samples
from server.asr.contract import (
    BatchRecognizer,
    Closable,
    ParallelRecognizer,
    Recognizer,
    RecognizerAway,
    RecognizerError,
    RecognizerLost,
    Transcript,
    Utterance,
)
from server.asr.recognition import Limits, Recognition

_AWAY_S = 0.1  # between two looks at a recogniser that is away

logger = logging.getLogger(__name__)


class RecognitionService:
    """The worker's threads and the order in which utterances get them.

    Utterances whose audio is complete go first, for somebody waits for their transcript, as many
    at a time as the recogniser takes; between two such batches one of the others has its turn, so
    that nobody starves. Audio that came while an utterance waited is taken together, so a busy
    service gives fewer partials and never a longer queue.
    """

    def __init__(self, recognizer: Recognizer, limits: Limits | None = None) -> None:
        self.recognizer = recognizer
        self._batch = recognizer.batch if isinstance(recognizer, BatchRecognizer) else 1
        self._favour = False  # those that were complete had the last turn
        self._limits = limits or Limits()
        self._condition = threading.Condition()
        self._open: set[Recognition] = set()
        self._ready: deque[Recognition] = deque()
        self._urgent: deque[Recognition] = deque()
        self._busy: set[Recognition] = set()  # one thread at a time has each
        self._closed = False
        count = recognizer.parallel if isinstance(recognizer, ParallelRecognizer) else 1
        self._threads = [threading.Thread(target=self._run, name="asr", daemon=True) for _ in range(count)]
        for thread in self._threads:
            thread.start()

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
        """Fail what is open and end the threads; a model that hangs is left behind after a while."""
        with self._condition:
            self._closed = True
            left = list(self._open)
            self._condition.notify_all()
        for recognition in left:
            recognition.fail("closed", "the service is shutting down")
        if isinstance(self.recognizer, Closable):
            self.recognizer.close()
        deadline = monotonic() + timeout_s
        for thread in self._threads:
            thread.join(max(0.0, deadline - monotonic()))

    def _run(self) -> None:
        while batch := self._next():
            if len(batch) > 1:
                self._finish(batch)
            else:
                with self._blaming(batch[0]):
                    batch[0].advance(self.recognizer)
            with self._condition:
                self._busy.difference_update(batch)

    def _finish(self, batch: list[Recognition]) -> None:
        """Complete several utterances in one call."""
        assert isinstance(self.recognizer, BatchRecognizer)
        ends: list[tuple[Recognition, Utterance, Samples]] = []
        for one in batch:
            with self._blaming(one):
                utterance = one.begin(self.recognizer)
                if utterance is not None:
                    ends.append((one, utterance, one.take()))
        try:
            outcomes = self.recognizer.finish_together([(utterance, tail) for _, utterance, tail in ends])
        except Exception as error:
            outcomes: list[Transcript | Exception] = [error] * len(ends)
        for (one, _, _), outcome in zip(ends, outcomes, strict=True):
            with self._blaming(one):
                one.complete(outcome)

    @contextmanager
    def _blaming(self, recognition: Recognition) -> Generator[None]:
        """Let an exception be the failure of one utterance and nobody else's."""
        try:
            yield
        except RecognizerAway:
            self._postpone(recognition)
        except RecognizerLost as error:
            recognition.fail("recognizer_error", str(error))
        except RecognizerError as error:
            recognition.fail("unsupported", str(error))
        except Exception:  # what it says may name files of this machine: it is for the log
            logger.exception("%s failed on an utterance", self.recognizer.name)
            recognition.fail("recognizer_error", f"{self.recognizer.name} failed")

    def _postpone(self, recognition: Recognition) -> None:
        """Let the recogniser come back before the utterance has its turn again."""
        with self._condition:
            self._condition.wait(_AWAY_S)
        self.wake(recognition)

    def _next(self) -> list[Recognition]:
        """Wait for work; return utterances that are complete, or the next that is not; none at the end."""
        with self._condition:
            while not self._closed:
                urgent = [one for one in self._urgent if one not in self._busy][: self._batch]
                ready = next((one for one in self._ready if one not in self._busy), None)
                if urgent or ready:
                    return self._take(urgent, ready)
                self._condition.wait()
            return []

    def _take(self, urgent: list[Recognition], ready: Recognition | None) -> list[Recognition]:
        """Choose whose turn it is, and take that out of the queues."""
        self._favour = bool(urgent) and not (self._favour and ready is not None)
        chosen = urgent if self._favour or ready is None else [ready]
        for one in chosen:
            for jobs in (self._ready, self._urgent):
                if one in jobs:  # it had audio to take before it was complete
                    jobs.remove(one)
        self._busy.update(chosen)
        return chosen
