"""Many live sessions at once against a service, and how long each frame takes to come back cleaned."""

from __future__ import annotations

import asyncio
import json
import time
from array import array
from collections import Counter
from collections.abc import MutableSequence, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from client.connect import Address, DuplexError, RefusedError, closed
from client.tcp import NOTHING, Traffic, traffic
from client.wire import FRAME_MS, Kind, Numbering, pack, unpack

RATE = 16_000
FRAME = RATE * FRAME_MS // 1000
CONNECT_S = 0.01  # between the connects of two sessions
SETTLE_S = 2.0  # not counted: sessions join, caches warm
_PERIOD_S = FRAME_MS / 1000
_LAG_PERIOD_S = 0.01
_PING_PERIOD_S = 0.25
_STRAGGLERS_S = 2.0  # how long results of the last frames may take
_RETRY_S = 2.0  # where a service that refuses does not say when to come back

Pair = NDArray[np.int16]
"""Microphone and reference, `(n, 2)` at 16 kHz."""


def _times() -> MutableSequence[float]:
    return array("d")


@dataclass
class Seen:
    """What sessions saw, times in milliseconds; of the time that counts, but for who got in and who did not.

    Attributes:
        turnaround_ms: From sending the last sample that a cleaned hop needs to having the hop.
        ping_ms: Round trip of a WebSocket ping: the event loops of both ends and nothing else.
        own_lag_ms: By how much this process woke too late, so that its own delays are known.
        sent: Frames sent.
        lost: Sessions that never got in or ended early, by reason.
        refused: How often the service refused, by HTTP status or close code.
        connected: Sessions that got in.
        events: JSON events received.
        payload: Bytes of the messages.
        wire: Bytes of IP packets, where the kernel tells.
        session_s: How long it counted, of all sessions together.
    """

    turnaround_ms: MutableSequence[float] = field(default_factory=_times)
    ping_ms: MutableSequence[float] = field(default_factory=_times)
    own_lag_ms: MutableSequence[float] = field(default_factory=_times)
    sent: int = 0
    lost: list[str] = field(default_factory=list[str])
    refused: Counter[str] = field(default_factory=Counter[str])
    connected: int = 0
    events: int = 0
    payload: Traffic = NOTHING
    wire: Traffic = NOTHING
    session_s: float = 0.0

    def add(self, other: Seen) -> None:
        """Take in what another process saw at the same time."""
        for times, others in (
            (self.turnaround_ms, other.turnaround_ms),
            (self.ping_ms, other.ping_ms),
            (self.own_lag_ms, other.own_lag_ms),
        ):
            times.extend(others)
        self.sent += other.sent
        self.lost += other.lost
        self.refused += other.refused
        self.connected += other.connected
        self.events += other.events
        self.payload += other.payload
        self.wire += other.wire
        self.session_s += other.session_s


@dataclass(frozen=True)
class Load:
    """What one process holds.

    Attributes:
        address: Of the service.
        numbers: Its sessions among all of them.
        of: How many there are in all processes.
        begin: When all send their first frame, by `time.perf_counter`, which the machine's processes share.
        seconds: How long it counts, after two of settling.
    """

    address: Address
    numbers: range
    of: int
    begin: float
    seconds: float

    @property
    def counts_from(self) -> float:
        return self.begin + SETTLE_S

    @property
    def end(self) -> float:
        return self.counts_from + self.seconds


async def run_load(load: Load, audio: Pair, seen: Seen) -> None:
    """Hold the sessions, each a frame every 20 ms, and note in `seen` what comes back.

    Args:
        load: How many, and until when.
        audio: What they say, each from another place.
        seen: Is kept up to date all the time: a load that is cancelled has seen something, too.
    """
    lag = asyncio.create_task(_watch_own_lag(seen, load.counts_from))
    try:
        async with asyncio.TaskGroup() as group:
            for i in load.numbers:
                caller = _Caller(load, np.roll(audio, -i * RATE, axis=0), seen)
                group.create_task(caller.run(i))
    finally:
        lag.cancel()


