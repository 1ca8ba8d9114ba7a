"""A server for minutes or hours while sessions come and go: `python -m tests.chaos.soak [--minutes 10]`.

Six clients at a time, each for a random while; some leave with a close, some without, some send garbage.
They send as fast as they can or, with `--speed 4`, four times as fast as they would speak. Samples the
server's memory and prints its slope over the second half.
"""

import argparse
import asyncio
import contextlib
import json
import math
import time
import urllib.request

import numpy as np
from websockets.asyncio.client import connect

from aec_core.types import SAMPLE_RATE
from client.local_server import LocalServer, local_server
from client.wire import Frame, Kind, pack, unpack
from tests.chaos.faults import BROKEN, HOP, SESSION, rss_mb
from tests.chaos.mutation import mutated_event

CLIENTS = 6


class Churn:
    """Clients that come and go until the deadline; counts what they saw."""

    def __init__(self, server: LocalServer, deadline: float, speed: float = math.inf) -> None:
        self._server, self._deadline = server, deadline
        self._period_s = HOP / SAMPLE_RATE / speed
        self.sessions = self.frames = self.gone = 0

    async def client(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        while time.monotonic() < self._deadline:
            self.sessions += 1
            try:
                await self._one(rng)
            except BROKEN:
                self.gone += 1
                await asyncio.sleep(0.2)

    async def _one(self, rng: np.random.Generator) -> None:
        async with connect(self._server.url, compression=None, proxy=None) as link:
            await link.send(json.dumps({"type": "session.update", "session": SESSION}))
            listening = asyncio.create_task(self._listen(link))
            began = time.monotonic()
            for seq in range(int(rng.integers(10, 1000))):
                audio = rng.integers(-3000, 3000, (HOP, 2)).astype(np.int16)
                await link.send(pack(Frame(Kind.MIC_REF, seq, audio, seq * HOP, seq * HOP, 4, seq * 20)))
                await asyncio.sleep(max(0.0, began + seq * self._period_s - time.monotonic()))
                if rng.random() < 0.01:
                    await link.send(mutated_event(rng).encode(errors="replace").decode())
            await asyncio.sleep(0.2)
            listening.cancel()
            if rng.random() < 0.3:
                link.transport.abort()

    async def _listen(self, link) -> None:
        with contextlib.suppress(*BROKEN):
            async for message in link:
                if isinstance(message, bytes):
                    unpack(message)
                    self.frames += 1
                else:
                    json.loads(message, parse_constant=_refuse)


def _refuse(name: str) -> None:
    raise AssertionError(f"the server sent {name}")


async def run(server: LocalServer, minutes: float, speed: float = math.inf) -> list[tuple[float, float]]:
    """Return `(minutes, MB)` of the server's memory, every five seconds."""
    began = time.monotonic()
    churn = Churn(server, began + 60 * minutes, speed)
    clients = [asyncio.create_task(churn.client(seed)) for seed in range(CLIENTS)]
    samples: list[tuple[float, float]] = []
    while time.monotonic() < began + 60 * minutes:
        await asyncio.sleep(5)
        samples.append(((time.monotonic() - began) / 60, rss_mb(server.port)))
    await asyncio.gather(*clients)
    print(f"{churn.sessions} sessions, {churn.gone} of them ended by the server; {churn.frames} frames back")
    return samples


def slope(samples: list[tuple[float, float]]) -> float:
    """Return MB an hour over the second half."""
    half = np.array(samples[len(samples) // 2 :])
    return float(60 * np.polyfit(half[:, 0], half[:, 1], 1)[0])


def failures(server: LocalServer) -> str:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"{server.page}metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return next(line for line in lines if line.startswith("duplex_session_failures_total"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--speed", type=float, default=math.inf, help="times real time; else no limit")
    options = parser.parse_args()
    with local_server("--asr", "none") as server:
        samples = asyncio.run(run(server, options.minutes, options.speed))
        at = [samples[round(part * (len(samples) - 1))][1] for part in (0, 0.25, 0.5, 0.75, 1)]
        print("RSS in MB at the start, after each quarter: " + ", ".join(f"{mb:.1f}" for mb in at))
        print(f"slope of the second half: {slope(samples):+.1f} MB an hour; {failures(server)}")


if __name__ == "__main__":
    main()
