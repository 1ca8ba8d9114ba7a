"""The client against a scripted peer: what a server may do that ours does not do on demand."""

import asyncio
import contextlib
import http
import json
from pathlib import Path

import numpy as np
import pytest
from websockets.asyncio.server import serve

from client import duplex, line
from client.duplex import DuplexClient, DuplexError, RefusedError
from client.wire import Flag, Frame, Kind, pack, unpack

CREATED = {"type": "session.created", "session": {"id": "s", "backends": {"asr": "none"}}}
UPDATED = {"type": "session.updated", "session": {"id": "s", "backends": {"asr": "none"}, "rate": 16_000}}


@contextlib.asynccontextmanager
async def peer(handler, **options):
    """Serve `handler` on a free port; yields the URL."""
    async with serve(handler, "127.0.0.1", 0, **options) as server:
        port = server.sockets[0].getsockname()[1]
        yield f"ws://127.0.0.1:{port}/v1/realtime"


async def greet(socket):
    """Start a session as the server does; returns what the client asked for."""
    await socket.send(json.dumps(CREATED))
    update = json.loads(await socket.recv())
    await socket.send(json.dumps(UPDATED))
    return update


class Recorder:
    """A peer that keeps what it gets until the client leaves."""

    def __init__(self):
        self.update = {}
        self.messages = []
        self.news = asyncio.Event()

    async def __call__(self, socket):
        assert socket.subprotocol == "duplex.v1"
        self.socket = socket
        self.update = await greet(socket)
        async for message in socket:
            self.messages.append(message)
            self.news.set()

    async def has(self, frames):
        while len(self.frames) < frames:
            self.news.clear()
            await self.news.wait()

    @property
    def frames(self):
        return [unpack(message) for message in self.messages if isinstance(message, bytes)]


def recording(handler):
    return peer(handler, subprotocols=["duplex.v1"])


async def test_any_chunks_become_frames_of_20_ms_on_one_clock():
    recorder, audio = Recorder(), np.arange(2000, dtype=np.int16).reshape(2, 1000)
    async with recording(recorder) as url, DuplexClient(url) as client:
        for start, stop in ((0, 7), (7, 500), (500, 500), (500, 1000)):
            await client.send(audio[0, start:stop], audio[1, start:stop])
        assert client.sent == 960
        await client.flush()
        await client.flush()
    frames = recorder.frames
    assert [frame.seq for frame in frames] == [0, 1, 2, 3]
    assert (
        [frame.mic_start for frame in frames] == [frame.ref_start for frame in frames] == [0, 320, 640, 960]
    )
    assert {(frame.kind, frame.flags) for frame in frames} == {(Kind.MIC_REF, Flag.ONE_CLOCK)}
    sent = np.concatenate([frame.audio for frame in frames])
    np.testing.assert_array_equal(sent[:1000].T, audio)
    assert not sent[1000:].any()


async def test_float_is_scaled_and_clipped():
    recorder, mic = Recorder(), np.tile(np.float32([0.5, 2.0, -2.0, 0.0]), 80)
    async with recording(recorder) as url, DuplexClient(url) as client:
        await client.send(mic, np.zeros(320, np.float32))
        await client.commit()
    assert recorder.frames[0].audio[:4, 0].tolist() == [16384, 32767, -32768, 0]
    assert json.loads(recorder.messages[-1])["type"] == "input_audio_buffer.commit"


async def test_the_session_asks_for_what_the_caller_wants():
    recorder = Recorder()
    async with recording(recorder) as url:
        wanted = {"aec": {"enabled": False}, "duplex": {"stats_hz": 5}}
        async with DuplexClient(url, rate=48_000, session=wanted, collect=True) as client:
            assert client.session == UPDATED["session"]
            assert [event["type"] for event in client.greeting] == ["session.created", "session.updated"]
    session = recorder.update["session"]
    assert session["audio"]["input"]["format"] == {"type": "audio/pcm", "rate": 48_000}
    assert session["duplex"] == {"cleaned_audio": True, "stats_hz": 5}
    assert session["aec"] == {"enabled": False}


@pytest.mark.parametrize("shapes", [((320,), (319,)), ((2, 320), (2, 320))])
async def test_shapes_that_differ_are_refused(shapes):
    recorder = Recorder()
    async with recording(recorder) as url, DuplexClient(url) as client:
        with pytest.raises(ValueError, match="equally long"):
            await client.send(*(np.zeros(shape, np.float32) for shape in shapes))
    assert not recorder.messages


