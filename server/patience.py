"""How long a socket may take over what is not yet, or not any more, a session.

uvicorn limits the time between two requests and nothing else: without these a peer that begins a request
and never ends it, or never reads its answer, keeps its socket for good. One limit serves all, uvicorn's own
`timeout_keep_alive`.
"""

from __future__ import annotations

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol


class PatientHttp(H11Protocol):
    """Cuts off who does not get on with a request, or with reading its answer."""

    _limit: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Expect a whole request from now on."""
        super().connection_made(transport)
        self._expect()

    def on_response_complete(self) -> None:
        """Expect the next request."""
        super().on_response_complete()
        self._expect()

    def resume_writing(self) -> None:
        """Take a peer that has read something for one that gets on."""
        super().resume_writing()
        self._expect()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """Leave the socket to a session, which has limits of its own."""
        self._relax()
        super().handle_websocket_upgrade(event)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is expected any more."""
        self._relax()
        super().connection_lost(exc)

    def _expect(self) -> None:
        self._relax()
        self._limit = self.loop.call_later(self.timeout_keep_alive, self.transport.abort)

    def _relax(self) -> None:
        if self._limit is not None:
            self._limit.cancel()


class PatientWebSocket(WebSocketsSansIOProtocol):
    """Cuts off who does not read what is left once its session is over."""

    _limit: asyncio.TimerHandle | None = None

    async def run_asgi(self) -> None:
        """Serve the session; then there is one limit for all that remains."""
        await super().run_asgi()
        if not self.disconnected:
            self._limit = self.loop.call_later(self.config.timeout_keep_alive, self.transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        """There is nothing left to cut off."""
        if self._limit is not None:
            self._limit.cancel()
        super().connection_lost(exc)
