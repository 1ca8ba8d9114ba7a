"""A recogniser in a process of its own, so that neither its locks nor its end touch the audio.

One call is in flight at a time. When the process ends, whatever it was asked is lost, and it is
started again, later after each failure. Utterances belong to the process that they began in.
"""

from __future__ import annotations

import logging
import math
import multiprocessing
import signal
import threading
import weakref
from collections import deque
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from time import monotonic
from typing import Any

from aec_core.types import Samples
from server.asr.child import Call, Fault, Models, Ready, run
from server.asr.contract import RecognizerAway, RecognizerError, RecognizerLost, Transcript

_LOST = "the recogniser's process ended during the utterance"
_LOADING = "asr, loading"
_LOOK_S = 0.5  # between two looks at a process
_SAY_S = 10.0  # between two words about a long loading

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long things may take, in seconds.

    Attributes:
        load: Until the models are there, a download included.
        call: Until an answer comes; a process that takes longer hangs, and is ended.
        restart: Before the first new start; twice as long after each one that fails.
        longest_restart: At most.
    """

    load: float = 300.0
    call: float = 60.0
    restart: float = 0.5
    longest_restart: float = 30.0


class ProcessRecognizer:
    """A recogniser behind a pipe; it is itself one.

    Attributes:
        name: For people.
        streaming: As the recogniser in the process has it.
        batch: How many utterances it completes at a time.
        starts: How often the process was started with success.
        on_restart: Called after each start but the first.
    """

    def __init__(self, models: Models, patience: Patience | None = None) -> None:
        """Start the process and wait until the models are loaded.

        Raises:
            RecognizerError: If they cannot be, or take too long.
        """
        self._models = models
        self._patience = patience or Patience()
        self._lock = threading.Lock()  # held for a call
        self._closed = threading.Event()
        self._deadline = math.inf  # of the call in flight
        self._numbers = count(1)
        self._forgotten: deque[int] = deque()  # bounded: as many as were opened
        self.starts = 0
        self.on_restart: Callable[[], None] = lambda: None
        self._process, self._pipe, ready = self._start()
        self.name, self.streaming, self.batch = ready.name, ready.streaming, ready.batch
        self._keeper = threading.Thread(target=self._keep, name="asr-keeper", daemon=True)
        self._keeper.start()

    @property
    def pid(self) -> int | None:
        """The process, while there is one."""
        return self._process.pid if self._pipe is not None else None

    def open(self, language: str | None, hotwords: Sequence[str]) -> RemoteUtterance:
        """Begin an utterance.

        Raises:
            RecognizerAway: While the process is not there.
            RecognizerError: If the model does not know the language.
        """
        number, start = next(self._numbers), self.starts
        try:
            self.call(start, "open", number, language, tuple(hotwords))
        except RecognizerLost as error:  # nothing is lost yet: the next process will do
            raise RecognizerAway(str(error)) from error
        utterance = RemoteUtterance(self, start, number)
        weakref.finalize(utterance, self._forgotten.append, number)
        return utterance

    def finish_together(
        self, ends: Sequence[tuple[RemoteUtterance, Samples]]
    ) -> list[Transcript | Exception]:
        """Take the last samples of several utterances; return what becomes of each, in order."""
        lost = RecognizerLost(_LOST)
        alive = [(utterance, tail) for utterance, tail in ends if utterance.start == self.starts]
        outcomes: dict[int, Transcript | Exception] = {}
        if alive:
            request = [(utterance.number, tail) for utterance, tail in alive]
            try:
                answers: list[Transcript | Fault] = self.call(alive[0][0].start, "finish", request)
            except RecognizerLost as error:
                lost = error
            else:
                said = [one.error() if isinstance(one, Fault) else one for one in answers]
                outcomes = {number: one for (number, _), one in zip(request, said, strict=True)}
        return [outcomes.get(utterance.number, lost) for utterance, _ in ends]

    def call(self, start: int, method: str, *arguments: Any) -> Any:
        """Ask the process that was started as number `start`, and wait for its answer.

        Raises:
            RecognizerLost: If it is not there any more, or ends, or hangs.
            RecognizerError: If the recogniser refuses.
            RuntimeError: If the recogniser fails.
        """
        with self._lock:
            pipe = self._pipe
            if pipe is None or start != self.starts:
                raise RecognizerLost(_LOST)
            forgotten = tuple(self._forgotten.popleft() for _ in range(len(self._forgotten)))
            self._deadline = monotonic() + self._patience.call
            try:
                pipe.send(Call(method, arguments, forgotten))
                answer = pipe.recv()
            except (EOFError, OSError) as error:
                self._pipe = None
                self._process.kill()  # whatever is left of it; the keeper waits for its end
                raise RecognizerLost(_LOST) from error
            finally:
                self._deadline = math.inf
        if isinstance(answer, Fault):
            raise answer.error()
        return answer

    def close(self) -> None:
        """End the process; what it was doing is lost."""
        self._closed.set()
        self._process.kill()
        self._keeper.join(5)

    def _keep(self) -> None:
        """Start the process again whenever it has ended."""
        delay = self._patience.restart
        while not self._closed.is_set():
            began = monotonic()
            self._watch()
            if monotonic() - began > self._patience.longest_restart:
                delay = self._patience.restart  # it had served for a while
            delay = self._revive(delay)

    def _watch(self) -> None:
        """Wait until the process has ended, and end it if it hangs."""
        while self._process.is_alive():
            self._process.join(_LOOK_S)
            if monotonic() > self._deadline:
                logger.error("the recogniser does not answer")
                self._process.kill()
        self._pipe = None
        if not self._closed.is_set():
            logger.error("the recogniser's process ended with %s", self._process.exitcode)

    def _revive(self, delay: float) -> float:
        """Start the process, after `delay` and as often as it takes; return how long to wait next time."""
        while not self._closed.wait(delay):
            delay = min(2 * delay, self._patience.longest_restart)
            try:
                process, pipe, _ = self._start()
            except RecognizerError as error:
                logger.error("the recogniser does not start: %s", error)
                continue
            with self._lock:
                self._process, self._pipe = process, pipe
            self.on_restart()
            logger.info("the recogniser is back")
            break
        return delay

    def _start(self) -> tuple[SpawnProcess, Connection | None, Ready]:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=run, args=(theirs, self._models), name=_LOADING, daemon=True)
        with _ctrl_c_blocked():
            process.start()
        theirs.close()  # so that its end is the end of the pipe
        try:
            answer = self._await(ours)
        except (EOFError, OSError) as error:
            process.kill()
            process.join()
            raise RecognizerError(f"the process of {self._models.name} ended while loading") from error
        except RecognizerError:
            process.kill()
            process.join()
            raise
        if isinstance(answer, Fault):
            process.join()
            raise RecognizerError(answer.message)
        process.name = "asr"
        self.starts += 1
        return process, ours, answer

    def _await(self, pipe: Connection) -> Ready | Fault:
        """Wait for the models, and say so now and then."""
        looks, words = int(self._patience.load / _LOOK_S), int(_SAY_S / _LOOK_S)
        for look in range(1, looks + 1):
            if pipe.poll(_LOOK_S):
                return pipe.recv()
            if self._closed.is_set():
                raise RecognizerError("the service is shutting down")
            if look % words == 0:
                logger.info("still loading %s after %g s", self._models.name, look * _LOOK_S)
        raise RecognizerError(f"{self._models.name} was not there after {self._patience.load:g} s")


@contextmanager
def _ctrl_c_blocked() -> Generator[None]:
    """Let a process be started that Ctrl-C does not reach even before it can say so itself."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    resource_tracker.ensure_running()  # its own start would lift the mask
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def give_up_loading() -> None:
    """End the processes that have not loaded their models yet: whoever waits for them gets an error.

    A service that is told to stop does not wait for a download.
    """
    for process in multiprocessing.active_children():
        if process.name == _LOADING:
            process.kill()


class RemoteUtterance:
    """An utterance in the process.

    Attributes:
        start: Which start of the process it belongs to.
        number: Its name there.
    """

    def __init__(self, recognizer: ProcessRecognizer, start: int, number: int) -> None:
        self._recognizer = recognizer
        self.start = start
        self.number = number

    def feed(self, audio: Samples) -> str:
        """Take the next samples `(n,)` and return the text so far."""
        return self._recognizer.call(self.start, "feed", self.number, audio)

    def finish(self, tail: Samples) -> Transcript:
        """Take the last samples `(n,)` and return the final text."""
        (outcome,) = self._recognizer.finish_together([(self, tail)])
        if isinstance(outcome, Exception):
            raise outcome
        return outcome
