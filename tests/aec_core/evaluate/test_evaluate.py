"""`duplex evaluate` on a manifest that the test makes itself."""

import csv
import json

import numpy as np
import pytest
import soundfile as sf

pytest.importorskip("pesq")

from aec_core.evaluate.measure import Judges, measure, score
from aec_core.evaluate.quality import pesq
from aec_core.evaluate.report import summary
from aec_core.evaluate.run import EvaluateOptions, evaluate, write_report
from aec_core.evaluate.scenarios import SERS_DB, Call, groups, make_calls
from aec_core.evaluate.systems import BETAS, shipped, unprocessed
from aec_core.train.mixtures import Mixture, Scene, Talk
from aec_core.train.sources import load_sources
from tests.aec_core.signals import speech_like


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    rows = []
    for speaker in range(3):
        name = f"{speaker}.wav"
        sf.write(folder / name, speech_like(6, seed=speaker), 16000)
        rows.append([name, "speech", "librispeech", speaker, "test", 40])
    with (folder / "manifest.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "kind", "corpus", "speaker", "split", "dyn_dB"])
        writer.writerows(rows)
    return folder / "manifest.csv"


def test_the_same_seed_gives_the_same_calls(manifest):
    sources = load_sources(manifest, "test")
    a, b, other = (make_calls(sources, 1, seed) for seed in (1, 1, 2))
    assert [call.name for call in a] == list(groups())
    for first, second, third in zip(a, b, other, strict=True):
        np.testing.assert_array_equal(first.mixture.mic, second.mixture.mic)
        assert not np.array_equal(first.mixture.mic, third.mixture.mic)


def test_evaluate_reports_every_system_and_target(manifest, tmp_path):
    steps = []
    options = EvaluateOptions(manifest, clips=1)
    report = evaluate(options, lambda done, total: steps.append((done, total)))
    assert steps[-1][0] == steps[-1][1]
    assert set(report["systems"]) >= {"no processing", "linear stage", "β 0.2", "β 0.6"}
    for system in report["systems"].values():
        assert set(system["pesq_wb"]) == {str(ser) for ser in SERS_DB}
    assert report["systems"]["no processing"]["erle_db"] == 0
    assert report["systems"]["β 0.6"]["erle_db"] > report["systems"]["β 0.2"]["erle_db"]
    text = write_report(report, tmp_path / "new" / "report.json", tmp_path / "docs")
    assert json.loads((tmp_path / "new" / "report.json").read_text()) == report
    assert (tmp_path / "docs" / "evaluation.md").read_text() == text + "\n"
    assert text.count("| β 0.2 |") == 3


def test_outputs_are_scored_in_time_with_the_call(manifest):
    """With every clip's own linear output the near end alone is kept: an offset would ruin the SDR."""
    calls = [call for call in make_calls(load_sources(manifest, "test"), 2, 3) if call.name == "near"]
    cleaned = measure(shipped(None, None, BETAS), calls, Judges(), int)
    means = {name: scores["sdr_db"]["near"] for name, scores in cleaned.items()}
    clean = measure(unprocessed(), calls, Judges(), int)["no processing"]["sdr_db"]["near"]
    assert np.mean(means["linear stage"]) > np.mean(clean) - 6


def test_score_of_known_outputs():
    near, silent = speech_like(8), np.zeros(128000, np.float32)
    far = Call("far, none", Mixture(near, near, silent, near, Scene(Talk.FAR), 0.0))
    assert score(far, 0.01 * near, Judges())["erle_after_3s_db"] == pytest.approx(40, abs=0.01)
    double = Call("double, 0 dB", Mixture(near, near, near, silent, Scene(Talk.DOUBLE), 0.0))
    scores = score(double, near, Judges())
    assert scores["sdr_db"] > 60
    assert scores["near_kept_db"] == pytest.approx(0, abs=0.01)


def test_pesq_of_silence_is_none_and_of_equal_signals_is_the_best():
    assert pesq(np.zeros(16000), np.zeros(16000), "wb") is None
    near = speech_like(4)
    assert pesq(near, near, "wb") == pytest.approx(4.64, abs=0.01)


def test_missing_manifest_and_empty_split_are_clear(manifest, tmp_path):
    with pytest.raises(FileNotFoundError, match="no manifest"):
        evaluate(EvaluateOptions(tmp_path / "none.csv"), lambda *_: None)
    with pytest.raises(ValueError, match="no usable speech"):
        evaluate(EvaluateOptions(manifest, split="valid"), lambda *_: None)


def test_summary_takes_means_by_ser():
    scores = {
        "erle_db": {name: [10.0, 20.0] for name in groups() if name.startswith("far")},
        "erle_after_3s_db": {name: [30.0] for name in groups() if name.startswith("far")},
        "erle_after_change_db": {name: [1.0, 3.0] for name in groups() if name.startswith("far")},
    }
    for metric in ("pesq_wb", "sdr_db", "near_kept_db"):
        scores[metric] = {name: [2.0] for name in groups() if not name.startswith("far")}
    system = summary({"x": scores})["x"]
    assert (system["erle_db"], system["erle_after_jump_db"], system["pesq_wb"]["-20"]) == (15, 2, 2)
