"""Means, medians and spreads of known values."""

import pytest

from aec_core.evaluate.scenarios import FAR_GROUPS, JUMP
from aec_core.evaluate.summary import summarise
from tests.aec_core.evaluate.systems import made_up_scores


def test_figures_of_known_values():
    scores = made_up_scores(1.0)
    scores["pesq_wb"]["double, -20 dB"] = [1.0, 1.0, 4.0]
    scores["recovery_s"][JUMP] = [0.5, 1.0, 3.0]
    system = summarise({"x": scores})["x"]
    assert system["pesq_wb"] == {"-20": 2.0, "-10": 1.5, "0": 1.5, "10": 1.5}
    assert system["pesq_wb_median"]["-20"] == 1.0
    assert system["pesq_wb_std"]["-20"] == pytest.approx(3**0.5, abs=1e-3)
    assert system["recovery_after_jump_s"] == 1.5
    assert system["recovered_within_1s"] == pytest.approx(2 / 3, abs=1e-3)
    assert system["near_end_alone"]["sdr_db"] == 1.5
    assert set(system["far_end"]) == {"plain", "delay jump", "clock drift", "path change"}


def test_changes_are_left_out_of_what_is_settled():
    scores = made_up_scores(40.0)
    scores["erle_after_3s_db"][JUMP] = [0.0]
    system = summarise({"x": scores})["x"]
    assert system["erle_after_3s_db"] == 40.5
    assert len(FAR_GROUPS) == 4


def test_what_was_not_measured_is_none():
    scores = made_up_scores(1.0)
    del scores["aecmos_echo"], scores["dnsmos_overall"]
    system = summarise({"x": scores})["x"]
    assert system["far_end_aecmos_echo"] is None
    assert system["dnsmos_overall"] == {"-20": None, "-10": None, "0": None, "10": None}
    assert "dnsmos_overall" not in system["near_end_alone"]
