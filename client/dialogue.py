"""A person, played from a recording, who talks with an agent of the server over a simulated loudspeaker."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from client.duplex import Audio, DuplexClient, DuplexError, Event
from client.stream import SAMPLE_RATE, STALL_S, Conversation, Heard, Speed, listen, news, stop
from client.turns import transcribes
from client.wire import FRAME_MS, to_int16

HOP = SAMPLE_RATE * FRAME_MS // 1000
REPORT_HOPS = 5  # between two reports of what was played

Pcm = NDArray[np.int16]


class Room:
    """A loudspeaker and a microphone in one room: the simplest echo, late and quieter.

    Args:
        delay_ms: From the loudspeaker's samples to the microphone's.
        echo: How loud it arrives, of its volume; 0 is a headset.
    """

    def __init__(self, delay_ms: float = 120.0, echo: float = 0.5) -> None:
        if not 0 <= delay_ms <= 1000:
            raise ValueError(f"an echo comes after 0 to 1000 ms, not {delay_ms:g}")
        self._air = np.zeros(round(delay_ms * SAMPLE_RATE / 1000), np.int16)
        self._echo = echo

    def microphone(self, near: Pcm, played: Pcm) -> Pcm:
        """Return what the microphone hears of a person and the loudspeaker, `(n,)` each."""
        sound = np.concatenate([self._air, played])
        arrived, self._air = sound[: len(near)], sound[len(near) :]
        return np.clip(np.rint(near + self._echo * arrived), -32768, 32767).astype(np.int16)


@dataclass(frozen=True)
class DialogueResult(Heard):
    """What came of a dialogue.

    Attributes:
        mic: What the microphone heard, int16 at 16 kHz.
        agent: What the loudspeaker played, sample for sample beside it.
        vad: Cleaned audio of the task "VAD", as long.
        asr: The same for the recogniser.
    """

    mic: Pcm
    agent: Pcm
    vad: Pcm
    asr: Pcm


async def talk_with_agent(
    url: str,
    near: Audio,
    agent: str,
    *,
    speed: Speed = "realtime",
    room: Room | None = None,
    tail_s: float = 6.0,
    session: Event | None = None,
    on_event: Callable[[Event], None] = lambda event: None,
    ca: Path | None = None,
    token: str | None = None,
) -> DialogueResult:
    """Let a recorded person talk with an agent; what the agent says is echo and reference.

    Args:
        url: Of the service.
        near: The person alone at 16 kHz, shape `(n,)`.
        agent: Name of an agent of the server.
        speed: `realtime`, or `max` for as fast as the server answers with cleaned audio.
        room: The echo's way.
        tail_s: How long the agent is listened to after the last turn.
        session: More settings for `session.update`.
        on_event: Called with each event as it comes.
        ca: Certificate to trust; see `DuplexClient`.
        token: What the service wants to see.

    Raises:
        DuplexError: If the server cannot be reached, refuses, has no such agent or goes away.
    """
    wanted = {**(session or {}), "duplex": {**(session or {}).get("duplex", {}), "agent": agent}}
    wanted["duplex"]["cleaned_audio"] = True
    async with DuplexClient(
        url, rate=SAMPLE_RATE, session=wanted, collect=True, ca=ca, token=token
    ) as client:
        person = _Person(client, Conversation(transcribes(client.session)), room or Room(), speed)
        for event in client.greeting:
            on_event(event)
        listening = asyncio.create_task(listen(client, person.conversation, on_event))
        talking = asyncio.create_task(person.talk(to_int16(near), tail_s))
        try:
            await asyncio.wait({listening, talking}, return_when=asyncio.FIRST_COMPLETED)
            if not talking.done():
                listening.result()  # says why the session ended
                raise DuplexError("the server ended the session before the dialogue was over")
            talking.result()
        finally:
            await stop(talking, listening)
    mic, played = np.concatenate(person.heard), np.concatenate(person.played)
    vad, asr = client.cleaned.arrays(len(mic))
    return DialogueResult(client.session, person.conversation.events, mic, played, vad, asr)


class _Person:
    def __init__(self, client: DuplexClient, conversation: Conversation, room: Room, speed: Speed) -> None:
        self.conversation = conversation
        self.heard: list[Pcm] = []
        self.played: list[Pcm] = []
        self._client = client
        self._room = room
        self._speed = speed
        self._reported: Event | None = None
        self._began = time.monotonic()

    async def talk(self, near: Pcm, tail_s: float) -> None:
        """Say everything, then listen until no turn has been open for a while."""
        for start in range(0, len(near), HOP):
            piece = near[start : start + HOP]
            await self._hop(np.pad(piece, (0, HOP - len(piece))))
        quiet = 0
        while quiet < tail_s * SAMPLE_RATE:
            await self._hop(np.zeros(HOP, np.int16))
            quiet = 0 if self.conversation.open_items else quiet + HOP
        await self._caught_up(self._client.session["latency_samples"])

    async def _hop(self, near: Pcm) -> None:
        number = len(self.heard)
        if self._speed == "realtime":
            await asyncio.sleep(self._began + number * FRAME_MS / 1000 - time.monotonic())
        else:
            # One hop at a time: the agent's voice keeps to the microphone's clock, whatever that is.
            await self._caught_up(HOP)
        played = self._client.agent.take(HOP)
        mic = self._room.microphone(near, played)
        self.heard.append(mic)
        self.played.append(played)
        await self._client.send(mic, played)
        await self._report(number % REPORT_HOPS == 0)

    async def _report(self, due: bool) -> None:
        """Say what was played: a few times a second, and at once when it starts or stops."""
        report, last = self._client.agent.report, self._reported
        if report is None or report == last:
            return
        if (
            due
            or last is None
            or last["playing"] != report["playing"]
            or last["item_id"] != report["item_id"]
        ):
            await self._client.send_event(report)
            self._reported = report

    async def _caught_up(self, lag: int) -> None:
        deadline = time.monotonic() + STALL_S
        while self._client.sent - self._client.cleaned.end > lag:
            if time.monotonic() > deadline:
                raise DuplexError(f"the server sent no cleaned audio for {STALL_S:.0f} s")
            await news(self._client)
