"""How a session fares while others attack the server: `python -m tests.chaos.faults`.

A server in a process of its own, a session that talks in real time, and one attack after the other. Prints,
in less than two minutes, the table of docs/reliability.md: the turnaround of the session's frames and the
server's memory, before and during each.
"""

import argparse
import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import numpy as np
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from client.local_server import LocalServer, local_server
from client.wire import Frame, Kind, pack, unpack
from tests.chaos.mutation import mutated_event, mutated_frame

HOP = 320
SESSION = {"audio": {"input": {"format": {"rate": 16_000}}}, "duplex": {"cleaned_audio": True}}
BROKEN = (ConnectionClosed, InvalidHandshake, OSError, TimeoutError)


async def talk(server: LocalServer, seconds: float) -> list[float]:
    """Send frames in real time; return how long each took to come back, in ms."""
    sent_at: dict[int, float] = {}
    took: list[float] = []
    rng = np.random.default_rng(0)
    async with connect(server.url, compression=None, proxy=None, open_timeout=30) as link:
        await link.send(json.dumps({"type": "session.update", "session": SESSION}))

        async def listen() -> None:
            async for message in link:
                if isinstance(message, bytes):
                    # The canceller keeps one frame back: what comes now was caused by the frame after it.
                    cause = unpack(message).mic_start + HOP
                    took.append(1000 * (time.perf_counter() - sent_at.pop(cause)))

        listening = asyncio.create_task(listen())
        began = time.perf_counter()
        for seq in range(round(50 * seconds)):
            await asyncio.sleep(max(0.0, began + seq / 50 - time.perf_counter()))
            audio = rng.integers(-3000, 3000, (HOP, 2)).astype(np.int16)
            sent_at[seq * HOP] = time.perf_counter()
            await link.send(pack(Frame(Kind.MIC_REF, seq, audio, seq * HOP, seq * HOP, 4, seq * 20)))
        await asyncio.sleep(0.5)
        listening.cancel()
    return took


async def nothing(_: LocalServer) -> None:
    await asyncio.sleep(3600)


async def over_and_over(once: Callable[[], Awaitable[None]], every_s: float) -> None:
    """Begin another one every so often, whatever becomes of those before."""
    async with asyncio.TaskGroup() as tasks:
        while True:
            tasks.create_task(_quietly(once()))
            await asyncio.sleep(every_s)


async def _quietly(attempt: Awaitable[None]) -> None:
    with contextlib.suppress(*BROKEN):
        await attempt


async def connects(server: LocalServer) -> None:
    async def once() -> None:
        async with connect(server.url, compression=None, proxy=None) as link:
            await link.recv()

    await over_and_over(once, 0.01)


async def garbage(server: LocalServer) -> None:
    rng = np.random.default_rng(1)

    async def once() -> None:
        async with connect(server.url, compression=None, proxy=None) as link:
            while True:
                binary = rng.random() < 0.2
                await link.send(
                    mutated_frame(rng) if binary else mutated_event(rng).encode(errors="replace").decode()
                )
                await asyncio.sleep(0.002)

    await over_and_over(once, 0.2)


async def flood(server: LocalServer) -> None:
    frame = pack(Frame(Kind.MIC_REF, 0, np.zeros((1600, 2), np.int16), 0, 0))
    while True:
        with contextlib.suppress(*BROKEN):
            async with connect(server.url, compression=None, proxy=None) as link:
                while True:
                    await link.send(frame)


async def deaf(server: LocalServer) -> None:
    """Three who ask for everything and read nothing."""

    async def one() -> None:
        receiver = socket.socket()
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        receiver.setblocking(False)
        await asyncio.get_running_loop().sock_connect(receiver, ("127.0.0.1", server.port))
        link = await connect(server.url, sock=receiver, compression=None, proxy=None, max_queue=1)
        await link.send(json.dumps({"type": "session.update", "session": SESSION}))
        for seq in range(10**6):
            await link.send(
                pack(Frame(Kind.MIC_REF, seq, np.zeros((HOP, 2), np.int16), seq * HOP, seq * HOP))
            )

    await asyncio.gather(*(_quietly(one()) for _ in range(3)))
    await asyncio.sleep(3600)


async def half_open(server: LocalServer) -> None:
    """Five hundred who begin a handshake and never end it, again whenever they are cut off."""

    async def once() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET /v1/realtime HTTP/1.1\r\nHost: x\r\nUpgr")
        await reader.read(1)
        writer.close()

    async def again_and_again() -> None:
        while True:
            await _quietly(once())

    await asyncio.gather(*(again_and_again() for _ in range(500)))


ATTACKS = {
    "nothing": nothing,
    "100 connects a second": connects,
    "garbage, 5 new peers a second": garbage,
    "one floods with audio": flood,
    "three never read": deaf,
    "500 half-open sockets": half_open,
    "nothing again": nothing,
}


def rss_mb(pid: int) -> float:
    """Return the memory of a process; Linux only."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") / 1e6


@contextlib.contextmanager
def under(attack: str, port: int) -> Iterator[None]:
    """Attack from another process, or the attacker's own work would count as the server's."""
    command = [sys.executable, "-m", "tests.chaos.faults", "--attack", attack, "--port", str(port)]
    attacking = subprocess.Popen(command)
    try:
        time.sleep(2)  # until it is at work
        yield
    finally:
        attacking.kill()
        attacking.wait()


def measure(server: LocalServer, seconds: float) -> None:
    """Print a row for each attack."""
    print("| attack | p50 ms | p95 ms | p99 ms | frames back | server RSS MB |\n|---|---|---|---|---|---|")
    for name in ATTACKS:
        with under(name, server.port):
            took = asyncio.run(talk(server, seconds))
            rss = rss_mb(server.pid)
        p50, p95, p99 = np.percentile(took, [50, 95, 99])
        back = f"{len(took)} of {round(50 * seconds) - 1}"
        print(f"| {name} | {p50:.1f} | {p95:.1f} | {p99:.1f} | {back} | {rss:.0f} |", flush=True)
        time.sleep(1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=8, help="of talk for each attack")
    parser.add_argument("--attack", choices=ATTACKS, help="only attack, for good, the server at --port")
    parser.add_argument("--port", type=int)
    options = parser.parse_args()
    if options.attack:
        asyncio.run(ATTACKS[options.attack](LocalServer(options.port)))
        return
    with local_server("--asr", "none") as server:
        measure(server, options.seconds)


if __name__ == "__main__":
    main()
