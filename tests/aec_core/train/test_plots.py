import pytest

from aec_core.train.plots import _panels, draw_curves
from aec_core.train.records import append_row

pytest.importorskip("matplotlib")


def test_curves_are_drawn_from_both_tables(tmp_path):
    for step in range(5):
        append_row(tmp_path / "log.csv", {"step": step, "seconds": 60 * step, "frames": 9, "snr": -step})
        append_row(
            tmp_path / "validation.csv", {"step": step, "seconds": 60 * step, "frames": 9, "score": step}
        )
    draw_curves(tmp_path)
    picture = (tmp_path / "curves.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    append_row(tmp_path / "log.csv", {"step": 5, "seconds": 300, "frames": 9, "snr": 50})
    draw_curves(tmp_path)
    assert (tmp_path / "curves.png").read_bytes() != picture


def test_levels_of_one_figure_share_a_panel(tmp_path):
    row = {"step": 1, "seconds": 1800, "frames": 9, "pesq -10 dB": 2.0, "pesq +0 dB": 3.0, "score": 4}
    append_row(tmp_path / "validation.csv", row)
    lines = {"pesq": [("-10 dB", [0.5], [2.0]), ("+0 dB", [0.5], [3.0])], "score": [("", [0.5], [4.0])]}
    assert _panels(tmp_path) == lines


def test_a_run_without_a_log_has_no_curves(tmp_path):
    draw_curves(tmp_path)
    assert not list(tmp_path.iterdir())
