"""The paper's tables: its rows and columns, ours as mean and spread, its figures beside."""

from aec_core.evaluate import paper
from aec_core.evaluate.ablations import Scored
from aec_core.evaluate.paper_tables import (
    mean_pesq,
    other_rows,
    table_four,
    table_one,
    table_three,
    table_two,
)
from tests.aec_core.evaluate.systems import made_up_systems


def scored(row, seed=1, stage=3, pesq=1.5, rate=0.2):
    by_ser = {"0": rate, "-10": 2 * rate}
    return Scored(row, seed, 600, stage, "x", dict.fromkeys(paper.SERS, pesq), 40.0, by_ser, by_ser)


def lines(text):
    return [line.strip("| ").split(" | ") for line in text.splitlines()]


def test_table_one_has_seeds_as_spread_and_the_paper_in_brackets():
    rows = lines(table_one([scored(paper.DA, 1, pesq=1.5), scored(paper.DA, 2, pesq=1.7)]))
    assert rows[0] == ["method", "PESQ, -20 dB", "PESQ, -10 dB", "PESQ, 0 dB", "PESQ, 10 dB", "ERLE, dB"]
    assert [row[0] for row in rows[2:]] == [paper.BASE, paper.DA, paper.PL]
    assert rows[3][1] == "1.60 ± 0.14 (1.57)"
    assert rows[3][5] == "40.00 ± 0.00 (41.46)"
    assert rows[2][1] == "– (1.26)"


def test_table_two_is_in_percent_with_all_five_rows():
    rows = lines(table_two([scored(row) for row in paper.ROWS]))
    assert [row[0] for row in rows[2:]] == list(paper.ROWS)
    assert rows[6][1:] == ["20.00 (1.73)", "40.00 (3.68)", "20.00 (7.05)", "40.00 (11.72)"]


def test_table_three_is_of_the_stages_of_one_row():
    stages = [scored(paper.PL, stage=stage, rate=stage / 10) for stage in (1, 2, 3)]
    rows = lines(table_three([*stages, scored(paper.DA, rate=0.9)]))
    assert [row[1] for row in rows[2:]] == ["10.00 (17.65)", "20.00 (10.32)", "30.00 (8.83)"]
    assert "– (1.83)" not in table_one(stages)
    assert "1.50 (1.83)" in table_one(stages)


def test_table_four_has_a_row_for_each_beta():
    systems = made_up_systems({"β 0.4": 2.0})
    rows = lines(table_four(systems))
    assert [row[0] for row in rows[2:]] == ["0.1", "0.2", "0.4", "0.6", "0.8"]
    assert rows[4][3:] == ["2.50 (2.39)", "2.50 (38.24)"]
    assert mean_pesq(systems, 0.4) == 2.5


def test_rows_of_our_own_are_apart():
    assert other_rows([scored(paper.DA)]) == ""
    assert "| ours | 1.50 |" in other_rows([scored("ours"), scored(paper.DA)])
