"""Plays a pair of recordings into a server and waits for all that it has to say about them."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from client.duplex import Audio, DuplexClient, DuplexError, Event
from client.turns import Turns, transcribes
from client.wire import FRAME_MS, to_int16

Speed = Literal["realtime", "max"]

SAMPLE_RATE = 16_000
TAIL_S = 2.0  # silence after the files, so that the last turn can end
PATIENCE_S = 30.0  # without any news while something is still due
WINDOW_MS = 300  # at full speed: audio that may be on its way; the server queues 500
STALL_S = 5.0  # at full speed: no cleaned audio for so long means that the server is stuck


class Conversation:
    """What has been said in a session, and which turns are still due; see `Turns`."""

    def __init__(self, transcribes: bool = True) -> None:
        self.events: list[Event] = []
        self._turns = Turns(transcribes)

    @property
    def open_items(self) -> set[str]:
        return set(self._turns.open)

    def take(self, event: Event) -> None:
        self.events.append(event)
        self._turns.take(event)


@dataclass(frozen=True)
class Heard:
    """What a server said in a session.

    Attributes:
        session: The server's description of the session.
        events: All events, in order.
    """

    session: Event
    events: list[Event]

    @property
    def transcripts(self) -> list[str]:
        """What the person said, a text for each turn."""
        completed = self.of("conversation.item.input_audio_transcription.completed")
        return [event["transcript"].strip() for event in completed]

    def of(self, kind: str) -> list[Event]:
        """Return the events of one type, in order."""
        return [event for event in self.events if event["type"] == kind]


@dataclass(frozen=True)
class StreamResult(Heard):
    """What a server made of a pair of recordings.

    Attributes:
        vad: Cleaned audio of the task "VAD", int16, aligned with the microphone and as long.
        asr: The same for the recogniser.
        seconds: How long it took, by the clock on the wall.
    """

    vad: NDArray[np.int16]
    asr: NDArray[np.int16]
    seconds: float


async def stream_pair(
    url: str,
    mic: Audio,
    ref: Audio,
    *,
    speed: Speed = "realtime",
    session: Event | None = None,
    on_event: Callable[[Event], None] = lambda event: None,
    ca: Path | None = None,
    token: str | None = None,
) -> StreamResult:
    """Play a pair into a server and return when all of its turns are transcribed.

    Args:
        url: Of the service.
        mic: Microphone at 16 kHz, shape `(n,)`.
        ref: Reference, shape `(n,)`.
        speed: `realtime`, or `max` for as fast as the server answers with cleaned audio.
        session: Settings for `session.update`.
        on_event: Called with each event as it comes.
        ca: Certificate to trust; see `DuplexClient`.
        token: What the service wants to see.

    Raises:
        DuplexError: If the server cannot be reached, refuses, goes away or leaves a turn unanswered.
    """
    began = time.monotonic()
    async with DuplexClient(
        url, rate=SAMPLE_RATE, session=session, collect=True, ca=ca, token=token
    ) as client:
        conversation = Conversation(transcribes=transcribes(client.session))
        for event in client.greeting:
            on_event(event)
        listening = asyncio.create_task(listen(client, conversation, on_event))
        talking = asyncio.create_task(_talk(client, conversation, mic, ref, speed))
        try:
            await asyncio.wait({listening, talking}, return_when=asyncio.FIRST_COMPLETED)
            if not talking.done():
                listening.result()  # says why the session ended
                raise DuplexError("the server ended the session before the recording was over")
            talking.result()
        finally:
            await stop(talking, listening)
    vad, asr = client.cleaned.arrays(len(mic))
    return StreamResult(client.session, conversation.events, vad, asr, time.monotonic() - began)


async def listen(client: DuplexClient, conversation: Conversation, on_event: Callable[[Event], None]) -> None:
    async for event in client:
        conversation.take(event)
        on_event(event)


async def _talk(
    client: DuplexClient, conversation: Conversation, mic: Audio, ref: Audio, speed: Speed
) -> None:
    tail = np.zeros(round(TAIL_S * SAMPLE_RATE), np.int16)
    mic, ref = np.concatenate([to_int16(mic), tail]), np.concatenate([to_int16(ref), tail])
    step = SAMPLE_RATE * FRAME_MS // 1000
    began = time.monotonic()
    for start in range(0, len(mic), step):
        if speed == "realtime":
            await asyncio.sleep(began + start / SAMPLE_RATE - time.monotonic())
        else:
            await _room(client)
        await client.send(mic[start : start + step], ref[start : start + step])
    await client.flush()
    await _settled(client, conversation)


async def _room(client: DuplexClient) -> None:
    """Wait until less than a window of audio is on its way."""
    deadline = time.monotonic() + STALL_S
    while client.sent - client.cleaned.end > SAMPLE_RATE * WINDOW_MS // 1000:
        if not client.connected:
            deadline = time.monotonic() + STALL_S
        elif time.monotonic() > deadline:
            raise DuplexError(f"the server sent no cleaned audio for {STALL_S:.0f} s")
        await news(client)


async def _settled(client: DuplexClient, conversation: Conversation) -> None:
    """Wait until the last frame has been heard and no turn is open; ask for an end if one does not come."""
    deadline, seen, committed = time.monotonic() + PATIENCE_S, 0, False
    lag = client.session["latency_samples"]
    while client.sent - client.cleaned.end > lag or conversation.open_items:
        if len(conversation.events) > seen:
            deadline, seen = time.monotonic() + PATIENCE_S, len(conversation.events)
        if time.monotonic() > deadline and not committed:
            await client.commit()
            deadline, committed = time.monotonic() + PATIENCE_S, True
        elif time.monotonic() > deadline:
            raise DuplexError(
                f"no transcript came for {', '.join(sorted(conversation.open_items)) or 'the last frames'}"
            )
        await news(client)


async def news(client: DuplexClient) -> None:
    """Wait for a sign of progress, but look again after a tenth of a second anyway."""
    client.progress.clear()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.1):
            await client.progress.wait()


async def stop(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
