"""What ends a connection, where the order in which its tasks see it must not matter."""

import asyncio
import json
from typing import Any

import numpy as np
import pytest
from starlette.websockets import WebSocketDisconnect

from client.wire import Frame, Kind, pack
from server.connection import Connection
from server.lane import Lane
from server.metrics import Metrics
from server.session import Session
from server.session_config import Backends, Limits
from server.settings import Settings


class Sessions:
    """A registry of one session, which writes down what becomes of it."""

    def __init__(self) -> None:
        self.fate: str | None = None
        self.metrics = Metrics()

    def enter(self, session: Session) -> None:
        session.entered = True

    def open(self) -> Session:
        backends = Backends(asr="none", vad="none", turn="none", aec="none")
        return Session(Lane("sess_1", NoTurns(), None), backends, Limits(), 320, lambda: None)

    def drop(self, session: Session) -> None:
        self.fate = "kept"

    def end(self, session: Session) -> None:
        self.fate = "ended"


class NoTurns:
    def submit(self, audio: Any) -> Any:
        raise AssertionError("nobody speaks")


class HungUp:
    """A socket that cannot be written to any more; what the peer closed with is read a little later."""

    def __init__(self, code: int | None) -> None:
        self._code = code
        self._failed = asyncio.Event()

    async def accept(self, subprotocol: str | None = None) -> None:
        pass

    async def send_text(self, text: str) -> None:
        self._failed.set()
        raise WebSocketDisconnect(1006)

    async def receive(self) -> dict[str, Any]:
        await self._failed.wait()
        for _ in range(10):  # until long after the writer has ended
            await asyncio.sleep(0)
        if self._code is None:
            await asyncio.Event().wait()
        return {"type": "websocket.disconnect", "code": self._code}


@pytest.mark.parametrize(
    ("code", "seen", "fate"),
    [
        pytest.param(1000, 1000, "ended", id="closed for good"),
        pytest.param(1001, 1001, "kept", id="the page goes away, or comes back"),
        pytest.param(1005, 1005, "kept", id="line lost"),
        pytest.param(None, 1006, "kept", id="nothing is heard of it"),
    ],
)
async def test_the_close_code_counts_though_sending_fails_first(
    code: int | None, seen: int, fate: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("server.connection.CLOSE_S", 0.05 if code is None else 60)
    sessions = Sessions()
    connection = Connection(HungUp(code), sessions, Settings())  # type: ignore[arg-type]

    assert await connection.run(None) == seen
    assert sessions.fate == fate


class Line:
    """A socket on which frames come all at once; what is sent is kept."""

    def __init__(self, frames: list[bytes]) -> None:
        self._frames = iter(frames)
        self.sent: list[dict[str, Any]] = []

    async def accept(self, subprotocol: str | None = None) -> None:
        pass

    async def send_text(self, text: str) -> None:
        self.sent.append(json.loads(text))

    async def receive(self) -> dict[str, Any]:
        for frame in self._frames:
            return {"type": "websocket.receive", "bytes": frame}
        for _ in range(20):  # until long after the writer had its turn
            await asyncio.sleep(0)
        return {"type": "websocket.disconnect", "code": 1000}


def frames(count: int, ms_each: int) -> list[bytes]:
    audio = np.zeros((480, 2), np.int16)
    return [pack(Frame(Kind.MIC_REF, n, audio, 480 * n, 480 * n, ms=ms_each * n)) for n in range(count)]


@pytest.mark.parametrize(
    ("ms_each", "count", "warnings"),
    [
        pytest.param(20, 9, 0, id="a live client, 180 ms"),
        pytest.param(20, 24, 1, id="a live client, 480 ms: told once"),
        pytest.param(0, 24, 0, id="a file at full speed fills the queue on purpose"),
    ],
)
async def test_a_live_client_is_told_when_its_audio_waits(ms_each: int, count: int, warnings: int):
    line, sessions = Line(frames(count, ms_each)), Sessions()
    connection = Connection(line, sessions, Settings())  # type: ignore[arg-type]

    await connection.run(None)

    told = [event["error"] for event in line.sent if event["type"] == "error"]
    assert [(error["type"], error["code"]) for error in told] == [("warning", "behind")] * warnings
    assert all(error["message"].startswith("200 ms") for error in told)
    assert f"duplex_queue_warnings_total {float(warnings)}" in sessions.metrics.exposition().decode()
