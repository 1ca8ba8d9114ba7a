"""An agent in a session over a real socket, with the voice that ships and the engine's real models."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray
from websockets.asyncio.client import connect

from client.wire import Flag, Frame, Kind, pack, unpack
from server.agents.texts import GO_ON, NARRATION

Int16 = NDArray[np.int16]
RATE, HOP = 16_000, 320
PERSON = Path(__file__).parents[2] / "data" / "tea.flac"


class Phone:
    """Plays the agent, lets its microphone hear it and the person, and sends both."""

    def __init__(self, socket: Any) -> None:
        self.socket = socket
        self.events: list[dict[str, Any]] = []
        self.queue = np.zeros(0, np.int16)
        self.frames: list[Frame] = []
        self.room = np.zeros(RATE // 10, np.int16)  # on its way through the air
        self.sent = self.played = self.cleaned = 0
        self.item = ""

    async def take(self) -> dict[str, Any]:
        message = await asyncio.wait_for(self.socket.recv(), 20)
        if isinstance(message, bytes):
            frame = unpack(message)
            if frame.kind == Kind.AGENT:
                self.frames.append(frame)
                self.queue = np.concatenate([self.queue, frame.audio[:, 0]])
            else:
                self.cleaned += len(frame.audio)
            return {"type": "frame"}
        event = json.loads(message)
        self.events.append(event)
        if event["type"] == "response.created":
            self.item, self.played = event["response"]["item_id"], 0
        if event["type"] == "response.done" and event["response"]["status"] == "cancelled":
            self.queue = self.queue[:0]
        return event

    async def until(self, kind: str) -> dict[str, Any]:
        while (event := await self.take())["type"] != kind:
            pass
        return event

    async def hop(self, person: Int16) -> None:
        """Send 20 ms, and wait until the server has heard them: nothing depends on the speed of a machine."""
        ref = np.zeros(HOP, np.int16)
        playing, self.queue = self.queue[:HOP], self.queue[HOP:]
        ref[: len(playing)] = playing
        self.played += len(playing)
        self.room = np.concatenate([self.room, ref])
        echo, self.room = self.room[:HOP], self.room[HOP:]
        mic = np.clip(0.3 * echo + person, -32768, 32767).astype(np.int16)
        audio = np.stack([mic, ref], axis=1)
        seq = self.sent // HOP
        if seq % 5 == 0 and self.item:
            await self.tell("duplex.playback", playing=bool(len(playing)), item_id=self.item, **self.at)
        frame = Frame(Kind.MIC_REF, seq, audio, self.sent, self.sent, Flag.ONE_CLOCK)
        await self.socket.send(pack(frame))
        self.sent += HOP
        while self.cleaned < self.sent - HOP:
            await self.take()

    @property
    def at(self) -> dict[str, float]:
        return {"played_ms": 1000 * self.played / RATE}

    async def tell(self, kind: str, **fields: Any) -> None:
        await self.socket.send(json.dumps({"type": kind, **fields}))

    async def spend(self, seconds: float) -> None:
        for _ in range(round(seconds * RATE / HOP)):
            await self.hop(np.zeros(HOP, np.int16))

    async def spend_until(self, happened: Callable[[], object]) -> None:
        """Let time pass until something has happened, a minute at most."""
        for _ in range(3000):
            if happened():
                return
            await self.hop(np.zeros(HOP, np.int16))
        pytest.fail("a minute passed")

    async def talk(self, speech: Int16) -> None:
        for start in range(0, len(speech) - HOP + 1, HOP):
            await self.hop(speech[start : start + HOP])

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["type"] == kind]

    def said(self, item_id: str) -> str:
        deltas = self.of("response.output_audio_transcript.delta")
        return "".join(event["delta"] for event in deltas if event["item_id"] == item_id)


def person() -> Int16:
    return soundfile.read(PERSON, dtype="int16")[0]


async def begin(phone: Phone, rate: int = RATE, **duplex: Any) -> dict[str, Any]:
    await phone.until("session.created")
    session = {
        "audio": {"input": {"format": {"type": "audio/pcm", "rate": rate}}},
        "duplex": {"agent": "narrator", "cleaned_audio": True, **duplex},
    }
    await phone.tell("session.update", session=session)
    return (await phone.until("session.updated"))["session"]


@pytest.fixture
def narrating(start_server: Any) -> str:
    return start_server(agent_voice="shipped").url


async def test_a_narrator_is_interrupted_and_goes_on_where_it_was_heard(narrating: str):
    async with connect(narrating, compression=None, proxy=None) as socket:
        phone = Phone(socket)
        session = await begin(phone)
        assert session["backends"]["voice"] == "shipped recordings"
        await phone.spend_until(lambda: phone.frames)
        await phone.spend(5)
        await phone.talk(person())
        # The voice works beside the engine: how much of the simulated time it takes is open.
        await phone.spend_until(lambda: len(phone.of("response.created")) == 2)
        await phone.spend_until(lambda: phone.said(phone.item).startswith(f"{GO_ON} "))
        committed = next(event for event in phone.of("duplex.barge_in") if event["stage"] == "commit")
        (truncated,) = phone.of("conversation.item.truncated")
        first, second = phone.of("response.created")
        done = phone.of("response.done")[0]

    assert done["response"] == first["response"] | {"status": "cancelled"}
    kinds = [event["type"] for event in phone.events]
    assert kinds.index("input_audio_buffer.committed") < phone.events.index(second)
    assert phone.events.index(committed) < phone.events.index(truncated) < phone.events.index(done)
    heard = truncated["duplex"]["transcript"]
    assert NARRATION[0] in heard
    assert " ".join(NARRATION).startswith(heard)
    after = phone.said(second["response"]["item_id"])
    assert after.startswith(GO_ON)
    assert " ".join(NARRATION).startswith(f"{heard} {after.removeprefix(GO_ON).strip()}")


async def test_the_voice_keeps_to_the_microphones_clock(narrating: str):
    async with connect(narrating, compression=None, proxy=None) as socket:
        phone = Phone(socket)
        await begin(phone)
        await phone.spend_until(lambda: phone.frames)
        await phone.spend(1)
        starts = [frame.mic_start for frame in phone.frames]
        sent_before = len(starts)
        await phone.spend(1)
        assert len(phone.frames) == sent_before + 50
        assert starts == [HOP * n for n in range(len(starts))]
        assert {frame.audio.shape for frame in phone.frames} == {(HOP, 1)}
        assert len(phone.queue) <= 11 * HOP  # 200 ms, and the hop that is on its way
        assert np.abs(np.concatenate([frame.audio for frame in phone.frames])).max() > 3000


async def test_a_client_may_cancel_and_correct(narrating: str):
    async with connect(narrating, compression=None, proxy=None) as socket:
        phone = Phone(socket)
        await begin(phone)
        await phone.spend_until(lambda: phone.frames)
        await phone.spend(1.5)
        await phone.tell("response.cancel")
        await phone.until("response.done")
        (cut,) = phone.of("conversation.item.truncated")
        await phone.tell("conversation.item.truncate", item_id=cut["item_id"], audio_end_ms=1000)
        again = await phone.until("conversation.item.truncated")
        assert again["audio_end_ms"] == 1000
        assert cut["duplex"]["transcript"].startswith(again["duplex"]["transcript"])
        before = len(phone.frames)
        await phone.spend(1)
        assert len(phone.frames) == before


async def test_an_agent_can_be_sent_away(narrating: str):
    async with connect(narrating, compression=None, proxy=None) as socket:
        phone = Phone(socket)
        await begin(phone)
        await phone.spend_until(lambda: phone.frames)
        await phone.tell("session.update", session={"duplex": {"agent": "none"}})
        assert (await phone.until("response.done"))["response"]["status"] == "cancelled"
        await phone.tell("response.cancel")
        assert (await phone.until("error"))["error"]["code"] == "no_agent"


async def test_a_server_may_have_an_agent_for_everyone(start_server: Any):
    url = start_server(agent_voice="shipped", agent="narrator").url
    async with connect(url, compression=None, proxy=None) as socket:
        phone = Phone(socket)
        created = await phone.until("session.created")
        assert created["session"]["duplex"]["agent"] == "narrator"
        quiet = np.zeros((480, 2), np.int16)  # 20 ms at the rate of a client that does not say which
        for seq in range(3000):
            await socket.send(pack(Frame(Kind.MIC_REF, seq, quiet, 480 * seq, 480 * seq, Flag.ONE_CLOCK)))
            await phone.tell("duplex.ping")
            await phone.until("duplex.pong")
            if phone.frames:
                break
        assert phone.frames[0].audio.shape == (480, 1)
