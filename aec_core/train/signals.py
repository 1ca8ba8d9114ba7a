"""How training is stopped from outside: what is done is kept, and no step is left half done."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

_Handler = Callable[[int, Any], None]


@contextmanager
def terminated_as_interrupted() -> Generator[None]:
    """Let SIGTERM end what runs as Ctrl-C does."""

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    with _handling(interrupt, signal.SIGTERM):
        yield


@contextmanager
def interrupts_waiting() -> Generator[Callable[[], None]]:
    """Let Ctrl-C and SIGTERM wait until the function that this yields is called; the second does not wait.

    A step that is broken off in the middle could not be resumed exactly.
    """
    waiting: list[int] = []

    def note(number: int, _: Any) -> None:
        if waiting:
            raise KeyboardInterrupt
        waiting.append(number)

    def interrupt() -> None:
        if waiting:
            raise KeyboardInterrupt

    with _handling(note, signal.SIGINT, signal.SIGTERM):
        yield interrupt


@contextmanager
def _handling(handler: _Handler, *numbers: signal.Signals) -> Generator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may, and only it is interrupted
        return
    before = [signal.signal(number, handler) for number in numbers]
    try:
        yield
    finally:
        for number, old in zip(numbers, before, strict=True):
            signal.signal(number, old)
