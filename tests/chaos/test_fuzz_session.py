"""Peers that do anything at all beside one that behaves; hypothesis looks for the worst order."""

import asyncio
import contextlib
import json
from typing import Any

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from aec_core import HOP, HopCanceller
from client.wire import Frame, Kind, pack, unpack
from server.engine import Engine
from server.errors import ProtocolError
from server.events import Ping, Resume, SessionUpdate
from server.inbox import FULL_MESSAGES, FULL_MS
from server.lane import Lane
from server.metrics import Metrics
from server.outbox import LIMIT_ITEMS, Close, Item, Outbox
from server.protocol import ServerProtocol, encode_event
from server.session import Session
from server.session_config import Backends, Limits
from server.turn import SmartTurn, TurnService
from server.vad import SileroBank
from tests.chaos.mutation import EVENTS, mutated_event, mutated_frame

STREAMS = 3
BACKENDS = Backends(asr="none", vad="", turn="", aec="")
OWN_CLOCK, ONE_CLOCK, JUMP, REPLAYED, MUTED = 0, 4, 1, 8, 16


class Peer:
    """One session without a socket: bytes and text in, checked items out."""

    def __init__(self, engine: Engine, turns: TurnService, name: str) -> None:
        self._session = Session(Lane(name, turns, None), BACKENDS, Limits(), HOP, lambda: None)
        self._protocol = ServerProtocol(self._session.config.rate)
        self.seq = self.sent = 0
        self.heard: list[tuple[int, np.ndarray]] = []
        self.closed: Close | None = None
        engine.join(self._session.lane)

    @property
    def lane(self) -> Lane:
        return self._session.lane

    @property
    def blocked(self) -> bool:
        return self._session.blocked

    @property
    def rate(self) -> int:
        return self._session.config.rate

    def configure(self, **session: Any) -> None:
        self.receive(json.dumps({"type": "session.update", "session": session}))

    def receive(self, message: str | bytes) -> None:
        """Do with a message what a connection does."""
        if isinstance(message, bytes):
            self._session.submit(self._protocol.receive_binary(message), 0.0)
            return
        event = self._protocol.receive_text(message)
        if isinstance(event, SessionUpdate):
            info = self._session.configure(event.session)
            self._protocol.rate = info.rate
            self._session.submit(info, 0.0)
        elif not isinstance(event, Ping | Resume):
            self._session.submit(event, 0.0)

    def send(self, audio: np.ndarray, flags: int = ONE_CLOCK) -> None:
        self.receive(pack(Frame(Kind.MIC_REF, self.seq, audio, self.sent, self.sent, flags)))
        self.seq += 1
        self.sent += len(audio)

    def read(self) -> None:
        """Take all that waits, as the writer does, and see that it can be sent."""
        for item in asyncio.run(_drained(self._session.outbox)):
            self._take(item)

    def _take(self, item: Item) -> None:
        if isinstance(item, bytes):
            frame = unpack(item)
            self.heard.append((frame.mic_start, frame.audio))
        elif isinstance(item, Close):
            self.closed = item
        else:
            json.loads(encode_event(item, "event_1"), parse_constant=_refuse)

    def waits(self) -> tuple[float, int]:
        return self.lane.inbox.queued_ms, len(self._session.outbox)


async def _drained(outbox: Outbox) -> list[Item]:
    return [await outbox.get() for _ in range(len(outbox))]


def _refuse(name: str) -> None:
    raise AssertionError(f"{name} is no JSON")


