"""Nothing of a session outlives it, not even until the next collection of cycles: it has half a megabyte."""

import asyncio
import gc
import json
from collections.abc import Generator
from typing import Any

import numpy as np
import pytest
from websockets.asyncio.client import connect

from client.wire import Frame, Kind, pack
from server.connection import Connection
from server.lane import Lane
from server.session import Session

OF_A_SESSION = (Connection, Lane, Session)


async def come_and_go(url: str) -> None:
    async with connect(url, compression=None, proxy=None) as link:
        session = {"audio": {"input": {"format": {"rate": 16_000}}}, "duplex": {"cleaned_audio": True}}
        await link.send(json.dumps({"type": "session.update", "session": session}))
        for seq in range(5):
            audio = np.zeros((320, 2), np.int16)
            await link.send(pack(Frame(Kind.MIC_REF, seq, audio, seq * 320, seq * 320)))
        while not isinstance(await link.recv(), bytes):
            pass


def of_a_session() -> list[Any]:
    return [each for each in gc.get_objects() if type(each) in OF_A_SESSION]


def left(before: set[int]) -> list[str]:
    return [type(each).__name__ for each in of_a_session() if id(each) not in before]


@pytest.fixture
def no_collections() -> Generator[None]:
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collections")
async def test_no_object_of_a_session_outlives_it(start_server: Any):
    server = start_server()
    gc.collect()  # what earlier tests have left
    before = {id(each) for each in of_a_session()}
    for _ in range(20):
        await come_and_go(server.url)
    await server.shows("duplex_sessions 0.0")
    for _ in range(200):  # the engine's thread forgets a lane at its next tick
        if not left(before):
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"left: {left(before)}")
