"""A client of the service: microphone and reference in, events and cleaned audio out.

```python
async with DuplexClient("ws://127.0.0.1:8080/v1/realtime") as client:
    await client.send(mic, ref)  # any length, float32 or int16, at `rate`
    async for event in client:
        print(event["type"])
```
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI
from websockets.typing import Subprotocol

from client.agent_voice import AgentVoice
from client.cleaned import CleanedAudio
from client.wire import FRAME_MS, SUBPROTOCOL, Frame, Kind, Numbering, pack, to_int16, unpack

DEFAULT_URL = "ws://127.0.0.1:8080/v1/realtime"
QUEUED_EVENTS = 1024
MAX_MESSAGE_BYTES = 1 << 20

Event = dict[str, Any]
"""One JSON event of the protocol, as it came."""

Audio = NDArray[np.float32] | NDArray[np.int16]


class DuplexError(Exception):
    """The service cannot be reached, refused, or closed the session; the message says which."""


class DuplexClient:
    """One session of the service; use it as an async context manager.

    A task of its own reads the socket, so that pings are answered while the caller is busy. Events wait in
    a queue of 1024; when that is full the socket is no longer read, and the server merges partial results
    and statistics until the caller catches up. A lost connection ends the iteration with `DuplexError`.

    Args:
        url: Where the service listens.
        rate: Of the audio that is sent, in Hz: 16000, 24000 or 48000.
        session: More settings for `session.update`, merged into what the client sends by itself.
        collect: Ask for the cleaned audio and keep it in `cleaned`.
        timeout_s: How long the handshake and the first events may take.
        ca: PEM file of a certificate to trust beside the system's, for a service that made its own.
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        rate: int = 16_000,
        session: Event | None = None,
        collect: bool = False,
        timeout_s: float = 10.0,
        ca: Path | None = None,
    ) -> None:
        self.url = url
        self._ca = ca
        self.rate = rate
        self.cleaned = CleanedAudio()
        self.agent = AgentVoice(rate)  # for a session with an agent of the server: what to play
        self.session: Event = {}  # the server's description of it
        self.greeting: list[Event] = []  # the events that came before the iteration starts
        self.acked_seq = 0
        self.progress = asyncio.Event()  # set whenever the server shows how far it has come
        self._wanted = _merge(_default_session(rate, collect), session or {})
        self._timeout_s = timeout_s
        self._frame = rate * FRAME_MS // 1000
        self._pending = np.zeros((0, 2), np.int16)
        self._numbering = Numbering()
        self._events: asyncio.Queue[Event | DuplexError | None] = asyncio.Queue(QUEUED_EVENTS)
        self._socket: ClientConnection | None = None
        self._reader: asyncio.Task[None] | None = None

    @property
    def sent(self) -> int:
        """Samples of the microphone that were sent."""
        return self._numbering.sent

    async def __aenter__(self) -> Self:
        self._socket = await _open(self.url, self._timeout_s, self._ca)
        self._reader = asyncio.create_task(self._read(self._socket))
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._expect("session.created")
                await self.update(self._wanted)
                await self._expect("session.updated")
        except TimeoutError:
            await self.close()
            raise DuplexError(f"{self.url} accepted the connection but did not start a session") from None
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """End the session; does nothing the second time."""
        if self._socket is not None:
            await self._socket.close()
        if self._reader is not None:
            self._reader.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reader

    async def send(self, mic: Audio, ref: Audio) -> None:
        """Send a stretch of both channels; what does not fill a 20 ms frame waits for the next call.

        Args:
            mic: Microphone, shape `(n,)`, at `rate`.
            ref: What the loudspeaker played, sample for sample beside `mic`, shape `(n,)`.

        Raises:
            ValueError: If the shapes differ.
            DuplexError: If the session is over.
        """
        if mic.ndim != 1 or mic.shape != ref.shape:
            raise ValueError(f"mic {mic.shape} and ref {ref.shape} must be one-dimensional and equally long")
        fresh = np.stack([to_int16(mic), to_int16(ref)], axis=1)
        audio = np.concatenate([self._pending, fresh])
        whole = len(audio) - len(audio) % self._frame
        self._pending = audio[whole:]
        for start in range(0, whole, self._frame):
            await self._send_frame(audio[start : start + self._frame])

    async def send_apart(self, kind: Literal[Kind.MIC, Kind.REF], audio: NDArray[np.int16], ms: int) -> None:
        """Send one frame of a microphone and a reference that do not share a clock.

        The server finds out how the clocks drift, from the indices and `ms`.

        Args:
            kind: Which of the two.
            audio: Samples at `rate`, `(n,)`, 10 to 100 ms.
            ms: When the last of them was captured, on a monotonic clock of both.

        Raises:
            DuplexError: If the session is over.
        """
        await self._send(pack(self._numbering.apart(kind, audio, ms)))

    async def flush(self) -> None:
        """Send what waits for a whole frame, filled up with silence."""
        missing = -len(self._pending) % self._frame
        silence = np.zeros(missing, np.int16)
        await self.send(silence, silence)

    async def update(self, session: Event) -> None:
        """Change the session; the keys are those of `session.update`."""
        await self.send_event({"type": "session.update", "session": session})

    async def commit(self) -> None:
        """End the person's turn now."""
        await self.send_event({"type": "input_audio_buffer.commit"})

    async def send_event(self, event: Event) -> None:
        await self._send(json.dumps(event))

    async def __aiter__(self) -> AsyncIterator[Event]:
        while (event := await self._next()) is not None:
            yield event

    async def _next(self) -> Event | None:
        event = await self._events.get()
        if isinstance(event, DuplexError):
            raise event
        return event

    async def _expect(self, kind: str) -> None:
        """Wait for a description of the session at its start."""
        while (event := await self._next()) is not None:
            self.greeting.append(event)
            if event["type"] == kind:
                self.session = event["session"]
                return
            if event["type"] == "error" and event["error"].get("type") != "warning":
                raise DuplexError(f"the server refused the session: {event['error'].get('message')}")
        raise DuplexError(f"the server closed the session before {kind}")

    async def _send_frame(self, audio: NDArray[np.int16]) -> None:
        ms = time.monotonic_ns() // 1_000_000
        await self._send(pack(self._numbering.pair(audio, ms)))

    async def _send(self, message: str | bytes) -> None:
        if self._socket is None:
            raise DuplexError("the client is not connected: use `async with`")
        try:
            await self._socket.send(message)
        except ConnectionClosed as error:
            raise _closed(error) from error

    async def _read(self, socket: ClientConnection) -> None:
        try:
            async for message in socket:
                if isinstance(message, bytes):
                    self._take_audio(unpack(message))
                else:
                    await self._take_event(json.loads(message))
        except ConnectionClosed as error:
            await self._events.put(_closed(error))
        except ValueError as error:
            await self._events.put(DuplexError(f"the server sent something unreadable: {error}"))
        else:
            await self._events.put(None)
        self.progress.set()

    def _take_audio(self, frame: Frame) -> None:
        if frame.kind == Kind.CLEANED:
            self.cleaned.add(frame)
            self.progress.set()
        elif frame.kind == Kind.AGENT:
            self.agent.add(frame.audio[:, 0])

    async def _take_event(self, event: Event) -> None:
        if event["type"] == "duplex.ack":
            self.acked_seq = event["next_seq"]
            self.progress.set()
        self.agent.hear(event)
        await self._events.put(event)


