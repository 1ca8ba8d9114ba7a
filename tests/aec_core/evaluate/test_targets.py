"""Targets at, above and below their bounds."""

import pytest

from aec_core.evaluate import paper
from aec_core.evaluate.ablations import Scored
from aec_core.evaluate.targets import peer_names, targets
from tests.aec_core.evaluate.systems import made_up_systems


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model"
    path.write_bytes(bytes(1_500_000))
    return path


def scored(row, pesq=1.5, rate=0.2):
    return Scored(row, 1, 600, 3, "x", dict.fromkeys(paper.SERS, pesq), 40.0, {"0": rate}, {"0": rate})


def held(systems, model, ablations=()):
    return {row["name"]: row for row in targets(systems, model, ablations)}


def test_only_what_is_not_ours_is_a_peer():
    assert peer_names(made_up_systems({})) == ["Peer"]


def test_better_than_peers_means_better_than_the_best(model):
    name = "PESQ at 0 dB, β 0.2 above every peer and the linear stage"
    best = held(made_up_systems({"β 0.2": 3.0, "Peer": 2.0, "linear stage": 2.5}), model)[name]
    assert (best["holds"], best["value"]) == (True, 0.5)
    assert not held(made_up_systems({"β 0.2": 3.0, "Peer": 3.5}), model)[name]["holds"]
    assert not held(made_up_systems({"β 0.2": 3.0, "linear stage": 3.0}), model)[name]["holds"]


def test_the_median_decides_at_the_lowest_ser(model):
    systems = made_up_systems({"β 0.2": 3.0})
    systems["Peer"]["pesq_wb"]["-20"] = 4.5
    assert held(systems, model)["median PESQ at -20 dB, β 0.2 above every peer and the linear stage"]["holds"]


def test_any_beta_may_reach_the_best_pesq(model):
    row = held(made_up_systems({"β 0.4": 2.0}), model)["PESQ at 0 dB, best β"]
    assert (row["value"], row["target"], row["holds"]) == (2.5, 2.4, True)


def test_bounds_from_above(model):
    systems = made_up_systems({"β 0.2": -0.7})  # mean -0.2
    rows = held(systems, model)
    assert rows["near end changed at 0 dB, β 0.2, dB, at most"]["value"] == 0.2
    assert rows["near end changed at 0 dB, β 0.2, dB, at most"]["holds"]
    assert rows["model file, MB, at most"]["value"] == 1.5
    model.write_bytes(bytes(2_000_001))
    assert not held(systems, model)["model file, MB, at most"]["holds"]
    late = made_up_systems({"β 0.2": 1.0})
    assert not held(late, model)["after a delay jump 25 dB again within s, β 0.2, mean at most"]["holds"]


def test_signs_of_table_four(model):
    systems = made_up_systems({"β 0.1": 1, "β 0.2": 2, "β 0.4": 3, "β 0.6": 4, "β 0.8": 5})
    systems["β 0.6"]["dcf"], systems["β 0.2"]["wer"] = 0.01, 0.01
    rows = held(systems, model)
    assert rows["Table IV: ERLE rises with β, least step, dB"]["holds"]
    assert rows["Table IV: best β of the VAD above that of the ASR"]["value"] == pytest.approx(0.4)
    systems["β 0.4"]["erle_db"] = 99.0
    systems["β 0.2"]["wer"] = None
    rows = held(systems, model)
    assert not rows["Table IV: ERLE rises with β, least step, dB"]["holds"]
    assert "Table IV: best β of the VAD above that of the ASR" not in rows


def test_signs_of_the_ablations_where_there_are_any(model):
    systems = made_up_systems({})
    assert not [name for name in held(systems, model) if name.startswith(("Table I:", "Table II:"))]
    rows = held(systems, model, [scored(paper.BASE, 1.5), scored(paper.DA, 1.75), scored(paper.PL, 1.6)])
    assert rows["Table I: DA helps PESQ at -20 and -10 dB"]["value"] == 0.25
    assert not rows["Table I: PL helps PESQ at -20 and -10 dB"]["holds"]
    rows = held(systems, model, [scored(paper.TWO_MASKS, rate=0.3), scored(paper.PWF, rate=0.1)])
    assert rows["Table II: PWF lowers WER of two masks, %"]["value"] == pytest.approx(20)


def test_rows_of_opinions_vanish_without_them(model):
    systems = made_up_systems({})
    assert any(name.startswith("AECMOS") for name in held(systems, model))
    for system in systems.values():
        system["far_end_aecmos_echo"] = None
        for metric in ("aecmos_echo", "aecmos_degradation"):
            system[metric] = dict.fromkeys(paper.SERS)
    assert not any(name.startswith("AECMOS") for name in held(systems, model))
