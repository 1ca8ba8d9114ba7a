"""Many live sessions at once against a service, and how long each frame takes to come back cleaned."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from client.wire import FRAME_MS, SUBPROTOCOL, Kind, Numbering, pack, unpack

RATE = 16_000
FRAME = RATE * FRAME_MS // 1000
_PERIOD_S = FRAME_MS / 1000
_SETTLE_S = 2.0  # not counted: sessions join, caches warm
_LAG_PERIOD_S = 0.01
_PING_PERIOD_S = 0.25
_STRAGGLERS_S = 2.0  # how long results of the last frames may take

Pair = NDArray[np.int16]
"""Microphone and reference, `(n, 2)` at 16 kHz."""


@dataclass
class Seen:
    """What all sessions of one step saw; times in milliseconds.

    Attributes:
        turnaround_ms: From sending the last sample that a cleaned hop needs to having the hop.
        ping_ms: Round trip of a WebSocket ping: the event loops of both ends and nothing else.
        own_lag_ms: By how much this process woke too late, so that its own delays are known.
        sent: Frames sent while it counted.
        lost: Sessions that were refused or ended early, by reason.
    """

    turnaround_ms: list[float] = field(default_factory=list[float])
    ping_ms: list[float] = field(default_factory=list[float])
    own_lag_ms: list[float] = field(default_factory=list[float])
    sent: int = 0
    lost: list[str] = field(default_factory=list[str])


async def run_load(url: str, sessions: int, seconds: float, audio: Pair, token: str | None = None) -> Seen:
    """Hold so many sessions for `seconds` after two of settling, each a frame every 20 ms.

    Args:
        url: Of the socket.
        sessions: How many at once.
        seconds: Time that counts.
        audio: What they say, in turn from different places.
        token: Of the server, if it wants one.
    """
    seen = Seen()
    begin = time.perf_counter() + 0.01 * sessions + 0.5  # all connect before the first frame
    callers = [_Caller(url, np.roll(audio, -i * RATE, axis=0), seen, token) for i in range(sessions)]
    lag = asyncio.create_task(_watch_own_lag(seen, begin + _SETTLE_S))
    async with asyncio.TaskGroup() as group:
        for i, caller in enumerate(callers):
            # Real clients are not in step: their frames spread over the 20 ms.
            group.create_task(caller.run(begin + _PERIOD_S * i / sessions, seconds, pings=i == 0))
    lag.cancel()
    with suppress(asyncio.CancelledError):
        await lag
    return seen


class _Caller:
    """One session."""

    def __init__(self, url: str, audio: Pair, seen: Seen, token: str | None) -> None:
        self._url = url
        self._frames: Sequence[Pair] = [audio[at : at + FRAME] for at in range(0, len(audio) - FRAME, FRAME)]
        self._seen = seen
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._sent_at: list[float] = []
        self._count_from = 0.0
        self._latency = 0

    async def run(self, begin: float, seconds: float, pings: bool) -> None:
        self._count_from = begin + _SETTLE_S
        try:
            async with connect(
                self._url,
                subprotocols=[SUBPROTOCOL],  # pyright: ignore[reportArgumentType]
                additional_headers=self._headers,
                compression=None,
                max_queue=None,
                proxy=None,
            ) as socket:
                await self._start(socket)
                await self._talk(socket, begin, seconds, pings)
        except (OSError, TimeoutError, WebSocketException) as error:
            self._seen.lost.append(str(error))

    async def _talk(self, socket: ClientConnection, begin: float, seconds: float, pings: bool) -> None:
        receiving = asyncio.create_task(self._receive(socket))
        pinging = asyncio.create_task(self._ping(socket)) if pings else None
        try:
            await self._send(socket, begin, _SETTLE_S + seconds)
            if pinging is not None:
                pinging.cancel()
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(receiving), _STRAGGLERS_S)
        finally:
            tasks = [task for task in (receiving, pinging) if task is not None]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _start(self, socket: ClientConnection) -> None:
        wanted: dict[str, Any] = {"type": "transcription", "duplex": {"cleaned_audio": True}}
        wanted["audio"] = {"input": {"format": {"type": "audio/pcm", "rate": RATE}}}
        await socket.send(json.dumps({"type": "session.update", "session": wanted}))
        async with asyncio.timeout(10):
            while True:
                event: dict[str, Any] = json.loads(await socket.recv())
                if event["type"] == "session.updated":
                    self._latency = int(event["session"]["latency_samples"])
                    return

    async def _send(self, socket: ClientConnection, begin: float, seconds: float) -> None:
        numbering = Numbering()
        for number in range(round(seconds / _PERIOD_S)):
            due = begin + number * _PERIOD_S
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            audio = self._frames[number % len(self._frames)]
            message = pack(numbering.pair(audio, time.monotonic_ns() // 1_000_000))
            self._sent_at.append(time.perf_counter())
            self._seen.sent += due >= self._count_from
            await socket.send(message)

    async def _receive(self, socket: ClientConnection) -> None:
        """Note when frames come back; ends by itself only when the server closes."""
        async for message in socket:
            if isinstance(message, bytes) and message[0] == Kind.CLEANED:
                now = time.perf_counter()
                frame = unpack(message)
                last = (frame.mic_start + len(frame.audio) + self._latency - 1) // FRAME
                sent_at = self._sent_at[min(last, len(self._sent_at) - 1)]
                if sent_at >= self._count_from:
                    self._seen.turnaround_ms.append(1000 * (now - sent_at))

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
