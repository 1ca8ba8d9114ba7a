"""What hostile and broken peers do to a real server over real sockets: one that behaves notices nothing."""

import asyncio
import contextlib
import json
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from client.wire import Frame, Kind, pack, unpack
from server.certificate import keep_certificate
from server.outbox import LIMIT_ITEMS
from tests.chaos.mutation import mutated_event, mutated_frame

HOP = 320
CREATED = "session.created"
SESSION = {
    "audio": {"input": {"format": {"rate": 16_000}}},
    "aec": {"enabled": False},
    "duplex": {"cleaned_audio": True, "stats_hz": 0},
}


class Neighbour:
    """A session that sends noise, and must get all of it back unchanged."""

    def __init__(self, link: Any) -> None:
        self._socket = link
        self._rng = np.random.default_rng(5)
        self._said: list[np.ndarray] = []
        self._heard: list[np.ndarray] = []
        self._seq = 0

    async def begin(self) -> None:
        await self._socket.send(json.dumps({"type": "session.update", "session": SESSION}))

    async def talk(self, hops: int) -> None:
        """Send so many frames, and wait for their sound; nothing may be told but acknowledgements."""
        for _ in range(hops):
            audio = self._rng.integers(-3000, 3000, (HOP, 2)).astype(np.int16)
            frame = Frame(Kind.MIC_REF, self._seq, audio, self._seq * HOP, self._seq * HOP, flags=4)
            await self._socket.send(pack(frame))
            self._said.append(audio[:, 0])
            self._seq += 1
        while len(self._heard) < self._seq - 1:  # the canceller keeps one frame back
            message = await asyncio.wait_for(self._socket.recv(), 60)
            if isinstance(message, bytes):
                self._heard.append(unpack(message).audio[:, 0])
            else:
                kind = json.loads(message)["type"]
                assert kind in (CREATED, "session.updated", "duplex.ack", "duplex.reference"), message
        said, heard = np.concatenate(self._said), np.concatenate(self._heard)
        np.testing.assert_array_equal(heard, said[: len(heard)])


@contextlib.asynccontextmanager
async def neighbour(server: Any) -> AsyncIterator[Neighbour]:
    async with connect(server.url, compression=None, proxy=None) as link:
        peer = Neighbour(link)
        await peer.begin()
        await peer.talk(3)
        yield peer
        await peer.talk(50)
    assert "duplex_session_failures_total 0.0" in server.metrics()


async def spoil(server: Any, seed: int) -> int | None:
    """Send mutated messages over one connection until it is closed; return the close code."""
    rng = np.random.default_rng(seed)
    async with connect(server.url, compression=None, proxy=None) as link:
        with contextlib.suppress(ConnectionClosed):
            for _ in range(rng.integers(1, 30)):
                binary = rng.random() < 0.2
                await link.send(
                    mutated_frame(rng) if binary else mutated_event(rng).encode(errors="replace").decode()
                )
        if rng.random() < 0.5:
            link.transport.abort()
            return None
        await link.close()
        return link.close_code


async def test_mutated_messages_over_sockets(server: Any):
    async with neighbour(server) as peer:
        codes = set()
        for round_ in range(20):
            codes |= set(await asyncio.gather(*(spoil(server, 100 * round_ + n) for n in range(3))))
            await peer.talk(5)
    assert codes <= {None, 1000, 1009, 4400, 4404, 4429}
    assert {1000, 4400} <= codes


async def test_a_hundred_connects_at_once(server: Any):
    """As many as there are places get in, the others are told when to come back."""

    async def knock() -> str:
        async with connect(server.url, compression=None, proxy=None, open_timeout=60) as link:
            try:
                created = json.loads(await asyncio.wait_for(link.recv(), 60))["type"]
            except ConnectionClosed:
                return f"{link.close_code} {link.close_reason}"
            await everyone.wait()
            return created

    everyone = asyncio.Event()
    async with neighbour(server) as peer:
        knocking = [asyncio.create_task(knock()) for _ in range(100)]
        await peer.talk(50)
        while sum(task.done() for task in knocking) < 97:
            await peer.talk(1)
        everyone.set()
        answers = await asyncio.gather(*knocking)
    assert answers.count(CREATED) == 3
    assert answers.count("4429 all 4 sessions are taken; retry_after=5") == 97


async def test_connections_that_never_finish_their_first_word(server: Any):
    """Half a handshake takes no place; whoever means it gets in."""
    halves = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(200)]
    try:
        for half in halves:
            half.sendall(b"GET /v1/realtime HTTP/1.1\r\nHost: x\r\nUpgr")
        async with neighbour(server) as peer:
            await peer.talk(20)
    finally:
        for half in halves:
            half.close()


REQUEST = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
FIRST_WORDS = {
    "nothing": b"",
    "half a handshake": b"GET /v1/realtime HTTP/1.1\r\nHost: x\r\nUpgr",
    "one request and half another": REQUEST + REQUEST[:20],
}


