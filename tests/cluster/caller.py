"""A session that talks in real time through the product's own client, and notes what comes back and when."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from aec_core.bench import echo_pair
from client.duplex import DuplexClient, DuplexError
from client.wire import to_int16

HOP = 320
PERIOD_S = 0.02
STRAGGLERS_S = 1.0
AUDIO_S = 20.0

Pair = NDArray[np.int16]
"""Microphone and reference, `(n, 2)` at 16 kHz."""


class Came(NamedTuple):
    """A hop of cleaned audio: when it came, and how long after the last sample it needs had been sent."""

    at: float
    turnaround_ms: float


class Change(NamedTuple):
    """What became of the session, when, and who holds it since."""

    at: float
    how: Literal["new", "resumed", "replaced"]
    worker: str


@asynccontextmanager
async def talking(url: str, sessions: int) -> AsyncIterator[list[Caller]]:
    """Let so many sessions talk, once all are connected, until the block ends."""
    audio = np.stack([to_int16(each) for each in echo_pair(AUDIO_S)], axis=1)
    callers = [Caller(url, np.roll(audio, -9973 * number, axis=0)) for number in range(sessions)]
    ready, stop = asyncio.Barrier(sessions + 1), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for number, caller in enumerate(callers):
            group.create_task(caller.run(ready, stop, PERIOD_S * number / sessions))
        await ready.wait()
        try:
            yield callers
        finally:
            stop.set()


def workers(callers: list[Caller]) -> Counter[str]:
    """Count the sessions of each worker."""
    return Counter(caller.worker for caller in callers)


class Caller:
    """One session.

    Attributes:
        sent_at: When each hop of the microphone was sent, or kept to be sent.
        came: What came back of it, by the number of the hop.
        changes: Of the session, the first one when it began.
        error: Why it ended before it was told to.
    """

    def __init__(self, url: str, audio: Pair) -> None:
        self.sent_at: list[float] = []
        self.came: dict[int, Came] = {}
        self.changes: list[Change] = []
        self.error: DuplexError | None = None
        self._audio = audio
        self._client = DuplexClient(url, on_cleaned=self._take, timeout_s=30)

    @property
    def worker(self) -> str:
        """Who holds the session."""
        return self.changes[-1].worker

    @property
    def became(self) -> list[str]:
        """What became of the session after it began."""
        return [change.how for change in self.changes[1:]]

    def missing(self, begin: float, end: float) -> int:
        """Count the hops sent in a time of which nothing came back."""
        sent = [hop for hop, at in enumerate(self.sent_at) if begin < at < end]
        return sum(hop not in self.came for hop in sent)

    async def run(self, ready: asyncio.Barrier, stop: asyncio.Event, late_s: float) -> None:
        """Connect, wait for the others, and talk until `stop`.

        Args:
            ready: Passed when all are connected.
            stop: Ends the talking.
            late_s: The first frame waits so long: real clients are not in step.
        """
        try:
            async with self._client as client:
                self._note("new", client.session["id"])
                await ready.wait()
                listening = asyncio.create_task(self._listen())
                await self._talk(time.perf_counter() + late_s, stop)
                await asyncio.sleep(STRAGGLERS_S)
                listening.cancel()
        except DuplexError as error:
            self.error = error

    async def _talk(self, begin: float, stop: asyncio.Event) -> None:
        while not stop.is_set():
            number = len(self.sent_at)
            await asyncio.sleep(begin + PERIOD_S * number - time.perf_counter())
            start = HOP * number % (len(self._audio) - HOP)
            hop = self._audio[start : start + HOP]
            self.sent_at.append(time.perf_counter())
            await self._client.send(hop[:, 0], hop[:, 1])

    async def _listen(self) -> None:
        with suppress(DuplexError):  # the end, of which who talks hears too
            async for event in self._client:
                if event["type"] == "session.replaced":
                    self._note("replaced", event["session"]["id"])
                elif event["type"] == "session.updated" and event["session"]["resumed"]:
                    self._note("resumed", event["session"]["id"])

    def _note(self, how: Literal["new", "resumed", "replaced"], session: str) -> None:
        self.changes.append(Change(time.perf_counter(), how, session.split("_")[1]))

    def _take(self, start: int, audio: Pair) -> None:
        """Note a frame of cleaned audio, which may be several hops long."""
        now = time.perf_counter()
        # The canceller is a hop late: the last of these was caused by the frame after it.
        cause = min((start + len(audio)) // HOP, len(self.sent_at) - 1)
        came = Came(now, 1000 * (now - self.sent_at[cause]))
        for hop in range(start // HOP, (start + len(audio)) // HOP):
            self.came[hop] = came
