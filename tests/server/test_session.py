"""Sessions over real sockets: a real server, a real websockets client."""

import asyncio
import base64
import json
import re
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from itertools import count
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from client.wire import Flag, Frame, Kind, pack, unpack

Int16 = NDArray[np.int16]
HOP = 320


class Talk:
    """A client that keeps what it hears."""

    def __init__(self, connection: ClientConnection) -> None:
        self.socket = connection
        self.events: list[dict[str, Any]] = []
        self.frames: list[Frame] = []
        self.seq = 0
        self.sent = 0

    async def next(self) -> dict[str, Any] | Frame:
        message = await asyncio.wait_for(self.socket.recv(), 20)
        if isinstance(message, bytes):
            self.frames.append(unpack(message))
            return self.frames[-1]
        self.events.append(json.loads(message))
        return self.events[-1]

    async def until(self, kind: str) -> dict[str, Any]:
        while True:
            message = await self.next()
            if isinstance(message, dict) and message["type"] == kind:
                return message

    async def tell(self, **event: Any) -> None:
        await self.socket.send(json.dumps(event))

    async def update(self, rate: int = 16_000, **session: Any) -> dict[str, Any]:
        session.setdefault("audio", {"input": {"format": {"type": "audio/pcm", "rate": rate}}})
        await self.tell(type="session.update", session=session)
        return await self.until("session.updated")

    async def say(self, mic: Int16, ref: Int16 | None = None, flags: int = 0) -> None:
        ref = np.zeros_like(mic) if ref is None else ref
        for at in range(0, len(mic), HOP):
            audio = np.stack([mic[at : at + HOP], ref[at : at + HOP]], axis=1)
            await self.socket.send(pack(Frame(Kind.MIC_REF, self.seq, audio, self.sent, self.sent, flags)))
            self.seq += 1
            self.sent += len(audio)

    async def closed(self) -> tuple[int, str]:
        """Read until the end; return the close code and reason."""
        while self.socket.close_code is None:
            with suppress(ConnectionClosed):
                await self.next()
        return self.socket.close_code, self.socket.close_reason or ""

    async def answered(self) -> None:
        """Wait until the server has read all that was sent before."""
        await self.tell(type="duplex.ping", event_id="here?")
        assert (await self.until("duplex.pong"))["ping_id"] == "here?"


@asynccontextmanager
async def talk(url: str, **options: Any) -> AsyncIterator[Talk]:
    async with connect(url, subprotocols=["duplex.v1"], compression=None, proxy=None, **options) as socket:
        yield Talk(socket)


def noise(samples: int, seed: int = 0) -> Int16:
    return (1000 * np.random.default_rng(seed).standard_normal(samples)).astype(np.int16)


def frame(mic: Int16, seq: int = 0, start: int = 0, **fields: Any) -> bytes:
    audio = np.stack([mic, np.zeros_like(mic)], axis=1)
    return pack(Frame(Kind.MIC_REF, seq, audio, start, start, **fields))


async def nobody_is_left(server: Any) -> None:
    """Wait until the server has seen that all clients went away."""
    for _ in range(500):
        if "duplex_sessions 0.0" in server.metrics():
            return
        await asyncio.sleep(0.01)
    pytest.fail("a session is still connected")


async def healthy(other: Talk) -> None:
    """Send a second of audio through a session and see all of it come back."""
    before = sum(len(piece.audio) for piece in other.frames)
    await other.say(noise(16_000))
    while sum(len(piece.audio) for piece in other.frames) - before < 16_000 - HOP:
        await other.next()


async def test_a_session_says_who_it_is(server):
    async with talk(server.url) as one:
        assert one.socket.subprotocol == "duplex.v1"
        created = await one.until("session.created")
        session = created["session"]

        assert created["event_id"]
        assert re.fullmatch("sess_0_[0-9a-f]{16}", session["id"])
        assert len(session["resume_token"]) > 20
        assert session["backends"]["asr"] == "none"
        assert session["latency_samples"] == HOP
        assert session["limits"]["max_queued_ms"] == 500


