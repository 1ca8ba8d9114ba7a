"""The benchmark has the shape that others read, and leaves the canceller as it was; no speed is asserted."""

import pytest

from aec_core import HopCanceller, canceller
from aec_core.bench import StageClock, echo_pair, run_bench

STAGES = {
    "delay",
    "alignment",
    "linear",
    "stft",
    "features",
    "network",
    "post_filter",
    "synthesis",
    "rest",
    "total",
}


def test_report_has_every_stage_for_each_count():
    report = run_bench([1, 2], seconds=0.2)
    assert list(report["streams"]) == ["1", "2"]
    for figures in report["streams"].values():
        assert set(figures["stages_us"]) == STAGES
        assert all(us >= 0 for us in figures["stages_us"].values())
        assert set(figures["floor_us"]) <= STAGES
        assert figures["rtf"] == pytest.approx(figures["stages_us"]["total"] / 20_000, rel=1e-2)


def test_the_peer_is_timed_on_the_same_audio():
    pytest.importorskip("livekit")
    assert run_bench([1], seconds=0.2)["peers"]["webrtc_aec3"]["rtf"] > 0


def test_watching_counts_every_stage_and_ends():
    core, clock = HopCanceller.pretrained(), StageClock()
    plain = canceller.log_mel, canceller.wiener_gains
    mic, ref = echo_pair(0.1)
    with clock.watching(core):
        core.process(mic[None, :320], ref[None, :320])
    assert set(clock.ns) == STAGES - {"rest", "total"}
    assert all(ns > 0 for ns in clock.ns.values())
    assert (canceller.log_mel, canceller.wiener_gains) == plain
    before = dict(clock.ns)
    core.process(mic[None, :320], ref[None, :320])
    assert clock.ns == before