class HostilePeers(RuleBasedStateMachine):
    """Two peers do what they like; the third sends noise, wants it back unchanged, and gets it."""

    engine: Engine
    turns: TurnService
    metrics: Metrics

    @initialize()
    def begin(self) -> None:
        self.rng = np.random.default_rng(1)
        self.peers = [Peer(self.engine, self.turns, f"hostile{n}") for n in range(STREAMS - 1)]
        self.good = Peer(self.engine, self.turns, "good")
        self.good.configure(
            audio={"input": {"format": {"rate": 16_000}}},
            aec={"enabled": False},
            duplex={"cleaned_audio": True, "stats_hz": 0},
        )
        self.said: list[np.ndarray] = []

    @rule(
        who=st.integers(0, 1),
        kind=st.sampled_from([1, 2, 3]),
        flags=st.sampled_from([OWN_CLOCK, ONE_CLOCK, ONE_CLOCK | JUMP, REPLAYED, MUTED]),
        ms=st.sampled_from([10, 20, 20, 20, 100]),
        skip=st.sampled_from([0, 0, 0, 1, -1, 5, 200, -200, 2**40]),
        lose=st.sampled_from([0, 0, 0, 1, 3, -1, 2**31]),
        loud=st.sampled_from([0, 300, 32767]),
        ref_lag=st.sampled_from([0, 0, 160, -(2**20)]),
    )
    def frame(
        self, who: int, kind: int, flags: int, ms: int, skip: int, lose: int, loud: int, ref_lag: int
    ) -> None:
        peer = self.peers[who]
        if peer.blocked:
            return
        size = peer.rate * ms // 1000
        start = min(max(peer.sent + skip * size, 0), 2**53 - size)
        ref_start = min(max(start + ref_lag, 0), 2**53 - size)
        audio = self.rng.integers(-loud - 1, loud + 1, (size, 2 if kind == 1 else 1)).astype(np.int16)
        peer.seq = (peer.seq + lose) % 2**32
        with contextlib.suppress(ProtocolError):
            peer.receive(pack(Frame(kind, peer.seq, audio, start, ref_start, flags, peer.seq * ms)))
        peer.seq, peer.sent = (peer.seq + 1) % 2**32, start + size

    @rule(who=st.integers(0, 1), event=st.sampled_from(EVENTS))
    def event(self, who: int, event: dict[str, Any]) -> None:
        if not self.peers[who].blocked:
            with contextlib.suppress(ProtocolError):
                self.peers[who].receive(json.dumps(event))

    @rule(who=st.integers(0, 1), seed=st.integers(0, 10_000), binary=st.booleans())
    def garbage(self, who: int, seed: int, binary: bool) -> None:
        rng = np.random.default_rng(seed)
        if not self.peers[who].blocked:
            with contextlib.suppress(ProtocolError):
                self.peers[who].receive(mutated_frame(rng) if binary else mutated_event(rng))

    @rule(who=st.integers(0, 1))
    def leave_and_join(self, who: int) -> None:
        self.engine.leave(self.peers[who].lane)
        self.peers[who] = Peer(self.engine, self.turns, f"again{who}")

    @rule(who=st.integers(0, 1))
    def read(self, who: int) -> None:
        self.peers[who].read()

    @precondition(lambda self: not self.good.blocked)
    @rule(frames=st.integers(1, 4))
    def good_talks(self, frames: int) -> None:
        audio = self.rng.integers(-3000, 3000, (frames * HOP, 2)).astype(np.int16)
        self.said.append(audio[:, 0])
        for at in range(0, len(audio), HOP):
            self.good.send(audio[at : at + HOP])

    @rule()
    def tick(self) -> None:
        self.engine.tick()

    @invariant()
    def queues_are_bounded(self) -> None:
        for peer in [*self.peers, self.good] if hasattr(self, "good") else []:
            queued_ms, items = peer.waits()
            assert queued_ms < FULL_MS + 500  # one JSON message of 500 ms more
            assert len(peer.lane.inbox._arrivals) <= FULL_MESSAGES
            assert items < LIMIT_ITEMS

    @invariant()
    def nobody_failed(self) -> None:
        assert self.metrics.failures._value.get() == 0

    def teardown(self) -> None:
        if not hasattr(self, "good"):
            return
        while self.engine.tick():
            pass
        self.good.read()
        heard = np.concatenate([audio[:, 0] for _, audio in self.good.heard] or [np.zeros(0, np.int16)])
        said = np.concatenate(self.said or [np.zeros(0, np.int16)])
        np.testing.assert_array_equal(heard, said[: len(heard)])
        assert len(heard) == max(len(said) - HOP, 0)
        for peer in [*self.peers, self.good]:
            peer.read()
            assert peer.closed is None
            self.engine.leave(peer.lane)
        self.engine.tick()


def test_hostile_peers_break_nothing_and_nobody():
    turns, metrics = TurnService(SmartTurn()), Metrics()

    class Machine(HostilePeers):
        pass

    Machine.turns, Machine.metrics = turns, metrics
    Machine.engine = Engine(
        HopCanceller.pretrained(streams=STREAMS), SileroBank(STREAMS), metrics, lambda call: call()
    )
    try:
        run_state_machine_as_test(Machine, settings=settings(max_examples=25, stateful_step_count=40))
    finally:
        turns.close()