async def test_cleaned_audio_comes_back_sample_aligned(server):
    async with talk(server.url) as one:
        await one.update(aec={"enabled": False}, duplex={"cleaned_audio": True})
        mic = noise(32_000)
        await one.say(mic, noise(32_000, seed=1))
        while not one.frames or one.frames[-1].mic_start + HOP < len(mic) - HOP:
            await one.next()

    heard = np.concatenate([piece.audio for piece in one.frames])
    assert [piece.mic_start for piece in one.frames] == list(range(0, len(heard), HOP))
    assert [piece.seq for piece in one.frames] == list(range(len(one.frames)))
    np.testing.assert_array_equal(heard[:, 0], mic[: len(heard)])


async def test_no_cleaned_audio_unless_asked_for(server):
    async with talk(server.url) as one:
        await one.update()
        await one.say(noise(16_000))
        await one.until("duplex.ack")

    assert one.frames == []


GARBAGE = [
    pytest.param(b"", 4400, id="empty"),
    pytest.param(b"\x01\x01", 4400, id="short"),
    pytest.param(b'{"type": "session.update"}' + bytes(40), 4400, id="text as binary"),
    pytest.param(frame(noise(HOP))[:-1], 4400, id="odd bytes"),
    pytest.param(frame(noise(HOP))[:-4], 4400, id="lengths differ"),
    pytest.param(frame(noise(16)), 4400, id="too few samples"),
    pytest.param(frame(noise(4800)), 1009, id="too many samples"),
    pytest.param(b"\x10" + frame(noise(HOP))[1:], 4400, id="a server's kind"),
    pytest.param(bytes(300_000), 1009, id="oversize"),
]


@pytest.mark.parametrize(("message", "code"), GARBAGE)
async def test_garbage_ends_its_own_session_only(server, message: bytes, code: int):
    async with talk(server.url) as good, talk(server.url) as bad:
        await good.update(duplex={"cleaned_audio": True})
        await bad.update()
        await bad.say(noise(3200))
        await good.say(noise(3200))
        await bad.socket.send(message)

        assert (await bad.closed())[0] == code
        await healthy(good)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("no json", "invalid_json"),
        ("[1]", "missing_type"),
        ('{"type": "session.destroy", "event_id": "mine"}', "unknown_event_type"),
        ('{"type": "input_audio_buffer.append", "audio": "AA=="}', "invalid_value"),
        ('{"type": "session.update", "session": {"aec": {"beta_vad": 9}}}', "invalid_value"),
        ('{"type": "session.update", "session": {"aec": {"gamma": 1}}}', "unknown_parameter"),
        (
            '{"type": "session.update", "session": {"audio": {"input": {"format": {"rate": 44100}}}}}',
            "invalid_value",
        ),
        ('{"type": "duplex.resume", "session": "a", "token": "b", "next_seq": 0}', "resume_too_late"),
    ],
)
async def test_a_wrong_event_is_answered_and_the_session_goes_on(server, text: str, code: str):
    async with talk(server.url) as one:
        await one.update(duplex={"cleaned_audio": True})
        await one.socket.send(text)
        answer = await one.until("error")

        assert answer["error"]["code"] == code
        assert answer["error"]["message"]
        if "mine" in text:
            assert answer["error"]["event_id"] == "mine"
        await healthy(one)


async def test_who_makes_only_mistakes_is_sent_away(server):
    async with talk(server.url) as one:
        for _ in range(120):
            await one.socket.send("no json")

        assert (await one.closed())[0] == 4400


async def test_the_rate_is_settled_by_the_first_audio(server):
    async with talk(server.url) as one:
        await one.update(rate=48_000)
        await one.socket.send(frame(noise(960)))
        await one.tell(
            type="session.update", session={"audio": {"input": {"format": {"rate": 16_000}}}}, event_id="e1"
        )
        answer = (await one.until("error"))["error"]

        assert (answer["code"], answer["event_id"]) == ("rate_is_settled", "e1")
        assert answer["param"] == "session.audio.input.format.rate"


async def test_json_audio_is_heard(server):
    async with talk(server.url) as one:
        await one.update(rate=24_000, duplex={"cleaned_audio": True})
        audio = base64.b64encode(noise(2400).tobytes()).decode()
        for _ in range(5):
            await one.tell(type="input_audio_buffer.append", audio=audio, reference=audio)
        while sum(len(piece.audio) for piece in one.frames) < 7000:
            await one.next()


