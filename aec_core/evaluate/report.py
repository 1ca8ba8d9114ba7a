"""Scores as JSON, as Markdown tables, and held against the targets."""

from __future__ import annotations

from typing import Any

import numpy as np

from aec_core.evaluate.measure import Scores
from aec_core.evaluate.scenarios import SERS_DB

BY_SER = ("pesq_wb", "sdr_db", "near_kept_db")


def summary(results: dict[str, Scores]) -> dict[str, dict[str, Any]]:
    """Return means by system; metrics of double talk by SER."""
    return {name: _system(scores) for name, scores in results.items()}


def _system(scores: Scores) -> dict[str, Any]:
    far = [values for group, values in scores["erle_db"].items() if group.startswith("far")]
    late = [values for group, values in scores["erle_after_3s_db"].items() if group != "far, delay jump"]
    after = scores["erle_after_change_db"]
    out: dict[str, Any] = {
        "erle_db": _mean(*far),
        "erle_after_3s_db": _mean(*late),
        "erle_after_jump_db": _mean(after["far, delay jump"]),
        "erle_after_path_change_db": _mean(after["far, path change"]),
        "erle_with_drift_db": _mean(scores["erle_after_3s_db"]["far, clock drift"]),
    }
    for metric in BY_SER:
        out[metric] = {str(ser): _mean(scores[metric][f"double, {ser} dB"]) for ser in SERS_DB}
        out[f"near_end_alone_{metric}"] = _mean(scores[metric]["near"])
    return out


def _mean(*groups: list[float]) -> float:
    values = [value for group in groups for value in group]
    return round(float(np.mean(values)), 3) if values else float("nan")


def targets(systems: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Hold the shipped weights against what they must reach."""
    linear, soft, hard = systems["linear stage"], systems["β 0.2"], systems["β 0.6"]
    rows = [
        (
            "ERLE > 3 s of β 0.6 above its linear stage, dB",
            hard["erle_after_3s_db"] - linear["erle_after_3s_db"],
            10.0,
        ),
        (
            "ERLE > 3 s of β 0.2 above its linear stage, dB",
            soft["erle_after_3s_db"] - linear["erle_after_3s_db"],
            10.0,
        ),
        *(
            (
                f"PESQ of β 0.2 above its linear stage at {ser} dB",
                soft["pesq_wb"][ser] - linear["pesq_wb"][ser],
                0.0,
            )
            for ser in ("0", "10")
        ),
        ("ERLE > 3 s of β 0.6, dB", hard["erle_after_3s_db"], 60.0),
        ("ERLE > 3 s of β 0.2, dB", soft["erle_after_3s_db"], 40.0),
        *(
            (f"PESQ at {ser} dB, best β", max(soft["pesq_wb"][ser], hard["pesq_wb"][ser]), least)
            for ser, least in (("-10", 1.8), ("0", 2.4), ("10", 3.0))
        ),
        *(
            (f"SDR of β 0.2 at {ser} dB, dB", soft["sdr_db"][ser], least)
            for ser, least in (("-20", 0.0), ("-10", 7.5), ("0", 14.0), ("10", 18.5))
        ),
    ]
    return [
        {"name": name, "value": round(value, 3), "target": least, "holds": bool(value >= least)}
        for name, value, least in rows
    ]


def markdown(systems: dict[str, dict[str, Any]], held: list[dict[str, Any]]) -> str:
    """Render the tables for the docs."""
    head = ["system", "ERLE", "> 3 s", "after jump", "after path change", "with drift"]
    keys = [
        "erle_db",
        "erle_after_3s_db",
        "erle_after_jump_db",
        "erle_after_path_change_db",
        "erle_with_drift_db",
    ]
    far = [[name, *(f"{system[key]:.1f}" for key in keys)] for name, system in systems.items()]
    double_head = [
        "system",
        *(f"{metric} at SER {'/'.join(map(str, SERS_DB))} dB" for metric in ("PESQ", "SDR", "kept")),
    ]
    double = [
        [
            name,
            *(
                " / ".join(f"{value:.{2 - (metric != 'pesq_wb')}f}" for value in system[metric].values())
                for metric in BY_SER
            ),
        ]
        for name, system in systems.items()
    ]
    alone = [
        [name, *(f"{system[f'near_end_alone_{metric}']:.2f}" for metric in BY_SER)]
        for name, system in systems.items()
    ]
    rows = [
        [row["name"], f"{row['value']:.2f}", f"{row['target']:g}", "yes" if row["holds"] else "**no**"]
        for row in held
    ]
    return "\n\n".join(
        [
            "Far-end single talk, ERLE in dB (jump and path change come at 5 s; measured from 6 s on):",
            _table(head, far),
            "Double talk:",
            _table(double_head, double),
            "Near end alone:",
            _table(["system", "PESQ", "SDR, dB", "kept, dB"], alone),
            "Targets:",
            _table(["target", "value", "at least", "holds"], rows),
        ]
    )


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
