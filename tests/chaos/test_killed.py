"""A server process that is killed: its sessions are gone, its clients learn so, and other processes go on."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest

from client.duplex import ClosedError, DuplexClient, DuplexError
from client.local_server import SMALL, free_port

pytestmark = pytest.mark.slow  # starts three processes
SECOND = np.zeros(16_000, np.int16)


@contextlib.contextmanager
def process(port: int) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "client.cli", "serve", "--port", str(port), "--asr", "none"]
    running = subprocess.Popen(command, env=SMALL | os.environ)
    try:
        yield running
    finally:
        running.kill()
        running.wait()


async def connected(url: str) -> DuplexClient:
    """Return a client as soon as the server lets one in."""
    for _ in range(300):
        client = DuplexClient(url)
        with contextlib.suppress(DuplexError):
            return await client.__aenter__()
        await asyncio.sleep(0.2)
    pytest.fail("the server did not become ready")


async def until_acked(client: DuplexClient, seq: int) -> list[str]:
    kinds: list[str] = []
    while client.acked_seq < seq:
        kinds.append((await anext(aiter(client)))["type"])
    return kinds


async def test_kill_9():
    port, other_port = free_port(), free_port()
    url, other_url = (f"ws://127.0.0.1:{each}/v1/realtime" for each in (port, other_port))
    with process(other_port), process(port) as first:
        client, other = await connected(url), await connected(other_url)
        async with client, other:
            for each in (client, other):
                await each.send(SECOND, SECOND)
                await until_acked(each, 50)
            first.send_signal(signal.SIGKILL)
            first.wait()
            with process(port):
                await client.send(SECOND, SECOND)  # kept by the client: it does not know yet
                with pytest.raises(ClosedError, match="no such session") as over:
                    await until_acked(client, 100)
                assert over.value.code == 4404
                async with DuplexClient(url) as again:
                    await again.send(SECOND, SECOND)
                    await until_acked(again, 50)
            await other.send(SECOND, SECOND)
            assert not {"connection.lost", "duplex.gap"} & set(await until_acked(other, 100))
