"""The load in processes beside this one: as many as it takes until they are not what is slow."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import signal
import threading
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Self, TypeAlias

from client.connect import Address
from client.load import CONNECT_S, Load, Pair, Seen, run_load

_START_S = 0.5  # until a process that has started its work has its tasks
_LOOK_S = 0.2
_SILENT_S = 60.0  # after which a process is given up: it may have to start on a busy machine

Pipe: TypeAlias = "Connection[Any, Any]"


class ClientFailedError(Exception):
    """A process of the load ended without saying what it saw."""


@dataclass(frozen=True)
class Now:
    """How a step goes: of all processes together."""

    connected: int
    sent: int
    received: int
    refused: int
    lost: int
    seconds_left: float


class LoadClients:
    """Processes that hold sessions; they wait for work between steps."""

    def __init__(self, clients: int, audio: Pair) -> None:
        """Plan for so many processes, all with the same audio, `(n, 2)` at 16 kHz."""
        spawn = multiprocessing.get_context("spawn")
        self._stop = spawn.Event()
        self._pipes, theirs = zip(*(spawn.Pipe() for _ in range(clients)), strict=True)
        self._theirs: list[Pipe] = list(theirs)
        self._processes = [
            spawn.Process(target=_work, args=(pipe, self._stop, audio), daemon=True) for pipe in theirs
        ]

    def __enter__(self) -> Self:
        # Ctrl-C reaches every process of a terminal: only this one decides what it means.
        with _on_ctrl_c(signal.SIG_IGN):
            for process in self._processes:
                process.start()
        for pipe in self._theirs:
            pipe.close()  # who hears that a process ended must not hold its end
        for pipe in self._pipes:
            self._hear(pipe)  # it has imported everything
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.terminate()
            process.join()

    @property
    def stopped(self) -> bool:
        """Whether Ctrl-C ended a step early."""
        return self._stop.is_set()

    def hold(self, address: Address, sessions: int, seconds: float, progress: Callable[[Now], None]) -> Seen:
        """Hold so many sessions for `seconds` after some of settling, or until Ctrl-C; say what they saw.

        Raises:
            ClientFailedError: If a process of the load ended.
        """
        begin = time.perf_counter() + CONNECT_S * sessions + _START_S
        share = -(-sessions // len(self._pipes))
        waiting: dict[int, Pipe] = {}
        for first, pipe in zip(range(0, sessions, share), self._pipes, strict=False):
            waiting[first] = pipe
            pipe.send(Load(address, range(first, min(first + share, sessions)), sessions, begin, seconds))
        all_seen, told = Seen(), dict[int, Now]()
        with _on_ctrl_c(self._stop_all):
            while waiting:
                for first, pipe in list(waiting.items()):
                    news = self._hear(pipe)
                    if isinstance(news, Seen):
                        all_seen.add(news)
                        del waiting[first]
                    else:
                        told[first] = news
                progress(_together(list(told.values())))
        return all_seen

    def _stop_all(self, *_: object) -> None:
        self._stop.set()

    def _hear(self, pipe: Pipe) -> Any:
        try:
            if pipe.poll(_SILENT_S):
                return pipe.recv()
        except EOFError:
            pass
        raise ClientFailedError("a process of the load ended before its time")


@contextlib.contextmanager
def _on_ctrl_c(do: Any) -> Generator[None]:
    if threading.current_thread() is not threading.main_thread():  # only that one hears of it
        yield
        return
    before = signal.signal(signal.SIGINT, do)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _together(told: list[Now]) -> Now:
    return Now(
        connected=sum(now.connected for now in told),
        sent=sum(now.sent for now in told),
        received=sum(now.received for now in told),
        refused=sum(now.refused for now in told),
        lost=sum(now.lost for now in told),
        seconds_left=max((now.seconds_left for now in told), default=0.0),
    )


def _work(pipe: Pipe, stop: Any, audio: Pair) -> None:
    """Say hello, then answer each load with how it goes and, at its end, what was seen."""
    pipe.send(None)
    while True:
        try:
            load: Load = pipe.recv()
        except EOFError:
            return
        seen = asyncio.run(_hold(load, audio, pipe, stop))
        pipe.send(seen)


async def _hold(load: Load, audio: Pair, pipe: Pipe, stop: Any) -> Seen:
    seen = Seen()
    running = asyncio.create_task(run_load(load, audio, seen))
    while not running.done():
        await asyncio.wait([running], timeout=_LOOK_S)
        left = max(load.end - time.perf_counter(), 0.0)
        came, refused = len(seen.turnaround_ms), sum(seen.refused.values())
        pipe.send(Now(seen.connected, seen.sent, came, refused, len(seen.lost), left))
        if stop.is_set():
            running.cancel()
    if not running.cancelled():
        running.result()
    return seen