async def cut_off(port: int, words: bytes, trickle: bytes = b"") -> None:
    """Say so much, then a byte now and then; return once the server has had enough."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    with contextlib.suppress(ConnectionError):
        writer.write(words)
        for _ in range(200):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.05):
                    if not await reader.read(1000):
                        break
            writer.write(trickle)
        else:
            pytest.fail("the server waits for ever")
    writer.close()


async def test_who_never_ends_a_request_is_cut_off(start_server: Any):
    """The limit does not begin anew with each byte, and holds for no session."""
    server = start_server(handshake_s=0.5)
    async with neighbour(server) as peer, asyncio.timeout(20):
        halves = [cut_off(server.port, words) for words in FIRST_WORDS.values()]
        drops = [cut_off(server.port, words, trickle=b"x") for words in FIRST_WORDS.values()]
        await asyncio.gather(*halves, *drops)
        await server.keeps_sockets(1)
        await peer.talk(5)


async def test_who_never_ends_a_tls_handshake_is_cut_off(start_server: Any, tmp_path: Path):
    kept = keep_certificate(tmp_path, ["127.0.0.1"])
    server = start_server(handshake_s=0.5, tls_certificate=kept.certificate, tls_key=kept.key)
    hello = bytes.fromhex("1603010200010001fc0303")  # the head of a ClientHello of 512 bytes
    async with asyncio.timeout(20):
        await asyncio.gather(cut_off(server.port, b""), cut_off(server.port, hello))
    trust = ssl.create_default_context(cafile=kept.certificate)
    async with connect(server.url.replace("ws:", "wss:"), ssl=trust, proxy=None) as link:
        await asyncio.sleep(1)
        await link.send(json.dumps({"type": "duplex.ping"}))
        assert [json.loads(await link.recv())["type"] for _ in range(2)] == [CREATED, "duplex.pong"]


async def stall(server: Any, hops_after: int, live: bool) -> int | None:
    """Send in real time, but 1.5 s late from the second frame on, or only until all is sent at once.

    Returns:
        The close code; None if the server has nothing against it.
    """
    async with connect(server.url, compression=None, proxy=None) as link:
        await link.send(json.dumps({"type": "session.update", "session": SESSION}))
        audio = np.zeros((HOP, 2), np.int16)
        for seq in range(hops_after):
            if seq == 1:
                await asyncio.sleep(1.5)
            elif live or seq > 75:  # until then there is something to make up for
                await asyncio.sleep(0.02)
            with contextlib.suppress(ConnectionClosed):
                await link.send(pack(Frame(Kind.MIC_REF, seq, audio, seq * HOP, seq * HOP, ms=20 * seq)))
        with contextlib.suppress(ConnectionClosed):
            await link.send('{"type": "input_audio_buffer.clear"}')
            while "input_audio_buffer.cleared" not in str(await link.recv()):
                pass
        return link.close_code


async def test_who_stays_behind_is_sent_away_and_who_catches_up_is_not(
    start_server: Any, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("server.connection.CATCH_UP_S", 0.5)
    server = start_server(max_behind_s=1)
    codes = await asyncio.gather(stall(server, 50, live=True), stall(server, 120, live=False))
    assert codes == [4429, None]


async def test_half_a_message_is_nothing(start_server: Any):
    """A writer that stalls inside a message is idle, and is sent away as such."""
    server = start_server(idle_s=0.5)
    async with connect(server.url, compression=None, proxy=None) as link:
        await link.recv()
        link.transport.write(
            b"\x82\xfe\x05\x20" + bytes(40)
        )  # the head of 1312 binary bytes, and few of them
        await server.shows('duplex_connections_closed_total{code="4408"} 1.0')
        link.transport.abort()  # it would wait for an end that the server takes for the rest of the message


FLOODS = {
    "pings, answers unread": json.dumps({"type": "duplex.ping", "event_id": "x" * 200}),
    "settings": json.dumps({"type": "session.update", "session": {"duplex": {"stats_hz": 0}}}),
    "commits of nothing": json.dumps({"type": "input_audio_buffer.commit"}),
    "audio that never ends": pack(Frame(Kind.MIC_REF, 0, np.zeros((1600, 2), np.int16), 0, 0)),
}


@pytest.mark.parametrize("flood", FLOODS)
async def test_floods_are_held_back(server: Any, flood: str):
    """TCP stops who sends more than is processed, or does not read the answers."""

    async def pour() -> None:
        link = await connect(server.url, compression=None, proxy=None, max_queue=1)
        try:
            await link.send(json.dumps({"type": "session.update", "session": SESSION}))
            while True:
                await link.send(FLOODS[flood])
        except ConnectionClosed:
            return
        finally:
            link.transport.abort()

    async with neighbour(server) as peer:
        pouring = asyncio.create_task(pour())
        most_ms, most_items = 0.0, 0
        for _ in range(15):
            await peer.talk(5)
            for session in server.sessions():
                most_ms = max(most_ms, session.lane.inbox.queued_ms)
                most_items = max(most_items, len(session.outbox))
        pouring.cancel()
        await asyncio.gather(pouring, return_exceptions=True)
    assert most_ms < 700
    assert most_items < LIMIT_ITEMS
