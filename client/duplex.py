"""A client of the service: microphone and reference in, events and cleaned audio out.

```python
async with DuplexClient("ws://127.0.0.1:8080/v1/realtime") as client:
    await client.send(mic, ref)  # any length, float32 or int16, at `rate`
    await client.finish()  # no more comes: the iteration ends with the last transcript
    async for event in client:
        print(event["type"])
```
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from client.agent_voice import AgentVoice
from client.cleaned import CleanedAudio
from client.connect import Address, ClosedError, DuplexError, RefusedError
from client.line import Line
from client.turns import Turns, transcribes
from client.wanted import wanted_session
from client.wire import FRAME_MS, Frame, Kind, to_int16

__all__ = ["Audio", "ClosedError", "DuplexClient", "DuplexError", "Event", "RefusedError"]

DEFAULT_URL = "ws://127.0.0.1:8080/v1/realtime"
RATES = (16_000, 24_000, 48_000)
CLEANED_RATE = 16_000
QUEUED_EVENTS = 8192
_LAST_COMMIT = "last_commit"

Event = dict[str, Any]
"""One JSON event of the protocol, as it came."""

Audio = NDArray[np.float32] | NDArray[np.int16]

OnAudio = Callable[[int, NDArray[np.int16]], None]
"""Takes the index of a frame's first sample, and its samples `(n, channels)`."""


def _nothing(_start: int, _audio: NDArray[np.int16]) -> None:
    pass


