"""One session over as many WebSockets as it takes: a lost one is opened again, and the session resumed.

A session that the service has lost for good is replaced by a new one, which goes on with what was not
acknowledged.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from client.connect import Address, ClosedError, DuplexError, RefusedError, closed
from client.unacked import Message, Unacked
from client.wire import Frame, Kind, Numbering, pack, unpack

RETRY_S = (0, 0.25, 0.5, 1, 2, 4)  # the last one again and again
STEADY_S = 5.0  # a connection that held for so long was no failed try
FULL = (429, 502, 503, 504, 1013, 4429)  # of a service, or a proxy before it, that may let us in later
RESUMABLE = (None, 1001, 1005, 1006)  # the close codes after which the server still has the session
LOST_FOR_GOOD = (1012, 4404)  # … and after which it has not
REPLACE_S = 30.0  # for so long a service is waited for that may begin a new one
SETTINGS = ("type", "audio", "aec", "duplex")  # of the description of a session
STALL_S = 20.0  # without an acknowledgement

Event = dict[str, Any]


class Line:
    """Carries frames and events both ways, in order, each once.

    Args:
        address: Of the service.
        rate: Of the audio, Hz.
        on_event: Takes each event; the socket is not read until it returns.
        on_audio: Takes each frame of the server.
        on_end: Told once that nothing more comes: None after a regular end.
    """

    def __init__(
        self,
        address: Address,
        rate: int,
        on_event: Callable[[Event], Awaitable[None]],
        on_audio: Callable[[Frame], None],
        on_end: Callable[[DuplexError | None], Awaitable[None]],
    ) -> None:
        self.numbering = Numbering()
        self.session: Event = {}  # the server's last description of it; its token is what is resumed with
        self._rate = rate
        self._address = address
        self._on_event, self._on_audio, self._on_end = on_event, on_audio, on_end
        self._unacked = Unacked(rate)
        self._news = asyncio.Event()  # an acknowledgement, or the end
        self._turn = asyncio.Lock()  # of who sends: numbers and bytes leave in one order
        self._last_event: str | None = None  # that came
        self._up = False
        self._began_at = self._lost_at = 0.0
        self._tries = 0  # since the server made progress
        self._replacing = ""  # why, while there is no session that could be resumed
        self._end: DuplexError | None = None
        self._socket: ClientConnection | None = None
        self._reader: asyncio.Task[None] | None = None

    @property
    def connected(self) -> bool:
        """Messages leave at once; otherwise they wait for the session to be resumed."""
        return self._up

    @property
    def _kept_s(self) -> float:
        """How long the server keeps the session without a connection, or a new one is asked for."""
        if self._replacing:
            return REPLACE_S
        return self.session["limits"]["resume_ms"] / 1000 if "resume_token" in self.session else 0

    async def open(self) -> None:
        """Connect.

        Raises:
            DuplexError: If that fails.
        """
        self._socket = await self._address.open()
        self._up = True
        self._reader = asyncio.create_task(self._read(self._socket))

    async def close(self) -> None:
        """End the session; does nothing the second time."""
        self._up = False
        self._end = self._end or DuplexError("the session was closed")
        if self._socket is not None:
            await self._socket.close()
        if self._reader is not None:
            self._reader.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reader

    async def send_audio(
        self, audio: NDArray[np.int16], kind: Literal[Kind.MIC_REF, Kind.MIC, Kind.REF], ms: int
    ) -> None:
        """Number and send a frame, `(n, 2)` or `(n,)`; wait while 3 s are not acknowledged.

        Raises:
            DuplexError: If the session is over, or the server is stuck.
        """
        await self._room()
        async with self._turn:
            pair = kind is Kind.MIC_REF
            frame = self.numbering.pair(audio, ms) if pair else self.numbering.apart(kind, audio, ms)
            await self._send(frame.seq, frame)

    async def send_event(self, event: Event) -> None:
        """Send an event behind the audio that was sent before it.

        Raises:
            DuplexError: If the session is over.
        """
        async with self._turn:
            await self._send(self.numbering.next_seq, json.dumps(event))

    async def _room(self) -> None:
        while self._unacked.full and self._end is None:
            self._news.clear()
            try:
                async with asyncio.timeout(STALL_S):
                    await self._news.wait()
            except TimeoutError:
                if self._up:
                    raise DuplexError(
                        f"the server acknowledged no audio for {STALL_S:g} s, or its events are not read"
                    ) from None

    async def _send(self, seq: int, message: Message) -> None:
        if self._end is not None:
            raise self._end
        if self._socket is None:
            raise DuplexError("the client is not connected: use `async with`")
        self._unacked.add(seq, message)
        if self._up:
            with contextlib.suppress(ConnectionClosed):  # the reader sees it too, and knows what to do
                await self._socket.send(_encoded(message))

    async def _read(self, socket: ClientConnection) -> None:
        """Receive until the session is over, over one socket after the other."""
        end: DuplexError | None = None
        try:
            while (lost := await self._read_one(socket)) is not None:
                if self._up:
                    self._up = False
                    await self._on_event({"type": "connection.lost", "message": str(lost)})
                socket = self._socket = await self._reopen(lost)
        except ValueError as error:
            end = DuplexError(f"the server sent something unreadable: {error}")
        except DuplexError as error:
            end = error
        except Exception as error:  # of a callback: whoever iterates must hear of it
            end = DuplexError(f"a callback failed: {error!r}")
            end.__cause__ = error
        self._up, self._end = False, end or DuplexError("the server ended the session")
        self._news.set()
        await self._on_end(end)

    async def _read_one(self, socket: ClientConnection) -> ClosedError | None:
        """Receive from one socket; return why it was lost if the session can be resumed or replaced.

        Raises:
            DuplexError: If it cannot.
            ValueError: If the server sends what nobody can read.
        """
        try:
            while True:
                await self._receive(socket, await socket.recv())
        except ConnectionClosed as error:
            reason = closed(error)
            if isinstance(reason, RefusedError):
                raise reason from error
            if reason.code == 1000:
                return None
            if reason.code in LOST_FOR_GOOD and "resume_token" in self.session:
                self._replacing = str(reason)
            if self._replacing or (reason.code in RESUMABLE and self._kept_s):
                return reason
            raise reason from error

    async def _receive(self, socket: ClientConnection, message: str | bytes) -> None:
        if isinstance(message, bytes):
            self._on_audio(unpack(message))
            return
        event = json.loads(message)
        if not isinstance(event, dict) or "type" not in event:
            raise ValueError("an event without a type")
        if event["type"] == "duplex.ack":
            self._unacked.acknowledge(event["next_seq"])
            self._news.set()
            self._tries = 0
        elif event["type"] == "session.updated":
            self.session = event["session"]
            event = event if self._up else await self._begin(socket, event)
        elif event["type"] == "error" and self._replacing:
            raise DuplexError(f"the server refused the session: {event['error'].get('message')}")
        self._last_event = event.get("event_id")
        await self._on_event(event)

    async def _come_back(self) -> ClientConnection:
        """Connect, and ask for the session, or for another with its settings.

        Raises:
            RefusedError: If the service refuses.
            DuplexError: If there is none, or it goes away again.
        """
        socket = await self._address.open(None if self._replacing else self.session["id"])
        try:
            async with asyncio.timeout(self._address.timeout_s):
                await socket.recv()  # the description of a new session, which may give way to ours
                await socket.send(json.dumps(self._set_up() if self._replacing else self._resume()))
        except ConnectionClosed as error:
            raise closed(error) from error
        except TimeoutError:
            await socket.close()
            raise DuplexError(f"{self._address.url} accepted the connection and says nothing") from None
        return socket

    def _set_up(self) -> Event:
        settings = {name: self.session[name] for name in SETTINGS if name in self.session}
        return {"type": "session.update", "session": settings}

    def _resume(self) -> Event:
        return {
            "type": "duplex.resume",
            "session": self.session["id"],
            "token": self.session["resume_token"],
            "next_seq": self._unacked.first(self.numbering.next_seq),
            **({"last_event_id": self._last_event} if self._last_event else {}),
        }

    async def _begin(self, socket: ClientConnection, event: Event) -> Event:
        """Go on with the session that answered; return what the user is told."""
        self._began_at = time.monotonic()
        if self.session.get("resumed"):
            await self._replay(socket, self.session["next_seq"])
            return event
        start_ms = 1000 * self._unacked.start(self.numbering.sent) / self._rate
        told = {
            "type": "session.replaced",
            "event_id": event.get("event_id"),
            "message": self._replacing,
            "session": self.session,
            "start_ms": start_ms,
        }
        self._replacing = ""
        await self._replay(socket, self._unacked.first(self.numbering.next_seq))
        return told

    async def _replay(self, socket: ClientConnection, next_seq: int) -> None:
        async with self._turn:
            self._up = True
            for message in self._unacked.missing(next_seq):
                await socket.send(_encoded(message))

    async def _reopen(self, lost: ClosedError) -> ClientConnection:
        """Open a new socket, for as long as the server keeps the session or may begin a new one.

        Raises:
            DuplexError: If that time is over, or the server does not let us in.
        """
        kept_s, why, now = self._kept_s, str(lost), time.monotonic()
        if now - self._began_at > STEADY_S:
            self._tries = 0
        if not self._tries:
            self._lost_at = now
        while time.monotonic() < self._lost_at + kept_s:
            await asyncio.sleep(RETRY_S[min(self._tries, len(RETRY_S) - 1)])
            self._tries += 1
            try:
                return await self._come_back()
            except RefusedError as error:
                if error.status not in FULL:
                    raise
                why = str(error)
            except DuplexError as error:
                why = str(error)
        raise ClosedError(f"{lost}, and could not be made again within {kept_s:g} s: {why}", lost.code)


def _encoded(message: Message) -> str | bytes:
    return message if isinstance(message, str) else pack(message)
