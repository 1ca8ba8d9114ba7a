"""Playing a pair of files into a server: pace, the wait for finals, and what is said when it goes wrong.

The peers here are scripted, for what a good server does not do on demand; test_service.py has the real one.
"""

import asyncio
import contextlib
import json

import numpy as np
import pytest
from websockets.asyncio.server import serve

from client import line, stream
from client.duplex import DuplexError
from client.stream import Conversation, stream_pair
from client.wire import Frame, Kind, pack, unpack

LATENCY = 640
SESSION = {"id": "s", "backends": {"asr": "scripted"}, "latency_samples": LATENCY}
STARTED = {"type": "input_audio_buffer.speech_started", "item_id": "a", "audio_start_ms": 100}
STOPPED = {"type": "input_audio_buffer.speech_stopped", "item_id": "a", "audio_end_ms": 300}
COMPLETED = {
    "type": "conversation.item.input_audio_transcription.completed",
    "item_id": "a",
    "transcript": "hi",
}
LATENCY = 640


class Peer:
    """Sends the audio back, `LATENCY` late and both channels the microphone; then does what a test adds."""

    def __init__(self):
        self.frames = []
        self.texts = []

    async def __call__(self, socket):
        await socket.send(json.dumps({"type": "session.created", "session": SESSION}))
        await socket.recv()
        await socket.send(json.dumps({"type": "session.updated", "session": SESSION}))
        async for message in socket:
            if isinstance(message, str):
                self.texts.append(json.loads(message))
                await self.on_text(socket, self.texts[-1])
                continue
            self.frames.append(unpack(message))
            await self.on_frame(socket, self.frames[-1])

    async def on_frame(self, socket, frame):
        await self.answer(socket, frame)

    async def on_text(self, socket, event):
        pass

    async def answer(self, socket, frame):
        start = frame.mic_start - LATENCY
        if start >= 0:
            audio = np.repeat(self.frames[start // 320].audio[:, :1], 2, axis=1)
            await socket.send(pack(Frame(Kind.CLEANED, frame.seq, audio, start, start)))

    @contextlib.asynccontextmanager
    async def serving(self):
        async with serve(self, "127.0.0.1", 0, subprotocols=["duplex.v1"]) as server:
            yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/realtime"


async def tell(socket, *events):
    for event in events:
        await socket.send(json.dumps(event))


def audio(seconds):
    samples = round(seconds * 16_000)
    return (np.arange(samples) % 1000).astype(np.int16), np.zeros(samples, np.int16)


@pytest.fixture(autouse=True)
def short_tail(monkeypatch):
    monkeypatch.setattr(stream, "TAIL_S", 0.2)


async def test_cleaned_audio_is_aligned_and_as_long():
    mic, ref = audio(1.01)
    async with Peer().serving() as url:
        result = await stream_pair(url, mic, ref, speed="max")
    np.testing.assert_array_equal(result.vad, mic)
    np.testing.assert_array_equal(result.asr, mic)


async def test_realtime_is_the_pace_of_the_audio():
    async with Peer().serving() as url:
        result = await stream_pair(url, *audio(0.5))
    assert result.seconds >= 0.5 + 0.2 - 0.03


async def test_full_speed_loses_nothing_at_a_slow_server():
    class Slow(Peer):
        async def on_frame(self, socket, frame):
            await asyncio.sleep(0.002)
            await self.answer(socket, frame)

    peer = Slow()
    async with peer.serving() as url:
        await stream_pair(url, *audio(2.0), speed="max")
    assert [frame.seq for frame in peer.frames] == list(range(110))


async def test_waits_for_a_transcript_that_comes_late():
    class Late(Peer):
        async def on_frame(self, socket, frame):
            if frame.seq == 5:
                await tell(socket, STARTED)
            await self.answer(socket, frame)
            if frame.seq == 34:
                await tell(socket, STOPPED)
                await asyncio.sleep(0.3)
                await tell(socket, COMPLETED)

    seen = []
    async with Late().serving() as url:
        result = await stream_pair(url, *audio(0.5), speed="max", on_event=seen.append)
    assert [event["type"].split(".")[-1] for event in result.events] == [
        "speech_started",
        "speech_stopped",
        "completed",
    ]
    assert [event["type"] for event in seen[:2]] == ["session.created", "session.updated"]
    assert seen[2:] == result.events


async def test_asks_for_the_end_of_a_turn_that_does_not_end(monkeypatch):
    class Endless(Peer):
        async def on_frame(self, socket, frame):
            if frame.seq == 5:
                await tell(socket, STARTED)
            await self.answer(socket, frame)

        async def on_text(self, socket, event):
            if event["type"] == "input_audio_buffer.commit":
                await tell(socket, STOPPED, COMPLETED)

    monkeypatch.setattr(stream, "PATIENCE_S", 0.2)
    async with Endless().serving() as url:
        result = await stream_pair(url, *audio(0.5), speed="max")
    assert result.events[-1] == COMPLETED


async def test_a_transcript_that_never_comes_is_an_error(monkeypatch):
    class Silent(Peer):
        async def on_frame(self, socket, frame):
            if frame.seq == 5:
                await tell(socket, STARTED, STOPPED)
            await self.answer(socket, frame)

    monkeypatch.setattr(stream, "PATIENCE_S", 0.2)
    async with Silent().serving() as url:
        with pytest.raises(DuplexError, match="no transcript came for a"):
            await stream_pair(url, *audio(0.5), speed="max")


async def test_a_server_that_is_stuck_gets_no_more_than_a_window(monkeypatch):
    class Stuck(Peer):
        async def on_frame(self, socket, frame):
            pass

    peer = Stuck()
    monkeypatch.setattr(stream, "STALL_S", 0.2)
    async with peer.serving() as url:
        with pytest.raises(DuplexError, match="no cleaned audio"):
            await stream_pair(url, *audio(1.0), speed="max")
    assert len(peer.frames) == 16  # the first that does not fit in 300 ms, and all before


@pytest.mark.parametrize(
    ("code", "said"), [(1012, "1012 restart"), (1000, "1000 restart|before the recording")]
)
async def test_a_server_that_leaves_is_told(code, said, monkeypatch):
    monkeypatch.setattr(line, "REPLACE_S", 0.5)

    class Leaving(Peer):
        async def on_frame(self, socket, frame):
            if frame.seq == 5:
                await socket.close(code, "restart")

    async with Leaving().serving() as url:
        with pytest.raises(DuplexError, match=said):
            await stream_pair(url, *audio(1.0))


def test_without_a_recogniser_a_turn_ends_when_it_stops():
    conversation = Conversation(transcribes=False)
    conversation.take(STARTED)
    assert conversation.open_items == {"a"}
    conversation.take(STOPPED)
    assert not conversation.open_items


def test_with_one_a_failed_transcript_ends_it_too():
    conversation = Conversation()
    conversation.take(STARTED)
    conversation.take(STOPPED)
    assert conversation.open_items == {"a"}
    conversation.take({**COMPLETED, "type": COMPLETED["type"].replace("completed", "failed")})
    assert not conversation.open_items