@pytest.mark.parametrize(
    ("audio", "said"),
    [
        (np.array([0, np.nan]), "NaN"),
        (np.array([0.0, -np.inf], np.float32), "NaN"),
        (np.zeros(2, np.int32), "int32"),
    ],
)
async def test_samples_that_are_none_are_refused(audio, said):
    recorder = Recorder()
    async with recording(recorder) as url, DuplexClient(url) as client:
        with pytest.raises(ValueError, match=said):
            await client.send(audio, np.zeros(2, np.int16))
    assert not recorder.messages


def test_a_rate_that_is_none_is_refused():
    with pytest.raises(ValueError, match="16000, 24000, 48000 Hz, not 44100"):
        DuplexClient(rate=44_100)


async def test_no_more_is_sent_than_can_be_kept_without_an_acknowledgement():
    recorder = Recorder()
    audio = np.zeros(4 * 16_000, np.int16)
    async with recording(recorder) as url, DuplexClient(url) as client:
        sending = asyncio.create_task(client.send(audio, audio))
        await recorder.has(150)
        await asyncio.sleep(0.05)
        assert client.sent == 3 * 16_000
        await recorder.socket.send(json.dumps({"type": "duplex.ack", "next_seq": 50}))
        await sending
        await recorder.has(200)


async def test_a_server_that_acknowledges_nothing_is_stuck(monkeypatch):
    monkeypatch.setattr(line, "STALL_S", 0.1)
    audio = np.zeros(4 * 16_000, np.int16)
    async with recording(Recorder()) as url, DuplexClient(url) as client:
        with pytest.raises(DuplexError, match="acknowledged no audio"):
            await client.send(audio, audio)


async def test_cleaned_audio_is_put_together_by_index():
    frames = [
        Frame(Kind.CLEANED, seq, np.full((320, 2), seq + 1, np.int16), 320 * seq, 320 * seq)
        for seq in (1, 0, 3)
    ]

    async def handler(socket):
        await greet(socket)
        for frame in frames:
            await socket.send(pack(frame))

    async with recording(handler) as url, DuplexClient(url, collect=True) as client:
        assert [event async for event in client] == []
    vad, asr = client.cleaned.arrays(1000)
    assert client.cleaned.end == 1280
    assert vad.tolist() == asr.tolist() == [1] * 320 + [2] * 320 + [0] * 320 + [4] * 40


async def test_events_come_in_order_and_the_end_ends_the_iteration():
    async def handler(socket):
        await greet(socket)
        for number in range(3):
            await socket.send(json.dumps({"type": "duplex.ack", "next_seq": number}))

    async with recording(handler) as url, DuplexClient(url) as client:
        assert [event["next_seq"] async for event in client] == [0, 1, 2]
        assert client.acked_seq == 2


async def test_more_events_than_the_queue_holds_are_not_lost(monkeypatch):
    monkeypatch.setattr(duplex, "QUEUED_EVENTS", 100)

    async def handler(socket):
        await greet(socket)
        for number in range(3000):
            await socket.send(json.dumps({"type": "n", "number": number}))

    async with recording(handler) as url, DuplexClient(url) as client:
        await asyncio.sleep(0.3)
        assert [event["number"] async for event in client] == list(range(3000))


async def test_a_close_code_is_told():
    async def handler(socket):
        await greet(socket)
        await socket.close(4429, "too far behind")

    async with recording(handler) as url, DuplexClient(url) as client:
        with pytest.raises(DuplexError, match="4429 too far behind"):
            async for _ in client:
                pass
        with pytest.raises(DuplexError, match="4429"):
            await client.send(np.zeros(320, np.int16), np.zeros(320, np.int16))


@pytest.mark.parametrize("message", ["no json", "[1]", "{}", b"short", b"\x11\x02" + bytes(30)])
async def test_an_unreadable_message_ends_the_session(message):
    async def handler(socket):
        await greet(socket)
        await socket.send(message)
        await socket.wait_closed()

    async with recording(handler) as url, DuplexClient(url) as client:
        with pytest.raises(DuplexError, match="unreadable"):
            async for _ in client:
                pass