class _Caller:
    """One session."""

    def __init__(self, load: Load, audio: Pair, seen: Seen) -> None:
        self._load = load
        self._frames: Sequence[Pair] = [audio[at : at + FRAME] for at in range(0, len(audio) - FRAME, FRAME)]
        self._seen = seen
        self._sent_at: list[float] = []
        self._latency = 0

    async def run(self, number: int) -> None:
        load = self._load
        connect_at = load.begin - (load.of - number) * CONNECT_S
        await asyncio.sleep(max(0.0, connect_at - time.perf_counter()))
        try:
            async with await self._join() as socket:
                # Real clients are not in step: their frames spread over the 20 ms.
                await self._talk(socket, load.begin + _PERIOD_S * number / load.of, pings=number == 0)
        except ConnectionClosed as error:
            self._seen.lost.append(str(closed(error)))
        except (DuplexError, OSError, TimeoutError) as error:
            self._seen.lost.append(str(error))

    async def _join(self) -> ClientConnection:
        """Connect, however often the service refuses, as long as the load lasts."""
        while True:
            try:
                return await self._try_to_join()
            except RefusedError as error:
                self._seen.refused[str(error.status)] += 1
                wait = error.retry_after or _RETRY_S
                if error.status in (401, 403) or time.perf_counter() + wait > self._load.end:
                    raise
                await asyncio.sleep(wait)

    async def _try_to_join(self) -> ClientConnection:
        socket = await self._load.address.open()
        wanted: dict[str, Any] = {"type": "transcription", "duplex": {"cleaned_audio": True}}
        wanted["audio"] = {"input": {"format": {"type": "audio/pcm", "rate": RATE}}}
        try:
            await socket.send(json.dumps({"type": "session.update", "session": wanted}))
            async with asyncio.timeout(10):
                while True:
                    event: dict[str, Any] = json.loads(await socket.recv())
                    if event["type"] == "session.updated":
                        self._latency = int(event["session"]["latency_samples"])
                        self._seen.connected += 1
                        return socket
        except ConnectionClosed as error:
            raise closed(error) from error
        except BaseException:
            await socket.close()
            raise

    async def _talk(self, socket: ClientConnection, begin: float, pings: bool) -> None:
        tasks = [asyncio.create_task(self._receive(socket)), asyncio.create_task(self._measure(socket))]
        if pings:
            tasks.append(asyncio.create_task(self._ping(socket)))
        begin += max(0.0, -(-(time.perf_counter() - begin) // _PERIOD_S) * _PERIOD_S)  # who comes late
        try:
            await self._send(socket, begin)
            for task in tasks[1:]:
                task.cancel()
            with suppress(TimeoutError):
                await asyncio.wait_for(tasks[0], _STRAGGLERS_S)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            ended = min(time.perf_counter(), self._load.end)
            self._seen.session_s += max(0.0, ended - max(begin, self._load.counts_from))

    async def _send(self, socket: ClientConnection, begin: float) -> None:
        numbering = Numbering()
        number = 0
        while (due := begin + number * _PERIOD_S) < self._load.end:
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            message = pack(
                numbering.pair(self._frames[number % len(self._frames)], time.monotonic_ns() // 1_000_000)
            )
            self._sent_at.append(time.perf_counter())
            if due >= self._load.counts_from:
                self._seen.sent += 1
                self._seen.payload += Traffic(sent=len(message))
            await socket.send(message)
            number += 1

    async def _receive(self, socket: ClientConnection) -> None:
        """Note what comes back; ends by itself only when the server closes."""
        async for message in socket:
            now = time.perf_counter()
            if self._load.counts_from <= now < self._load.end:
                self._seen.payload += Traffic(received=len(message))
                self._seen.events += isinstance(message, str)
            if isinstance(message, bytes) and message[0] == Kind.CLEANED:
                self._note(message, now)

    def _note(self, message: bytes, now: float) -> None:
        frame = unpack(message)
        last = (frame.mic_start + len(frame.audio) + self._latency - 1) // FRAME
        sent_at = self._sent_at[min(last, len(self._sent_at) - 1)]
        if sent_at >= self._load.counts_from:
            self._seen.turnaround_ms.append(1000 * (now - sent_at))

    async def _measure(self, socket: ClientConnection) -> None:
        """Add up what the kernel sends and receives while it counts."""
        await asyncio.sleep(max(0.0, self._load.counts_from - time.perf_counter()))
        before = traffic(socket.transport)
        try:
            await asyncio.sleep(max(0.0, self._load.end - time.perf_counter()))
        finally:
            self._seen.wire += traffic(socket.transport) - before

    async def _ping(self, socket: ClientConnection) -> None:
        while True:
            await asyncio.sleep(_PING_PERIOD_S)
            self._seen.ping_ms.append(1000 * await (await socket.ping()))


async def _watch_own_lag(seen: Seen, count_from: float) -> None:
    while True:
        due = time.perf_counter() + _LAG_PERIOD_S
        await asyncio.sleep(_LAG_PERIOD_S)
        if due > count_from:
            seen.own_lag_ms.append(1000 * (time.perf_counter() - due))