async def test_a_file_at_full_speed_is_served_without_loss(server):
    async with talk(server.url) as one:
        await one.update(aec={"enabled": False}, duplex={"cleaned_audio": True, "stats_hz": 1})
        mic = noise(16_000 * 12)
        # 12 s at once: far more than the server queues, so that TCP must hold the client back.
        sending = asyncio.create_task(one.say(mic))
        while not one.frames or one.frames[-1].mic_start + HOP < len(mic) - HOP:
            await one.next()
        await sending

    np.testing.assert_array_equal(
        np.concatenate([piece.audio[:, 1] for piece in one.frames]), mic[: len(mic) - HOP]
    )
    assert not [event for event in one.events if event["type"] in ("duplex.gap", "error")]
    assert [event for event in one.events if event["type"] == "duplex.aec.stats"][-1]["late"] == 0


async def test_a_normal_close_ends_the_session_for_good(server):
    async with talk(server.url) as one:
        session = (await one.until("session.created"))["session"]
        await one.say(noise(HOP))
        await one.answered()
    await nobody_is_left(server)

    async with talk(server.url) as two:
        await two.tell(type="duplex.resume", session=session["id"], token=session["resume_token"], next_seq=0)
        assert (await two.closed())[0] == 4404


async def abandon(one: Talk) -> None:
    """Lose the connection without a close frame."""
    one.socket.transport.abort()
    await one.socket.wait_closed()


async def test_a_dropped_session_is_resumed_where_it_was(server):
    mic = noise(32_000)
    async with talk(server.url) as one:
        info = (await one.update(aec={"enabled": False}, duplex={"cleaned_audio": True}))["session"]
        await one.say(mic[:16_000])
        await one.until("duplex.ack")
        await one.answered()
        await abandon(one)

    async with talk(server.url) as two:
        assert (await two.until("session.created"))["session"]["id"] != info["id"]
        await two.tell(type="duplex.resume", session=info["id"], token=info["resume_token"], next_seq=45)
        session = (await two.until("session.updated"))["session"]
        assert (session["id"], session["resumed"], session["next_seq"]) == (info["id"], True, 50)
        assert session["aec"]["enabled"] is False
        two.seq, two.sent = 45, 45 * HOP
        await two.say(mic[two.sent : 16_000], flags=Flag.REPLAYED)
        await two.say(mic[16_000:])
        while not two.frames or two.frames[-1].mic_start + HOP < len(mic) - HOP:
            await two.next()

    out = np.zeros(len(mic) - HOP, np.int16)
    for piece in one.frames + two.frames:
        out[piece.mic_start : piece.mic_start + HOP] = piece.audio[:, 0]
    np.testing.assert_array_equal(out, mic[: len(out)])
    assert not [event for event in two.events if event["type"] in ("duplex.gap", "error")]


async def test_a_resumed_session_is_taken_from_who_still_holds_it(server):
    async with talk(server.url) as one, talk(server.url) as two:
        info = (await one.update())["session"]
        resume = {"type": "duplex.resume", "session": info["id"], "next_seq": 0}
        await two.tell(**resume, token=info["resume_token"])

        assert (await one.closed())[0] == 4409
        assert (await two.until("session.updated"))["session"]["id"] == info["id"]
        await two.update(duplex={"cleaned_audio": True})
        await healthy(two)


@pytest.mark.parametrize("wrong", [{"session": "sess_0"}, {"token": "guess"}])
async def test_only_the_token_resumes(server, wrong: dict[str, str]):
    async with talk(server.url) as one, talk(server.url) as two:
        info = (await one.update(duplex={"cleaned_audio": True}))["session"]
        resume = {"session": info["id"], "token": info["resume_token"]} | wrong
        await two.tell(type="duplex.resume", next_seq=0, **resume)

        assert (await two.closed())[0] == 4404
        await healthy(one)


async def test_a_dropped_session_is_kept_for_a_while_only(start_server: Callable[..., Any]):
    server = start_server(resume_s=0.2, max_sessions=1)
    async with talk(server.url) as one:
        info = (await one.update())["session"]
        await abandon(one)
    await asyncio.sleep(0.6)
    async with talk(server.url) as two:
        await two.tell(type="duplex.resume", session=info["id"], token=info["resume_token"], next_seq=0)
        assert (await two.closed())[0] == 4404


