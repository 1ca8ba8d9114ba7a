"""`duplex evaluate` on a manifest that the test makes itself."""

import json

import numpy as np
import pytest
import soundfile as sf

pytest.importorskip("pesq")

from aec_core.evaluate.listen import Listeners
from aec_core.evaluate.measure import measure, score
from aec_core.evaluate.quality import Mos, load_mos
from aec_core.evaluate.report import write_docs, write_json
from aec_core.evaluate.run import EvaluateOptions, evaluate
from aec_core.evaluate.scenarios import NEAR_GROUP, SERS_DB, Call, groups, make_calls
from aec_core.evaluate.systems import BETAS, SWEEP, beta_name, shipped, unprocessed
from aec_core.metrics import pesq
from aec_core.train.mixtures import Change, Mixture, Scene, Talk
from aec_core.train.sources import load_sources
from tests.aec_core.signals import far_end, speech_like

needs_mos = pytest.mark.skipif(load_mos() is None, reason="speechmos is not installed")


def test_the_same_seed_gives_the_same_calls(manifest):
    sources = load_sources(manifest, "test")
    a, b, other = (make_calls(sources, 1, seed) for seed in (1, 1, 2))
    assert [call.name for call in a] == list(groups())
    for first, second, third in zip(a, b, other, strict=True):
        np.testing.assert_array_equal(first.mixture.mic, second.mixture.mic)
        assert not np.array_equal(first.mixture.mic, third.mixture.mic)


def test_outputs_are_scored_in_time_with_the_call(manifest):
    """With every clip's own linear output the near end alone is kept: an offset would ruin the SDR."""
    calls = [call for call in make_calls(load_sources(manifest, "test"), 1, 3) if call.name == NEAR_GROUP]
    cleaned = measure(shipped(None, None, BETAS), calls, None, int)
    means = {name: scores["sdr_db"][NEAR_GROUP] for name, scores in cleaned.items()}
    clean = measure(unprocessed(), calls, None, int)["no processing"]["sdr_db"][NEAR_GROUP]
    assert np.mean(means["linear stage"]) > np.mean(clean) - 6


def test_all_betas_come_from_pairs_of_two(manifest):
    ref = speech_like(4, seed=2)
    mic = far_end(ref, 1600)[None]
    odd = shipped(None, None, (0.1, 0.6, 0.8))(mic, ref[None])
    assert set(odd) == {"linear stage", "β 0.1", "β 0.6", "β 0.8"}
    alone = shipped(None, None, (0.6,))(mic, ref[None])
    np.testing.assert_allclose(odd["β 0.6"], alone["β 0.6"], atol=1e-5)
    left = [float(np.sum(odd[beta_name(beta)] ** 2)) for beta in (0.1, 0.6, 0.8)]
    assert left == sorted(left, reverse=True)


def test_score_of_known_outputs():
    near, silent = speech_like(8), np.zeros(128000, np.float32)
    far = Call("far", Mixture(near, near, silent, near, Scene(Talk.FAR, Change.JUMP), 0.0))
    scores = score(far, 0.01 * near, None)
    assert scores["erle_after_3s_db"] == pytest.approx(40, abs=0.01)
    assert (scores["erle_after_change_db"], scores["recovery_s"]) == (pytest.approx(40, abs=0.01), 0.25)
    double = Call("double", Mixture(near, near, near, silent, Scene(Talk.DOUBLE), 0.0))
    scores = score(double, near, None)
    assert scores["sdr_db"] > 60
    assert scores["near_kept_db"] == pytest.approx(0, abs=0.01)
    assert "recovery_s" not in scores


def test_pesq_of_silence_is_none_and_of_equal_signals_is_the_best():
    assert pesq(np.zeros(16000), np.zeros(16000), "wb") is None
    near = speech_like(4)
    assert pesq(near, near, "wb") == pytest.approx(4.64, abs=0.01)
    assert pesq(near, near, "nb") == pytest.approx(4.55, abs=0.01)


@needs_mos
def test_opinions_are_better_of_silence_than_of_echo():
    ref = speech_like(6, seed=5)
    mic, mos = far_end(ref, 1600), Mos()
    echo = mos.echo(mic, ref, mic, "st")["aecmos_echo"]
    assert mos.echo(mic, ref, 1e-4 * mic, "st")["aecmos_echo"] > echo + 0.5
    assert set(mos.noise(2 * mic)) == {"dnsmos_speech", "dnsmos_background", "dnsmos_overall"}


def test_missing_manifest_and_empty_split_are_clear(manifest, tmp_path):
    with pytest.raises(FileNotFoundError, match="no manifest"):
        evaluate(EvaluateOptions(tmp_path / "none.csv"), Listeners(), lambda *_: None)
    with pytest.raises(FileNotFoundError, match="no folder"):
        evaluate(EvaluateOptions(manifest, pairs=tmp_path / "none"), Listeners(), lambda *_: None)
    with pytest.raises(ValueError, match="no usable speech"):
        evaluate(EvaluateOptions(manifest, split="valid"), Listeners(), lambda *_: None)


@pytest.mark.slow
def test_one_command_writes_every_table_and_plot(manifest, tmp_path):
    ref = speech_like(5, seed=9)
    sf.write(tmp_path / "farend_mic.wav", far_end(ref, 800), 16000)
    sf.write(tmp_path / "farend_ref.wav", ref, 16000)
    phases = {}
    options = EvaluateOptions(manifest, clips=1, pairs=tmp_path)

    def told(phase, done, total):
        phases[phase] = done, total

    evaluation = evaluate(options, Listeners(lambda _: "word number"), told)
    assert {"making calls", "scoring", "listening", "recordings"} == set(phases)
    assert all(done == total for done, total in phases.values())
    write_json(evaluation, tmp_path / "new" / "report.json")
    report = json.loads((tmp_path / "new" / "report.json").read_text())
    systems = report["systems"]
    assert set(systems) >= {"no processing", "linear stage", *map(beta_name, SWEEP)}
    for system in systems.values():
        assert set(system["pesq_wb"]) == set(system["sdr_db"]) == {str(ser) for ser in SERS_DB}
        assert {"erle_db", "erle_after_3s_db", "erle_after_jump_db", "near_kept_db", "wer", "dcf"} <= set(
            system
        )
    assert systems["no processing"]["erle_db"] == 0
    assert systems["β 0.6"]["erle_db"] > systems["β 0.2"]["erle_db"]
    assert all(set(row) == {"name", "value", "target", "holds"} for row in report["targets"])
    write_docs(evaluation, tmp_path / "docs", "Made by a test.")
    text = (tmp_path / "docs" / "evaluation.md").read_text()
    assert "Table IV" in text
    assert "Made by a test." in text
    for plot in ("pesq.png", "beta.png", "jump.png", "spectrograms.png"):
        assert 1_000 < (tmp_path / "docs" / plot).stat().st_size < 500_000
        assert f"({plot})" in text
