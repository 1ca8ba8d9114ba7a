"""Page and plots from figures that are known."""

import numpy as np
import pytest

from aec_core.evaluate import tables
from aec_core.evaluate.figures import jump_curves
from aec_core.evaluate.markdown import number, numbers, percent, with_spread
from aec_core.evaluate.report import markdown
from aec_core.evaluate.run import Evaluation
from aec_core.evaluate.scenarios import JUMP, Call
from aec_core.evaluate.systems import unprocessed
from aec_core.train.mixtures import Mixture, Scene, Talk
from tests.aec_core.evaluate.systems import made_up_systems
from tests.aec_core.signals import white


def test_numbers_as_text():
    assert number(None) == "–"
    assert number(1.25, 1, sign=True) == "+1.2"
    assert number(-0.01) == "0.0"
    assert numbers([1, None, 2.5]) == "1.0 / – / 2.5"
    assert percent(0.1234) == "12.3"
    assert with_spread([], 1) == "–"
    assert with_spread([2.0], 1) == "2.0"
    assert with_spread([1.0, 3.0], 1) == "2.0 ± 1.4"


def test_every_table_has_a_line_for_each_system_but_the_betas_between():
    systems = made_up_systems({"Peer": 2.0})
    for table in (tables.far_end, tables.double_talk, tables.opinion, tables.near_end):
        lines = table(systems).splitlines()
        assert [line.split(" | ")[0].strip("| ") for line in lines[2:]] == [
            "no processing",
            "linear stage",
            "β 0.2",
            "β 0.6",
            "Peer",
        ]
        assert len({line.count("|") for line in lines}) == 1
    assert "2.50 (+2.00) / 2.50 (+2.00)" in tables.opinion(systems)
    assert "| β 0.8 |" in tables.listeners(systems)


def test_recordings_say_what_suits_their_kind():
    def row(name, kind, scores):
        return {"name": name, "kind": kind, "systems": {"no processing": {}, "β 0.2": scores}}

    text = tables.recordings(
        [
            row("a", "far", {"reduction_db": 20.0, "reduction_after_3s_db": 30.0}),
            row("b", "near", {"reduction_db": 0.5, "level_change_db": -0.5}),
            row("c", None, {"reduction_db": 3.0, "sdr_db": 12.0, "near_kept_db": -1.0}),
        ]
    )
    assert "| a | far | 20.0 / 30.0 |" in text
    assert "| b | near | level -0.5 |" in text
    assert "| c | ? | SDR 12.0, kept -1.0 |" in text


def test_the_page_says_what_was_left_out_and_how_many_targets_hold():
    held = [
        {"name": "a", "value": 1.0, "target": 0.0, "holds": True},
        {"name": "b", "value": 1.0, "target": 2.0, "holds": False},
    ]
    evaluation = Evaluation(made_up_systems({}), [], [], held, ["SpeexDSP is left out: no"], [], [])
    text = markdown(evaluation)
    assert "1 of 2 hold" in text
    assert "*SpeexDSP is left out: no.*" in text
    assert "Table IV" in text
    assert "Table I\n" not in text


def test_curves_are_medians_over_clips_where_there_was_echo():
    mic = white((16000,))
    calls = [
        Call(JUMP, Mixture(part, part, 0 * part, part, Scene(Talk.FAR), 0.0))
        for part in (mic, mic, np.concatenate([mic[:8000], 0 * mic[8000:]]))
    ]

    def tenth(mic, ref):
        return {"tenth": 0.1 * mic}

    curves = jump_curves(calls, [unprocessed(), tenth])
    assert curves["no processing"] == pytest.approx(0, abs=1e-6)
    assert curves["tenth"] == pytest.approx(20, abs=1e-3)
