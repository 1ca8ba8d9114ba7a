"""The engine without its thread: messages in, ticks, results out."""

import time
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

import server.engine as engine_module
from aec_core import HOP, HopCanceller
from client.wire import Frame, Kind, pack, unpack
from server.engine import Engine, EngineThread
from server.events import (
    Ack,
    AecStats,
    AudioGap,
    ErrorEvent,
    InputAudioAppend,
    InputAudioClear,
    InputAudioCommit,
    Reference,
    ResponseCancel,
    SessionUpdated,
    SpeechStarted,
)
from server.inbox import Arrival, Message
from server.lane import Lane
from server.listener import CleanHop
from server.metrics import Metrics
from server.outbox import Close, Item
from server.protocol import ServerProtocol
from server.session_config import Backends, SessionConfig, SessionInfo, update_session
from server.turn import SmartTurn, TurnService
from server.vad import SileroBank

Int16 = NDArray[np.int16]

ROUNDING = 2  # int16 steps: a batch of another size may sum in another order


@pytest.fixture(scope="module")
def turns() -> Iterator[TurnService]:
    service = TurnService(SmartTurn())
    yield service
    service.close()


class Peer:
    """One session, its lane, and all that came out."""

    def __init__(self, engine: Engine, lane: Lane, rate: int = 16_000, **session: object) -> None:
        self.lane = lane
        self.items: list[Item] = []
        self.sent = 0
        self.seq = 0
        self.rate = rate
        self._protocol = ServerProtocol(rate)
        lane.sink = self.items.extend
        engine.join(lane)
        self.configure(audio={"input": {"format": {"rate": rate}}}, **session)

    def configure(self, **session: object) -> None:
        config = update_session(SessionConfig(), session)
        info = SessionInfo(
            **dict(config),
            id=self.lane.session_id,
            resume_token="",
            backends=Backends(asr="none", vad="", turn="", aec=""),
            latency_samples=0,
        )
        self.put(info)

    def put(self, message: Message) -> None:
        self.lane.inbox.put(Arrival(message, 0.0, 0.0))

    def send(self, mic: Int16, ref: Int16, step: int | None = None) -> None:
        step = step or self.rate // 50
        for at in range(0, len(mic), step):
            audio = np.stack([mic[at : at + step], ref[at : at + step]], axis=1)
            frame = Frame(Kind.MIC_REF, self.seq, audio, self.sent, self.sent)
            self.put(self._protocol.receive_binary(pack(frame)))
            self.seq += 1
            self.sent += len(audio)

    def skip(self, samples: int) -> None:
        self.sent += samples

    def of(self, kind: type) -> list:
        return [item for item in self.items if isinstance(item, kind)]

    @property
    def cleaned(self) -> Int16:
        """All cleaned audio, `(n, 2)`, placed by sample index."""
        frames = [unpack(item) for item in self.of(bytes)]
        out = np.zeros((max((f.mic_start + len(f.audio) for f in frames), default=0), 2), np.int16)
        for frame in frames:
            out[frame.mic_start : frame.mic_start + len(frame.audio)] = frame.audio
        return out


def make_engine(streams: int) -> Engine:
    core = HopCanceller.pretrained(streams=streams)
    return Engine(core, SileroBank(streams), Metrics(), lambda run: run())


def tick_until_idle(engine: Engine) -> int:
    hops = 0
    while done := engine.tick():
        hops += done
    return hops