async def test_a_callback_that_fails_is_told_to_who_iterates():
    async def handler(socket):
        await greet(socket)
        await socket.send(pack(Frame(Kind.CLEANED, 0, np.zeros((320, 2), np.int16), 0, 0)))
        await socket.wait_closed()

    def fail(_start, _audio):
        raise RuntimeError("disk full")

    async with recording(handler) as url, DuplexClient(url, on_cleaned=fail) as client:
        with pytest.raises(DuplexError, match="disk full") as caught:
            async for _ in client:
                pass
    assert isinstance(caught.value.__cause__, RuntimeError)


async def test_an_error_in_the_answer_is_a_refusal():
    async def handler(socket):
        await socket.send(json.dumps(CREATED))
        await socket.recv()
        await socket.send(json.dumps({"type": "error", "error": {"message": "rate must be one of"}}))
        await socket.wait_closed()

    async with recording(handler) as url:
        with pytest.raises(DuplexError, match="rate must be one of"):
            async with DuplexClient(url):
                pass


async def test_a_peer_that_says_nothing_is_given_up():
    async def handler(socket):
        await socket.wait_closed()

    async with recording(handler) as url:
        with pytest.raises(DuplexError, match="did not start a session"):
            async with DuplexClient(url, timeout_s=0.2):
                pass


async def test_a_full_server_says_when_to_come_back():
    def refuse(connection, _request):
        response = connection.respond(http.HTTPStatus.SERVICE_UNAVAILABLE, "full\n")
        response.headers["Retry-After"] = "7"
        return response

    async with peer(Recorder(), process_request=refuse) as url:
        with pytest.raises(RefusedError, match="HTTP 503; try again in 7 s") as caught:
            async with DuplexClient(url):
                pass
    assert (caught.value.status, caught.value.retry_after) == (503, 7)


async def test_the_token_is_shown():
    def check(connection, request):
        if request.headers.get("Authorization") != "Bearer secret":
            return connection.respond(http.HTTPStatus.UNAUTHORIZED, "no\n")
        return None

    options = {"process_request": check, "subprotocols": ["duplex.v1"]}
    async with peer(Recorder(), **options) as url:
        async with DuplexClient(url, token="secret"):
            pass
        with pytest.raises(RefusedError, match="token is missing or wrong") as caught:
            async with DuplexClient(url):
                pass
    assert (caught.value.status, caught.value.retry_after) == (401, None)


@pytest.mark.parametrize(
    ("url", "options", "said"),
    [
        ("ws://127.0.0.1:9/", {}, "nothing listens"),
        ("http://127.0.0.1:9/", {}, "no service of ours"),
        ("ws://127.0.0.1:9/", {"ca": Path("ca.pem")}, "not encrypted"),
        ("wss://127.0.0.1:9/", {"ca": Path("none.pem")}, "holds no certificate"),
    ],
)
async def test_an_address_that_is_none(url, options, said):
    with pytest.raises(DuplexError, match=said):
        async with DuplexClient(url, **options):
            pass


async def test_so_does_one_that_closes_at_once():
    async def handler(socket):
        await socket.close(4429, "all 4 sessions are taken; retry_after=7")

    async with peer(handler) as url:
        with pytest.raises(RefusedError, match=r"all 4 sessions are taken; try again in 7 s") as refused:
            async with DuplexClient(url):
                pass
    assert (refused.value.status, refused.value.retry_after) == (4429, 7)


async def test_a_client_out_of_its_context_says_so():
    with pytest.raises(DuplexError, match="not connected"):
        await DuplexClient("ws://127.0.0.1:9/").commit()


async def test_what_is_finished_ends_with_the_turns_that_were_still_to_come():
    """A turn that ends by itself is no answer to the commit: another may begin in what is on its way."""

    def turn(item):
        about = {"item_id": item}
        return [
            {"type": f"input_audio_buffer.{kind}", **about} for kind in ("speech_started", "speech_stopped")
        ]

    async def handler(socket):
        await greet(socket)
        async for message in socket:
            if isinstance(message, bytes):
                continue
            event = json.loads(message)
            if event["type"] == "session.update":
                for told in (*turn("item_2"), UPDATED):
                    await socket.send(json.dumps(told))
                continue
            for told in (*turn("item_1"), {"type": "input_audio_buffer.committed", "item_id": "item_1"}):
                await socket.send(json.dumps(told))

    async with recording(handler) as url, DuplexClient(url) as client:
        client.session = {**client.session, "latency_samples": 320}
        await client.finish()
        heard = [(event["type"].split(".")[1], event.get("item_id")) async for event in client]
    assert heard[-1] == ("speech_stopped", "item_2")
    assert ("updated", None) not in heard, "the client's own question is not the caller's to read"
