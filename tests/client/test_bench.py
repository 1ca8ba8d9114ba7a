"""The benchmark of a service: its steps, its fit, what it writes; no speed is asserted."""

import json
from math import inf

import pytest
from typer.testing import CliRunner

from client.bench_report import grids, write_docs
from client.bench_server import Plan, bench_server, describe, fit_cost, holds, percentiles, steps_up_to
from client.cli import app
from client.load import Seen
from client.scrape import page_of, quantile

STAGES = {"linear": 2.0, "total": 2.5, "vad": 1.0}


def step(sessions, ms=10.0, cpu=0.0, lost=()):
    seen = Seen([ms] * 100, [1.0], [0.5], sent=100, lost=list(lost))
    return describe(sessions, seen, cpu, 200 << 20) | {"service": None}


def report():
    steps = [step(n, ms=n, cpu=0.1 + 0.01 * n) for n in (1, 8, 64)]
    server = {"sessions_per_core": 8, "steps": steps, "fit": fit_cost(steps), "rss_per_session_mb": 2.0}
    streams = {"1": {"rtf": 0.03, "stages_us": STAGES, "floor_us": {"linear": 0.5}}}
    return {"streams": streams, "peers": {"webrtc_aec3": {"rtf": 0.007}}, "server": server}


def test_steps_end_at_the_most():
    assert steps_up_to(1) == [1]
    assert steps_up_to(20) == [1, 4, 8, 16, 20]
    assert steps_up_to(64)[-3:] == [56, 60, 64]
    assert steps_up_to(300)[-4:] == [160, 200, 250, 300]


def test_a_step_holds_if_nobody_is_lost_and_few_frames_are_late():
    assert holds(step(3))
    assert not holds(step(3, ms=41))
    assert not holds(step(3, lost=["4429"]))


def test_frames_that_never_came_back_are_late():
    assert describe(1, Seen([10.0] * 90, sent=100), 0.1, 0)["late_share"] == 0.1
    assert percentiles([])["p99"] == float("inf")


def test_the_fit_finds_the_line_and_fills_cores_to_70_percent():
    fit = fit_cost([step(n, cpu=0.1 + 0.01 * n) for n in (1, 8, 40)])
    assert (fit["cpu_once"], fit["cpu_per_session"]) == pytest.approx((0.1, 0.01))
    assert fit["sessions_by_cores"]["4"] == pytest.approx(240, abs=4)
    assert fit_cost([step(1)]) is None


def test_a_service_that_falls_behind_says_nothing_about_its_need():
    steps = [step(n, cpu=0.1 + 0.01 * n) for n in (1, 8, 40)]
    assert fit_cost([*steps, step(64, ms=4000, cpu=0.5)]) == fit_cost(steps)


def test_a_quantile_of_a_histogram_lies_between_the_bounds_of_its_bucket():
    before, after = {0.01: 5, 0.02: 5, inf: 5}, {0.01: 55, 0.02: 105, inf: 105}
    assert quantile(before, after, 0.99) == pytest.approx(0.0198)
    assert quantile({}, {0.01: 1, inf: 100}, 0.99) == 0.01
    assert quantile(after, after, 0.99) is None
    assert page_of("wss://host:1/v1/realtime") == "https://host:1/"


def test_documents_keep_what_was_not_measured_anew(tmp_path):
    pytest.importorskip("matplotlib")
    write_docs({"server": report()["server"]}, tmp_path)
    write_docs({key: report()[key] for key in ("streams", "peers")}, tmp_path)
    text = (tmp_path / "bench.md").read_text()
    assert "webrtc_aec3" in text
    assert "8 sessions a process" in text
    assert set(json.loads((tmp_path / "bench.json").read_text())) == {"streams", "peers", "server"}
    assert {p.name for p in tmp_path.glob("*.png")} == {"bench-stages.png", "bench-sessions.png"}


def test_every_grid_is_a_whole_table():
    for grid in grids(report()):
        assert all(len(row) == len(grid.head) for row in grid.rows)


@pytest.mark.slow
def test_a_real_service_is_measured():
    found = bench_server(Plan([1, 2], 2))
    assert found["steps"][0]["cpu"] > 0
    assert found["rss_per_session_mb"] > 0
    assert found["steps"][0]["turnaround_ms"]["p50"] < float("inf")
    assert not any(each["lost"] for each in found["steps"])
    assert 0 < found["steps"][0]["loop_lag_p99_ms"] < 1000


def test_the_suppressor_for_devices_is_measured(tmp_path):
    done = CliRunner().invoke(app, ["bench", "device", "--seconds", "1", "--docs", str(tmp_path)])
    assert done.exit_code == 0, done.output
    report = json.loads((tmp_path / "device.json").read_text())
    assert all(run["frame_us"] > 0 for run in report["runs"].values())
    assert report["weight_bytes"]["float32"] == 4 * 432_770
    text = (tmp_path / "device.md").read_text()
    assert "NumPy" in text
    assert "474,504" in text  # multiply-adds: the network and little else