def conversation(seed: int, seconds: float = 1.5) -> tuple[Int16, Int16]:
    """Noise in bursts from the far end, its echo 60 ms later, and a buzz of another pitch for each seed."""
    rng = np.random.default_rng(seed)
    n = round(16_000 * seconds)
    bursts = np.repeat(rng.uniform(0, 1, n // 1600 + 1), 1600)[:n]
    ref = 3000 * bursts * rng.standard_normal(n)
    buzz = (np.arange(n) * (140 + 30 * seed) / 16_000) % 1 - 0.5
    mic = 0.5 * np.roll(ref, 960) + 1200 * buzz + 100 * rng.standard_normal(n)
    return mic.astype(np.int16), ref.astype(np.int16)


def test_many_sessions_at_once_are_what_each_is_alone(turns: TurnService):
    together = make_engine(3)
    peers = [Peer(together, Lane(f"s{n}", turns, None), duplex={"cleaned_audio": True}) for n in range(3)]
    talks = [conversation(seed) for seed in range(3)]
    for at in range(0, len(talks[0][0]), 1600):
        # The second one sends in bursts, the third begins late: the batches differ from tick to tick.
        peers[0].send(*(x[at : at + 1600] for x in talks[0]))
        if at % 4800 == 3200 or at + 1600 == len(talks[0][0]):
            peers[1].send(*(x[peers[1].sent : at + 1600] for x in talks[1]))
        if at >= 8000:
            peers[2].send(*(x[at - 8000 : at - 6400] for x in talks[2]))
        together.tick()
    peers[2].send(*(x[peers[2].sent :] for x in talks[2]))
    tick_until_idle(together)

    for peer, talk in zip(peers, talks, strict=True):
        engine = make_engine(1)
        alone = Peer(engine, Lane("alone", turns, None), duplex={"cleaned_audio": True})
        alone.send(*talk)
        tick_until_idle(engine)
        assert len(peer.cleaned) == len(alone.cleaned) > 20_000
        assert np.abs(peer.cleaned.astype(int) - alone.cleaned).max() <= ROUNDING
    assert np.abs(peers[0].cleaned.astype(int) - peers[1].cleaned).max() > 100 * ROUNDING


def test_without_cancelling_the_microphone_passes_sample_by_sample(turns: TurnService):
    engine = make_engine(2)
    peer = Peer(engine, Lane("a", turns, None), aec={"enabled": False}, duplex={"cleaned_audio": True})
    other = Peer(engine, Lane("b", turns, None), duplex={"cleaned_audio": True})
    mic, ref = conversation(1)
    peer.send(mic, ref)
    other.send(mic, ref)
    tick_until_idle(engine)

    for channel in range(2):
        heard = peer.cleaned[:, channel]
        np.testing.assert_array_equal(heard, mic[: len(heard)])
    assert len(mic) - len(peer.cleaned) == engine.latency
    assert np.abs(other.cleaned[:, 0].astype(int) - mic[: len(other.cleaned)]).max() > 1000


@pytest.mark.parametrize("rate", [16_000, 24_000, 48_000])
def test_cleaned_audio_lies_on_the_microphone_clock(turns: TurnService, rate: int):
    engine = make_engine(1)
    peer = Peer(engine, Lane("a", turns, None), rate, aec={"enabled": False}, duplex={"cleaned_audio": True})
    time = np.arange(rate) / rate
    # A click at 0.5 s: its place tells any misalignment.
    mic = (8000 * np.exp(-(((time - 0.5) * 2000) ** 2))).astype(np.int16)
    peer.send(mic, np.zeros_like(mic))
    tick_until_idle(engine)

    assert int(np.argmax(peer.cleaned[:, 0])) == 8000


def test_an_event_holds_from_its_place_among_the_frames(turns: TurnService):
    engine = make_engine(1)
    peer = Peer(engine, Lane("a", turns, None))
    mic, ref = conversation(0)
    peer.send(mic[:3200], ref[:3200])
    peer.configure(audio={"input": {"format": {"rate": 16_000}}}, duplex={"cleaned_audio": True})
    peer.send(mic[3200:6400], ref[3200:6400])
    tick_until_idle(engine)

    starts = [unpack(item).mic_start for item in peer.of(bytes)]
    assert starts[0] == 3200 - engine.latency
    assert starts == list(range(starts[0], 6400 - engine.latency, HOP))
    assert len(peer.of(SessionUpdated)) == 2


def test_acks_and_statistics_follow_the_samples(turns: TurnService):
    engine = make_engine(1)
    peer = Peer(engine, Lane("a", turns, None), duplex={"stats_hz": 10})
    mic, ref = conversation(0, seconds=2)
    peer.send(mic, ref)
    tick_until_idle(engine)

    assert [ack.next_seq for ack in peer.of(Ack)] == [50, 100]
    stats = peer.of(AecStats)
    assert len(stats) == 20
    assert -40 < stats[-1].mic_dbfs < -20
    assert stats[-1].lost == stats[-1].late == 0


def test_no_statistics_where_none_are_wanted(turns: TurnService):
    engine = make_engine(1)
    peer = Peer(engine, Lane("a", turns, None), duplex={"stats_hz": 0})
    peer.send(*conversation(0))
    tick_until_idle(engine)

    assert peer.of(AecStats) == []


def test_the_reference_is_ok_only_once_it_was_heard(turns: TurnService):
    engine = make_engine(1)
    peer = Peer(engine, Lane("a", turns, None))
    mic, ref = conversation(0)
    peer.send(mic, np.zeros_like(ref))
    tick_until_idle(engine)
    assert [event.state for event in peer.of(Reference)] == ["silent"]

    peer.send(mic, ref)
    tick_until_idle(engine)
    assert [event.state for event in peer.of(Reference)] == ["silent", "ok"]


def test_a_short_gap_is_filled_and_told(turns: TurnService):
    engine = make_engine(1)
    peer = Peer(engine, Lane("a", turns, None), duplex={"cleaned_audio": True})
    mic, ref = conversation(0, seconds=1)
    peer.send(mic, ref)
    peer.skip(320)
    peer.send(mic, ref)
    hops = tick_until_idle(engine)

    (gap,) = peer.of(AudioGap)
    assert (gap.lost_ms, gap.filled_ms, gap.reset) == (20, 20, False)
    assert hops == 101
    assert peer.of(AecStats)[-1].lost == 1


def test_a_long_gap_starts_the_filters_afresh(turns: TurnService):
    engine = make_engine(2)
    peer = Peer(engine, Lane("a", turns, None), duplex={"cleaned_audio": True})
    fresh = Peer(engine, Lane("b", turns, None), duplex={"cleaned_audio": True})
    mic, ref = conversation(0, seconds=1)
    peer.send(*conversation(7, seconds=1))
    peer.skip(48_000)
    peer.send(mic, ref)
    fresh.send(mic, ref)
    tick_until_idle(engine)

    (gap,) = peer.of(AudioGap)
    assert gap.reset
    after = peer.cleaned[64_000:]
    assert len(after) == len(fresh.cleaned)
    assert np.abs(after.astype(int) - fresh.cleaned).max() <= ROUNDING


class Faulty(Lane):
    """Fails in the middle of its work."""

    def listen(self, hop: CleanHop, double_talk: bool) -> None:
        if hop.start > 3200:
            raise RuntimeError("a bug")
        super().listen(hop, double_talk)


class Choking(Lane):
    """Fails on what it is sent."""

    def next_hop(self):
        if self.inbox.queued_ms == 0 and self.touched:
            raise RuntimeError("a bug")
        return super().next_hop()


@pytest.mark.parametrize("broken", [Faulty, Choking])
def test_a_session_that_fails_ends_alone(turns: TurnService, broken: type[Lane], caplog):
    engine = make_engine(2)
    victim = Peer(engine, broken("victim", turns, None))
    other = Peer(engine, Lane("other", turns, None), duplex={"cleaned_audio": True})
    mic, ref = conversation(0)
    victim.send(mic, ref)
    other.send(mic, ref)
    tick_until_idle(engine)

    assert isinstance(victim.items[-1], Close)
    assert victim.items[-1].code == 1011
    assert victim.of(ErrorEvent)[0].error.type == "server_error"
    assert len(other.cleaned) == len(mic) - engine.latency
    assert "session victim failed" in caplog.text

    engine.leave(victim.lane)
    newcomer = Peer(engine, Lane("newcomer", turns, None))
    newcomer.send(mic, ref)
    assert tick_until_idle(engine) == len(mic) // HOP


def test_a_batch_that_fails_ends_who_was_in_it(turns: TurnService, caplog):
    engine = make_engine(2)
    peer = Peer(engine, Lane("a", turns, None))
    idle = Peer(engine, Lane("b", turns, None))
    peer.lane.next_hop = lambda: (0, np.full(HOP, np.nan, np.float32), np.zeros(HOP, np.float32))  # type: ignore[method-assign]
    engine.tick()

    assert isinstance(peer.items[-1], Close)
    assert idle.of(Close) == []
    assert "the batched call failed" in caplog.text


def test_a_new_session_hears_nothing_of_the_old_one(turns: TurnService):
    engine = make_engine(1)
    old = Peer(engine, Lane("old", turns, None), aec={"beta_vad": 2.0})
    old.send(*conversation(5))
    tick_until_idle(engine)
    engine.leave(old.lane)
    used = Peer(engine, Lane("new", turns, None), duplex={"cleaned_audio": True})
    unused = make_engine(1)
    first = Peer(unused, Lane("new", turns, None), duplex={"cleaned_audio": True})
    for each, peer in ((engine, used), (unused, first)):
        peer.send(*conversation(6))
        tick_until_idle(each)

    np.testing.assert_array_equal(used.cleaned, first.cleaned)


def test_betas_are_the_sessions_own(turns: TurnService):
    engine = make_engine(2)
    plain = Peer(engine, Lane("a", turns, None), duplex={"cleaned_audio": True})
    swapped = Peer(
        engine,
        Lane("b", turns, None),
        aec={"beta_vad": 0.2, "beta_asr": 0.6},
        duplex={"cleaned_audio": True},
    )
    for peer in (plain, swapped):
        peer.send(*conversation(0))
    tick_until_idle(engine)

    assert np.abs(plain.cleaned[:, 0].astype(int) - plain.cleaned[:, 1]).max() > 10
    np.testing.assert_allclose(plain.cleaned, swapped.cleaned[:, ::-1], atol=ROUNDING)


@pytest.mark.parametrize(
    "period_s", [engine_module.PERIOD_S, 0.0], ids=["as ever", "each round is handed out"]
)
def test_json_audio_is_heard_like_frames(turns: TurnService, monkeypatch, period_s: float):
    monkeypatch.setattr(engine_module, "PERIOD_S", period_s)
    engine = make_engine(2)
    frames = Peer(engine, Lane("a", turns, None), duplex={"cleaned_audio": True})
    appends = Peer(engine, Lane("b", turns, None), duplex={"cleaned_audio": True})
    mic, ref = conversation(0)
    frames.send(mic, ref)
    for at in range(0, len(mic), 1111):
        appends.put(
            InputAudioAppend.model_construct(
                audio=mic[at : at + 1111].tobytes(), reference=ref[at : at + 1111].tobytes()
            )
        )
    tick_until_idle(engine)

    np.testing.assert_allclose(appends.cleaned, frames.cleaned, atol=ROUNDING)


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (InputAudioCommit(event_id="mine"), "input_audio_buffer_commit_empty"),
        (ResponseCancel(event_id="mine"), "no_agent"),
    ],
)
def test_what_makes_no_sense_is_answered(turns: TurnService, message: Message, code: str):
    engine = make_engine(1)
    peer = Peer(engine, Lane("a", turns, None))
    peer.put(message)
    peer.put(InputAudioClear())
    engine.tick()

    assert [(event.error.code, event.error.event_id) for event in peer.of(ErrorEvent)] == [(code, "mine")]
    assert peer.of(SpeechStarted) == []


