"""All sessions of one process: who may join, who is kept for a while, who comes back. On the event loop."""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from server.admission import RETRY_AFTER_S, Refusal
from server.engine import Engine
from server.errors import CloseCode
from server.events import Draining
from server.metrics import Metrics
from server.outbox import Close
from server.session import Session
from server.settings import Settings

logger = logging.getLogger(__name__)


class Registry:
    """Keeps at most `max_sessions` sessions in the engine, dropped ones included.

    A dropped session is kept for `resume_s`, but gives way when a new one needs its slot.
    """

    def __init__(
        self, settings: Settings, engine: Engine, make_session: Callable[[], Session], metrics: Metrics
    ) -> None:
        self._settings = settings
        self._engine = engine
        self._make_session = make_session
        self.metrics = metrics
        self._connected: dict[str, Session] = {}
        self._kept: dict[str, tuple[Session, asyncio.TimerHandle]] = {}  # oldest first
        self._empty = asyncio.Event()
        self.draining = False

    def admit(self, resumes: str | None = None) -> Refusal | None:
        """Say whether a connection may be accepted now.

        Args:
            resumes: The session that it says it comes back for. One that is kept was admitted before, and
                costs no more than it did.
        """
        if self.draining:
            return Refusal(503, "the server is stopping", RETRY_AFTER_S)
        if len(self._connected) >= self._settings.max_sessions:
            taken = f"all {self._settings.max_sessions} sessions are taken"
            return Refusal(CloseCode.TOO_FAST, taken, RETRY_AFTER_S)
        # Alone on the machine it is let in whatever was measured: only a live session measures anew.
        others = len(self._connected)
        admitted = resumes in self._kept
        if others and not admitted and self._engine.meter.load(others + 1) > self._settings.max_load:
            return Refusal(CloseCode.TOO_FAST, "the server is at its capacity", RETRY_AFTER_S)
        return None

    def describe(self) -> list[dict[str, Any]]:
        """Return what an operator may know of each session; no word that was said, and no token."""
        kept = [session for session, _ in self._kept.values()]
        return [each.summary(connected=True) for each in self._connected.values()] + [
            each.summary(connected=False) for each in kept
        ]

    def open(self) -> Session:
        """Start a session; it takes no slot of the engine until `enter`."""
        session = self._make_session()
        self._connected[session.id] = session
        self.metrics.opened.inc()
        self._count()
        logger.info("session %s opened", session.id)
        return session

    def enter(self, session: Session) -> None:
        """Give a session its slot in the engine; the longest dropped one makes room if it must."""
        entered = sum(each.entered for each in self._connected.values()) + len(self._kept)
        if entered >= self._settings.max_sessions:
            oldest, _ = next(iter(self._kept.values()))
            logger.info("session %s gives way", oldest.id)
            self.end(oldest)
        session.entered = True
        self._engine.join(session.lane)

    def drop(self, session: Session) -> None:
        """The connection was lost: keep the session for a client that comes back."""
        if self._connected.pop(session.id, None) is None:
            return
        if not session.entered or self.draining or not self._settings.resume_s:
            self._finish(session)
            return
        timer = asyncio.get_running_loop().call_later(self._settings.resume_s, self.end, session)
        self._kept[session.id] = (session, timer)
        self._count()
        logger.info("session %s dropped, kept for %g s", session.id, self._settings.resume_s)

    def end(self, session: Session) -> None:
        """Forget a session; does nothing the second time."""
        kept = self._kept.pop(session.id, None)
        if kept is not None:
            kept[1].cancel()
        if kept is not None or self._connected.pop(session.id, None) is not None:
            self._finish(session)

    def resume(self, fresh: Session, session_id: str, token: str) -> Session | None:
        """Exchange the session of a new connection for an earlier one.

        Returns:
            The earlier session, or None if there is none or the token is not its own. A connection that
            still holds it is told that it was replaced.
        """
        kept = self._kept.get(session_id)
        earlier = kept[0] if kept else self._connected.get(session_id)
        if earlier is None or not hmac.compare_digest(earlier.token.encode(), token.encode()):
            return None
        if kept is not None:
            kept[1].cancel()
            del self._kept[session_id]
        self._connected.pop(fresh.id, None)
        self._finish(fresh)
        self._connected[earlier.id] = earlier
        self.metrics.resumed.inc()
        self._count()
        logger.info("session %s resumed", earlier.id)
        return earlier

    async def drain(self, give_up: Callable[[], bool] = lambda: False) -> None:
        """Refuse new sessions, tell the others, and close what is left with 1012 at the deadline.

        Args:
            give_up: Asked ten times a second; True ends the waiting.
        """
        self.draining = True
        deadline = asyncio.get_running_loop().time() + self._settings.drain_s
        for session in self._connected.values():
            session.deliver([Draining(deadline_ms=1000 * self._settings.drain_s)])
        while self._connected and not give_up() and asyncio.get_running_loop().time() < deadline:
            with suppress(TimeoutError):
                async with asyncio.timeout(0.1):
                    await self._empty.wait()
        for session in list(self._connected.values()):
            session.deliver([Close(1012, "the server restarts")])
        for session, _ in list(self._kept.values()):
            self.end(session)

    def _finish(self, session: Session) -> None:
        self._engine.leave(session.lane)
        self._count()
        logger.info("session %s ended", session.id)

    def _count(self) -> None:
        if self._connected:
            self._empty.clear()
        else:
            self._empty.set()
        self.metrics.sessions.set(len(self._connected))
        self.metrics.kept.set(len(self._kept))
