"""One accepted WebSocket: a task that reads, a task that writes, and one that watches the clock."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import MutableMapping
from time import perf_counter
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from server.errors import CloseCode, ProtocolError
from server.events import (
    ErrorBody,
    ErrorEvent,
    Ping,
    Pong,
    Resume,
    ServerEvent,
    SessionCreated,
    SessionUpdate,
    SessionUpdated,
)
from server.inbox import FULL_MS, WARN_QUEUED_MS, Message
from server.outbox import Close, Moved
from server.pace import Pace
from server.protocol import AudioFrame, ServerProtocol, encode_event, error_event
from server.registry import Registry
from server.sent import Sent, event_id
from server.settings import Settings

CATCH_UP_S = 2.0
WATCH_S = 0.25
WARN_EVERY_S = 5.0
CLOSE_S = 1.0
MAX_ERRORS = 100  # a peer that makes so many mistakes is broken; answering only costs the others time

_UNINTENDED = (1001, 1005, 1006, 1011)  # of these a client may come back and resume

logger = logging.getLogger(__name__)


class _Closing(Exception):
    """Ends a connection from inside one of its tasks."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class _Lost(Exception):
    """The peer has gone; `code` is what it closed with."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Connection:
    """Carries one session over one WebSocket, or two: a client may resume its earlier one."""

    def __init__(self, socket: WebSocket, registry: Registry, settings: Settings) -> None:
        self._socket = socket
        self._registry = registry
        self._settings = settings
        self._session = registry.open()
        self._protocol = ServerProtocol(self._session.config.rate)
        self._pace = Pace()
        self._session.attach(self._displace)
        self._writer: asyncio.Task[None] | None = None
        self._patience_s = settings.max_behind_s
        self._replaced = asyncio.Event()
        self._opened_at = self._heard_at = perf_counter()
        self._sending_since: float | None = None
        self._behind_since: float | None = None
        self._warned_at: float | None = None
        self._errors = 0

    async def run(self, subprotocol: str | None) -> int:
        """Accept, and serve until either side ends it; return the close code."""
        try:
            await self._socket.accept(subprotocol=subprotocol)
        except BaseException:
            self._leave(keep=False)
            raise
        self._session.deliver([SessionCreated(session=self._session.describe())])
        writer = self._writer = asyncio.create_task(self._write())
        reader = asyncio.create_task(self._read())
        tasks = [reader, writer, asyncio.create_task(self._watch())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if writer.done() and not writer.cancelled() and isinstance(writer.exception(), _Lost):
                # Sending fails before the peer's close frame is read, which says whether it comes back.
                await asyncio.wait([reader], timeout=CLOSE_S)
            done = [task for task in tasks if task.done()]
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._writer = None  # its exception knows this object
        fault = self._why(done)
        if isinstance(fault, _Lost):
            self._leave(keep=fault.code in _UNINTENDED)
            return fault.code
        self._leave(keep=False)
        await self._close(fault)
        return fault.code

    def _why(self, done: list[asyncio.Task[None]]) -> _Closing | _Lost:
        """Return what ended the connection: our own decision, else what the reader or the writer met."""
        if self._replaced.is_set():
            return _Closing(CloseCode.REPLACED, "another connection resumed this session")
        faults = [task.exception() for task in done if not task.cancelled()]
        for kind in (_Closing, _Lost):
            for fault in faults:
                if isinstance(fault, kind):
                    return fault
        logger.error("session %s: connection failed", self._session.id, exc_info=faults[0])
        return _Closing(1011, "internal error")

    def _leave(self, keep: bool) -> None:
        if self._replaced.is_set():
            return
        self._session.detach()
        if keep:
            self._registry.drop(self._session)
        else:
            self._registry.end(self._session)

    async def _close(self, closing: _Closing) -> None:
        logger.info("session %s closed: %d %s", self._session.id, closing.code, closing.reason)
        # A peer that does not read cannot be told: then the socket is only let go.
        with contextlib.suppress(TimeoutError, WebSocketDisconnect, RuntimeError):
            async with asyncio.timeout(CLOSE_S):
                await self._socket.close(closing.code, closing.reason.encode()[:120].decode(errors="ignore"))

    async def _read(self) -> None:
        while True:
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                raise _Lost(message.get("code", 1006))
            self._heard_at = perf_counter()
            try:
                self._receive(message)
            except ProtocolError as error:
                self._refuse(error)
            if self._session.blocked:
                await self._room()

    def _receive(self, message: MutableMapping[str, Any]) -> None:
        """Read one message.

        Raises:
            ProtocolError: If it does not fit the protocol.
            _Closing: If the peer is too far behind, or resumes what is not there.
        """
        data: bytes | None = message.get("bytes")
        if data is not None:
            frame = self._protocol.receive_binary(data)
            self._check_pace(frame)
            self._session.overhear(data)
            self._submit(frame)
            self._warn_of_queue()
            return
        event = self._protocol.receive_text(message["text"])
        if not isinstance(event, Ping | Resume):  # neither is the engine's business, and one is a secret
            self._session.overhear(message["text"])
        match event:
            case Ping():
                self._session.deliver([Pong(ping_id=event.event_id)])
            case Resume():
                self._resume(event)
            case SessionUpdate():
                self._configure(event)
            case _:
                self._submit(event)

    def _configure(self, update: SessionUpdate) -> None:
        try:
            info = self._session.configure(update.session)
        except ProtocolError as error:
            error.event_id = update.event_id
            raise
        self._protocol.rate = info.rate
        self._submit(info)

    def _submit(self, message: Message) -> None:
        if not self._session.entered:
            self._registry.enter(self._session)
        self._session.submit(message, self._heard_at)

    def _check_pace(self, frame: AudioFrame) -> None:
        """Close a live peer that has been too far behind for a while; a burst may catch up."""
        position_ms = 1000 * max(frame.mic_start, frame.ref_start) / self._protocol.rate
        if self._pace.observe(frame.ms, position_ms, 1000 * self._heard_at) <= 1000 * self._patience_s:
            self._behind_since = None
        elif self._behind_since is None:
            self._behind_since = self._heard_at
        elif self._heard_at - self._behind_since > CATCH_UP_S:
            raise _Closing(CloseCode.TOO_FAST, f"more than {self._patience_s:g} s behind real time")

    def _warn_of_queue(self) -> None:
        """Tell a live client that its audio waits; who sends a file fills the queue on purpose."""
        queued_ms = self._session.lane.inbox.queued_ms
        if queued_ms < WARN_QUEUED_MS or not self._pace.steady:
            return
        if self._warned_at is not None and self._heard_at - self._warned_at < WARN_EVERY_S:
            return
        self._warned_at = self._heard_at
        self._registry.metrics.queue_warnings.inc()
        message = f"{queued_ms:.0f} ms of audio wait to be processed; {FULL_MS:.0f} ms are the most"
        self._session.deliver([ErrorEvent(error=ErrorBody(type="warning", code="behind", message=message))])

    def _resume(self, request: Resume) -> None:
        fresh = self._session
        if fresh.entered:
            raise ProtocolError(
                "duplex.resume must be the first message", "resume_too_late", event_id=request.event_id
            )
        earlier = self._registry.resume(fresh, request.session, request.token)
        if earlier is None:
            raise _Closing(CloseCode.UNKNOWN_RESUME, "there is no such session, or the token is wrong")
        earlier.attach(self._displace)
        self._session = earlier
        self._protocol.rate = earlier.config.rate
        self._warned_at = self._heard_at  # what is replayed comes at once, and may wait
        for missed in reversed(earlier.sent.take_after(request.last_event_id)):
            earlier.outbox.put_back(missed)
        earlier.deliver([SessionUpdated(session=earlier.describe(resumed=True))])
        fresh.deliver([Moved()])

    def _displace(self) -> None:
        """Let another connection have the session; what waits for the peer is its business now."""
        self._replaced.set()
        if self._writer is not None:
            self._writer.cancel()

    def _refuse(self, error: ProtocolError) -> None:
        """Answer a bad message, or close where the protocol says so.

        Raises:
            _Closing: If the peer cannot be understood any more.
        """
        self._registry.metrics.bad_messages.inc()
        self._errors += 1
        if error.close_code is not None:
            raise _Closing(error.close_code, str(error))
        if self._errors > MAX_ERRORS:
            raise _Closing(CloseCode.BAD_FRAME, f"more than {MAX_ERRORS} bad messages")
        self._session.deliver([error_event(error)])

    async def _room(self) -> None:
        """Stop reading while a queue is full: TCP then holds the peer back."""
        deadline = perf_counter() + self._patience_s
        while self._session.blocked:
            self._session.room.clear()
            try:
                async with asyncio.timeout(deadline - perf_counter()):
                    await self._session.room.wait()
            except TimeoutError:
                raise _Closing(CloseCode.TOO_FAST, f"no room for {self._patience_s:g} s") from None
        self._heard_at = perf_counter()

    async def _write(self) -> None:
        session = self._session
        while True:
            item = await session.outbox.get()
            session.room.set()
            if isinstance(item, Close):
                raise _Closing(item.code, item.reason)
            if isinstance(item, Moved):
                session = self._session
                continue
            self._sending_since = perf_counter()  # for the watch: a timeout around each would cost more
            try:
                await self._send(item, session.sent)
            except (WebSocketDisconnect, RuntimeError):
                session.outbox.put_back(item)
                raise _Lost(1006) from None
            except asyncio.CancelledError:
                session.outbox.put_back(item)
                raise
            self._sending_since = None

    async def _send(self, item: ServerEvent | bytes, sent: Sent) -> None:
        if isinstance(item, bytes):
            await self._socket.send_bytes(item)
            return
        number = sent.number + 1
        await self._socket.send_text(encode_event(item, event_id(number)))
        sent.add(number, item)

    async def _watch(self) -> None:
        """Look at the clock: is the peer deaf, idle, or here for too long? Returns once it is replaced."""
        settings = self._settings
        while not self._replaced.is_set():
            now = perf_counter()
            if self._sending_since is not None and now - self._sending_since > self._patience_s:
                raise _Closing(CloseCode.TOO_FAST, f"the peer reads nothing for {self._patience_s:g} s")
            if settings.idle_s and now - self._heard_at > settings.idle_s:
                raise _Closing(CloseCode.IDLE, f"nothing came for {settings.idle_s:g} s")
            if settings.max_session_s and now - self._opened_at > settings.max_session_s:
                raise _Closing(CloseCode.MAX_DURATION, f"open for {settings.max_session_s:g} s")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(WATCH_S):
                    await self._replaced.wait()
