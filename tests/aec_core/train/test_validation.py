import numpy as np
import pytest

from aec_core.config import AecConfig
from aec_core.dfsmn import SHAPES
from aec_core.metrics import erle_db
from aec_core.train import validation
from aec_core.train.mixtures import Talk
from aec_core.train.validation import Judge, held_out_calls


@pytest.fixture(scope="module")
def calls(manifest):
    return held_out_calls(manifest)


def gate(bias):
    """Weights whose gain is the same everywhere: open for large biases, shut for small ones."""
    weights = {name: np.zeros(shape, np.float32) for name, shape in SHAPES.items()}
    weights["norm.std"] += 1
    weights["near.bias"] += bias
    weights["echo.bias"] -= bias
    return weights


def test_the_calls_are_of_both_kinds_seeded_and_of_the_split(calls, manifest):
    assert [call.scene.talk for call in calls] == [Talk.FAR] * 2 + [Talk.DOUBLE] * 6
    again = held_out_calls(manifest)
    np.testing.assert_array_equal(calls[3].mic, again[3].mic)
    with pytest.raises(ValueError, match="no usable speech"):
        held_out_calls(manifest, split="none")


@pytest.fixture(scope="module")
def judged(calls):
    """Figures of an open gate, which is the linear stage alone, and of a shut one."""
    judge = Judge(calls, AecConfig())
    return judge(gate(9)), judge(gate(-9))


def test_speech_that_is_gone_scores_less_than_echo_that_stays(judged):
    opened, shut = judged
    assert opened["score"] > shut["score"]
    assert shut["level_change_db +10 dB"] > 30 > 1 > opened["level_change_db +10 dB"]
    assert shut["erle_db"] > opened["erle_db"] > 0
    assert opened["sdr_db +10 dB"] > opened["sdr_db -10 dB"]


def test_the_score_is_what_the_docstring_says(judged):
    pytest.importorskip("pesq")
    for figures in judged:
        quality, change = (
            np.mean([figures[f"{name} {ser:+d} dB"] for ser in (-10, 0, 10)])
            for name in ("pesq", "level_change_db")
        )
        erles = min(figures["erle_db"], 40) + min(figures["erle_after_jump_db"], 40)
        assert figures["score"] == pytest.approx(quality - 0.05 * change + 0.01 * erles)


def test_what_is_judged_is_in_time_with_the_microphone(calls):
    """An open gate leaves the linear stage: its ERLE is late and small, and speech stays where it was."""
    judge = Judge(calls, AecConfig())
    cleaned = judge._cancel(gate(9))
    assert cleaned.shape == judge._mic.shape
    easy = next(i for i, call in enumerate(calls) if call.scene.ser_db == 10)
    near = calls[easy].near
    lags = [
        float(np.dot(near[1000:-1000], np.roll(cleaned[easy], -lag)[1000:-1000])) for lag in (-200, 0, 200)
    ]
    assert int(np.argmax(lags)) == 1
    assert erle_db(calls[0].mic, cleaned[0]) < 40


def test_without_pesq_the_score_goes_by_sdr(calls, monkeypatch, caplog):
    monkeypatch.setattr(validation, "find_spec", lambda name: None)
    judge = Judge(calls, AecConfig())
    assert "pesq" in caplog.text
    figures = judge(gate(9))
    assert not any(name.startswith("pesq") for name in figures)
    sdr, change = (
        np.mean([figures[f"{name} {ser:+d} dB"] for ser in (-10, 0, 10)])
        for name in ("sdr_db", "level_change_db")
    )
    erles = min(figures["erle_db"], 40) + min(figures["erle_after_jump_db"], 40)
    assert figures["score"] == pytest.approx(0.1 * sdr - 0.05 * change + 0.01 * erles)
