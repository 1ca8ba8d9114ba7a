"""A server process that is killed: its clients go on in a new session, and other processes notice nothing."""

import os
import signal

import numpy as np
import pytest

from client.duplex import DuplexClient
from client.local_server import local_server

pytestmark = pytest.mark.slow  # starts three processes
SECOND = np.zeros(16_000, np.int16)
QUIET = ("--asr", "none")


async def until_acked(client: DuplexClient, seq: int) -> list[str]:
    kinds: list[str] = []
    while client.acked_seq < seq:
        kinds.append((await anext(aiter(client)))["type"])
    return kinds


async def test_kill_9():
    with local_server(*QUIET) as other_server, local_server(*QUIET) as server:
        async with DuplexClient(server.url) as client, DuplexClient(other_server.url) as other:
            for each in (client, other):
                await each.send(SECOND, SECOND)
                await until_acked(each, 50)
            os.kill(server.pid, signal.SIGKILL)
            await client.send(SECOND, SECOND)  # kept by the client, which may not know yet
            with local_server(*QUIET, port=server.port):
                kinds = await until_acked(client, 100)
            assert [kind for kind in kinds if not kind.startswith("duplex.")] == [
                "connection.lost",
                "session.replaced",
            ]
            assert client.replaced == 1
            await other.send(SECOND, SECOND)
            assert not {"connection.lost", "duplex.gap"} & set(await until_acked(other, 100))