class DuplexClient:
    """One session of the service; use it as an async context manager.

    A task of its own reads the socket, so that pings are answered while the caller is busy. Events wait in
    a queue of 8192; when that is full the socket is no longer read, and the server merges partial results
    and statistics until the caller catches up.

    **A lost connection** is made again, and the session resumed: nothing that was sent is lost, for it is
    kept until the server has acknowledged it. Until then the iteration has an event `connection.lost` with a
    `message`, and then a `session.updated` with `resumed`.

    **A lost session** is replaced: where the server has it no longer, or restarts, a new one with the same
    settings goes on with what was not acknowledged, on the same clock. The iteration has `session.replaced`
    with a `message`, the new `session`, `start_ms` where it begins, and `lost_ms`: so much before it belongs
    to turns that stay unanswered (their `items`), or never came back. Filters and event ids begin afresh.
    These two events alone are not the server's. When there is no service for as long as it keeps a session,
    or for 30 s, the iteration ends with `ClosedError`, as when the server closes the session.

    **Back-pressure**: `send` waits while 3 s of audio are not acknowledged. A live microphone needs a queue
    of its own, or looks at `connected`.

    Args:
        url: Where the service listens, `ws://` or `wss://`.
        rate: Of the audio that is sent, in Hz: 16000, 24000 or 48000.
        session: More settings for `session.update`, merged into what the client sends by itself.
        collect: Ask for the cleaned audio and keep it in `cleaned`.
        on_cleaned: Takes the cleaned audio as it comes: `(n, 2)` at 16 kHz, β 0.6 and β 0.2, and the sample
            of the microphone that it begins at. Asks for it too.
        on_agent: Takes the voice of an agent of the server as it comes, `(n, 1)` at `rate`, and its place in
            the item. `agent` has it in either case, in the order and at the volume in which to play it.
        token: Of the server, if it wants one.
        ca: PEM file of a certificate to trust beside the system's, for a service that made its own.
        timeout_s: How long the handshake and the first events may take.

    Attributes:
        session: The server's description of the session.
        greeting: The events that came before the iteration starts.
        cleaned: How far the cleaned audio has come; with `collect` the audio too.
        agent: What an agent of the server says.
        replaced: How often a new session had to take the place of a lost one.
        acked_seq: Number of the first frame that the server has not acknowledged.
        progress: Set whenever the server shows how far it has come.
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        rate: int = 16_000,
        session: Event | None = None,
        collect: bool = False,
        on_cleaned: OnAudio | None = None,
        on_agent: OnAudio | None = None,
        token: str | None = None,
        ca: Path | None = None,
        timeout_s: float = 10.0,
    ) -> None:
        if rate not in RATES:
            raise ValueError(f"the rate is one of {', '.join(map(str, RATES))} Hz, not {rate}")
        self.url = url
        self.rate = rate
        self.cleaned = CleanedAudio(keep=collect)
        self.agent = AgentVoice(rate)
        self.session: Event = {}
        self.greeting: list[Event] = []
        self.replaced = 0
        self.acked_seq = 0
        self.progress = asyncio.Event()
        self._on_cleaned, self._on_agent = on_cleaned or _nothing, on_agent or _nothing
        wants_cleaned = collect or on_cleaned is not None
        self._wanted = wanted_session(rate, wants_cleaned, session or {})
        self._timeout_s = timeout_s
        self._frame = rate * FRAME_MS // 1000
        self._pending = np.zeros((0, 2), np.int16)
        self._events: asyncio.Queue[Event | DuplexError | None] = asyncio.Queue(QUEUED_EVENTS)
        address = Address(url, token, ca, timeout_s)
        self._turns = Turns()
        self._finishing = self._heard_all = False
        self._line = Line(address, rate, self._take_event, self._take_audio, self._take_end)

    @property
    def sent(self) -> int:
        """Samples of the microphone that were sent."""
        return self._line.numbering.sent

    @property
    def connected(self) -> bool:
        """What is sent leaves at once; else it is kept until the session is resumed."""
        return self._line.connected

    async def __aenter__(self) -> Self:
        await self._line.open()
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._expect("session.created")
                await self.update_session(self._wanted)
                await self._expect("session.updated")
        except TimeoutError:
            await self.close()
            raise DuplexError(f"{self.url} accepted the connection but did not start a session") from None
        except BaseException:
            await self.close()
            raise
        self._turns = Turns(transcribes(self.session))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """End the session; does nothing the second time."""
        await self._line.close()

    async def send(self, mic: Audio, ref: Audio) -> None:
        """Send a stretch of both channels; what does not fill a 20 ms frame waits for the next call.

        Args:
            mic: Microphone, shape `(n,)`, at `rate`; float in [-1, 1] or int16.
            ref: What the loudspeaker played, sample for sample beside `mic`, shape `(n,)`.

        Raises:
            ValueError: If the shapes differ, or samples are not finite.
            DuplexError: If the session is over, or the server is stuck.
        """
        if mic.ndim != 1 or mic.shape != ref.shape:
            raise ValueError(f"mic {mic.shape} and ref {ref.shape} must be one-dimensional and equally long")
        fresh = np.stack([to_int16(mic), to_int16(ref)], axis=1)
        audio = np.concatenate([self._pending, fresh])
        whole = len(audio) - len(audio) % self._frame
        self._pending = audio[whole:]
        for start in range(0, whole, self._frame):
            ms = time.monotonic_ns() // 1_000_000
            await self._line.send_audio(audio[start : start + self._frame], Kind.MIC_REF, ms)

    async def send_apart(self, kind: Literal[Kind.MIC, Kind.REF], audio: NDArray[np.int16], ms: int) -> None:
        """Send one frame of a microphone and a reference that do not share a clock.

        The server finds out how the clocks drift, from the indices and `ms`.

        Args:
            kind: Which of the two.
            audio: Samples at `rate`, `(n,)`, 10 to 100 ms.
            ms: When the last of them was captured, on a monotonic clock of both.

        Raises:
            DuplexError: If the session is over, or the server is stuck.
        """
        await self._line.send_audio(audio, kind, ms)

    async def flush(self) -> None:
        """Send what waits for a whole frame, filled up with silence."""
        missing = -len(self._pending) % self._frame
        silence = np.zeros(missing, np.int16)
        await self.send(silence, silence)

    async def finish(self) -> None:
        """End the person's turn, for no more audio comes; the iteration ends when every turn is transcribed.

        Sends as much silence as the canceller is late, so that the last sample is heard.
        """
        late = np.zeros(self.session["latency_samples"] * self.rate // 16_000, np.int16)
        await self.send(late, late)
        await self.flush()
        await self.send_event({"type": "input_audio_buffer.commit", "event_id": _LAST_COMMIT})
        self._finishing = True
        # Its answer comes behind all that the audio before it brings about, turns that are yet to begin too.
        await self.update_session({})

    async def update_session(self, session: Event) -> None:
        """Change the session; the keys are those of `session.update`."""
        await self.send_event({"type": "session.update", "session": session})

    async def commit(self) -> None:
        """End the person's turn now."""
        await self.send_event({"type": "input_audio_buffer.commit"})

    async def clear(self) -> None:
        """Drop the person's turn."""
        await self.send_event({"type": "input_audio_buffer.clear"})

    async def playback(
        self, playing: bool, item_id: str | None = None, played_ms: float | None = None
    ) -> None:
        """Say whether the loudspeaker plays.

        Args:
            playing: It does.
            item_id: What it plays or played, if that is an agent's of the server.
            played_ms: How much of the item was heard.
        """
        about = {"item_id": item_id, "played_ms": played_ms}
        known = {key: value for key, value in about.items() if value is not None}
        await self.send_event({"type": "duplex.playback", "playing": playing, **known})

    async def cancel_response(self) -> None:
        """Stop the server's agent."""
        await self.send_event({"type": "response.cancel"})

    async def truncate(self, item_id: str, audio_end_ms: float) -> None:
        """Say how much of what the server's agent said was heard."""
        await self.send_event(
            {
                "type": "conversation.item.truncate",
                "item_id": item_id,
                "content_index": 0,
                "audio_end_ms": audio_end_ms,
            }
        )

    async def send_event(self, event: Event) -> None:
        """Send any event of the protocol, behind the audio that was sent before it.

        Raises:
            DuplexError: If the session is over.
        """
        await self._line.send_event(event)

    async def __aiter__(self) -> AsyncIterator[Event]:
        while (event := await self._next()) is not None:
            yield event

    async def _next(self) -> Event | None:
        event = await self._events.get()
        if isinstance(event, dict):
            return event
        self._events.put_nowait(event)  # whoever asks again is told the same
        if event is not None:
            raise event
        return None

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

    def _take_audio(self, frame: Frame) -> None:
        if frame.kind == Kind.CLEANED:
            self.cleaned.add(frame)
            self._on_cleaned(frame.mic_start, frame.audio)
            self.progress.set()
        elif frame.kind == Kind.AGENT:
            self.agent.add(frame.audio[:, 0])
            self._on_agent(frame.mic_start, frame.audio)

    async def _take_event(self, event: Event) -> None:
        if event["type"] == "duplex.ack":
            self.acked_seq = event["next_seq"]
            self.progress.set()
        if event["type"] == "session.replaced":
            self._go_on_in(event)
        if _nothing_was_open(event):
            return
        self.agent.hear(event)
        self._turns.take(event)
        if self._finishing and _answers_update(event):
            self._heard_all = True
        else:
            await self._events.put(event)
        if self._heard_all and not self._turns.open:
            await self._events.put(None)

    def _go_on_in(self, event: Event) -> None:
        """Take note of a new session, and say in its event what is lost."""
        start = round(event["start_ms"] * CLEANED_RATE / 1000)
        came_back = self.cleaned.end or start
        unanswered = min(came_back * 1000 / CLEANED_RATE, *self._turns.open.values(), event["start_ms"])
        event |= {"lost_ms": event["start_ms"] - unanswered, "items": list(self._turns.open)}
        self.session = event["session"]
        self.replaced += 1
        self.cleaned.restart(start)

    async def _take_end(self, error: DuplexError | None) -> None:
        self.progress.set()
        await self._events.put(error)


def _nothing_was_open(event: Event) -> bool:
    """Say whether the server answers to `finish` that nobody was speaking, which is no error there."""
    return event["type"] == "error" and event["error"].get("event_id") == _LAST_COMMIT


def _answers_update(event: Event) -> bool:
    return event["type"] == "session.updated" and not event["session"].get("resumed")
