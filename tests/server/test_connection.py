"""What ends a connection, where the order in which its tasks see it must not matter."""

import asyncio
from typing import Any

import pytest
from starlette.websockets import WebSocketDisconnect

from server.connection import Connection
from server.lane import Lane
from server.session import Session
from server.session_config import Backends, Limits
from server.settings import Settings


class Sessions:
    """A registry of one session, which writes down what becomes of it."""

    def __init__(self) -> None:
        self.fate: str | None = None

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