def _default_session(rate: int, collect: bool) -> Event:
    return {
        "type": "transcription",
        "audio": {"input": {"format": {"type": "audio/pcm", "rate": rate}}},
        "duplex": {"cleaned_audio": collect},
    }


def _merge(base: Event, extra: Event) -> Event:
    """Return `base` with the keys of `extra` laid over it, nested objects merged."""
    merged = dict(base)
    for key, value in extra.items():
        old = merged.get(key)
        merged[key] = _merge(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged


def _trust(ca: Path) -> ssl.SSLContext:
    context = ssl.create_default_context()
    try:
        context.load_verify_locations(ca)
    except OSError as error:
        raise DuplexError(f"{ca}: holds no certificate ({error.strerror or error})") from error
    return context


async def _open(url: str, timeout_s: float, ca: Path | None) -> ClientConnection:
    """Connect and choose the subprotocol.

    Raises:
        DuplexError: If nobody listens there, or the server refuses.
    """
    trust: dict[str, Any] = {"ssl": _trust(ca)} if ca is not None and url.startswith("wss:") else {}
    local = urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1")
    try:
        return await connect(
            url,
            subprotocols=[Subprotocol(SUBPROTOCOL)],
            compression=None,
            max_size=MAX_MESSAGE_BYTES,
            open_timeout=timeout_s,
            proxy=None if local else True,
            **trust,
        )
    except InvalidStatus as error:
        raise DuplexError(_refusal(url, error)) from error
    except ssl.SSLCertVerificationError as error:
        raise DuplexError(
            f"the certificate of {url} is not trusted ({error.verify_message}): "
            "if the service made it, name the file with --ca"
        ) from error
    except TimeoutError as error:
        raise DuplexError(f"{url} did not answer within {timeout_s:.0f} s") from error
    except (InvalidURI, InvalidHandshake, ValueError) as error:
        raise DuplexError(f"{url} is no service of ours: {error}") from error
    except OSError as error:
        raise DuplexError(
            f"nothing listens at {url} ({error.strerror or error}): start it with `duplex serve`"
        ) from error


def _refusal(url: str, error: InvalidStatus) -> str:
    status, headers = error.response.status_code, error.response.headers
    retry = f"; try again in {headers['Retry-After']} s" if "Retry-After" in headers else ""
    return f"{url} refused the connection with HTTP {status}{retry}"


def _closed(error: ConnectionClosed) -> DuplexError:
    if error.rcvd is None:
        return DuplexError("the connection was lost")
    return DuplexError(f"the server closed the session: {error.rcvd.code} {error.rcvd.reason}".rstrip())