async def test_a_dropped_session_gives_way_to_a_new_one(start_server: Callable[..., Any]):
    server = start_server(max_sessions=1)
    async with talk(server.url) as one:
        await one.update()
        await abandon(one)
    await asyncio.sleep(0.2)
    async with talk(server.url) as two:
        await two.update(duplex={"cleaned_audio": True})
        await healthy(two)


async def test_no_more_than_max_sessions(server):
    async with talk(server.url), talk(server.url), talk(server.url), talk(server.url) as last:
        async with talk(server.url) as refused:
            assert await refused.closed() == (4429, "all 4 sessions are taken; retry_after=5")
            assert refused.events == []
        await last.update(duplex={"cleaned_audio": True})
        await healthy(last)


async def test_an_overloaded_server_refuses(start_server: Callable[..., Any]):
    server = start_server(max_load=1e-6)
    async with talk(server.url), talk(server.url) as refused:  # who is alone is let in
        assert await refused.closed() == (4429, "the server is at its capacity; retry_after=5")
    assert 'duplex_connections_refused_total{status="4429"} 1.0' in server.metrics()


async def test_who_comes_back_to_a_kept_session_is_not_refused_for_the_load(start_server: Callable[..., Any]):
    server = start_server(max_load=1e-6)
    async with talk(server.url) as one:
        info = (await one.update())["session"]
        await abandon(one)
    await server.shows("duplex_sessions_kept 1.0")
    async with talk(server.url):
        async with talk(f"{server.url}?session=sess_0_{16 * '0'}") as unknown:
            assert (await unknown.closed())[0] == 4429
        async with talk(f"{server.url}?session={info['id']}") as back:
            await back.tell(type="duplex.resume", session=info["id"], token=info["resume_token"], next_seq=0)
            assert (await back.until("session.updated"))["session"]["resumed"]


async def test_silent_peers_and_long_talkers_are_sent_away(start_server: Callable[..., Any]):
    server = start_server(idle_s=0.5, max_session_s=1.5)
    async with talk(server.url) as idle, talk(server.url) as busy:
        await busy.update()

        async def keep_talking() -> None:
            while True:
                await busy.say(noise(HOP))
                await asyncio.sleep(0.05)

        talking = asyncio.create_task(keep_talking())
        assert (await idle.closed())[0] == 4408
        assert (await busy.closed())[0] == 4410
        talking.cancel()
        await asyncio.gather(talking, return_exceptions=True)


async def deaf_connection(url: str, port: int) -> ClientConnection:
    """Connect with as small a receive buffer as there is, and never read."""
    receiver = socket.socket()
    receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    receiver.setblocking(False)
    await asyncio.get_running_loop().sock_connect(receiver, ("127.0.0.1", port))
    return await connect(url, sock=receiver, compression=None, proxy=None, max_queue=1)


async def test_a_peer_that_never_reads_is_sent_away_and_the_others_go_on(start_server: Callable[..., Any]):
    server = start_server(handshake_s=0.5, max_behind_s=1)
    deaf = await deaf_connection(server.url, server.port)
    session = {"audio": {"input": {"format": {"rate": 16_000}}}, "duplex": {"cleaned_audio": True}}
    await deaf.send(json.dumps({"type": "session.update", "session": session}))

    async def shout() -> None:
        for seq in count():
            await deaf.send(frame(noise(HOP), seq, seq * HOP))

    shouting = asyncio.create_task(shout())
    async with asyncio.timeout(60), talk(server.url) as good:
        await good.update(duplex={"cleaned_audio": True})
        while 'duplex_connections_closed_total{code="4429"} 1.0' not in server.metrics():
            await healthy(good)
            await asyncio.sleep(0.2)
        await healthy(good)
        await server.keeps_sockets(1)  # although what it does not read still waits
    shouting.cancel()
    await asyncio.gather(shouting, return_exceptions=True)
    deaf.transport.abort()


async def test_draining_is_told_and_ends_with_1012(start_server: Callable[..., Any]):
    server = start_server(drain_s=0.5)
    async with talk(server.url) as one:
        await one.update()
        server.begin_stop()
        assert (await one.until("duplex.draining"))["deadline_ms"] == 500
        assert (await one.closed())[0] == 1012