def test_load_and_metrics_follow_the_rounds(turns: TurnService):
    metrics = Metrics()
    core = HopCanceller.pretrained(streams=1)
    engine = Engine(core, SileroBank(1), metrics, lambda run: run())
    engine.warm_up()
    before = engine.meter.load(1)
    assert before > 0
    peer = Peer(engine, Lane("a", turns, None))
    peer.send(*conversation(0))
    peer.skip(1600)
    peer.send(*conversation(0))
    tick_until_idle(engine)

    text = metrics.exposition().decode()
    assert "duplex_hops_total 155.0" in text
    assert "duplex_gap_seconds_total 0.1" in text
    assert engine.meter.load(1) != before


def test_the_thread_ticks_when_woken_and_stops(turns: TurnService):
    posted: list[Sequence[object]] = []
    core = HopCanceller.pretrained(streams=1)
    engine = Engine(core, SileroBank(1), Metrics(), posted.append)
    thread = EngineThread(engine)
    peer = Peer(engine, Lane("a", turns, None))
    mic, ref = conversation(0)
    peer.send(mic, ref)
    thread.start()
    thread.wake()
    deadline = time.monotonic() + 20
    while not posted and time.monotonic() < deadline:
        time.sleep(0.01)
    thread.stop()

    assert posted
