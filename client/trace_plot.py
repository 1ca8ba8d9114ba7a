"""A picture of why turns began and ended where they did, out of `duplex.trace` events."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from aec_core.evaluate.plotstyle import save, subplots
from client.duplex import Event

_LANES = ("agent plays", "more than echo", "starting", "speaking", "pausing")
_LANE_COLOURS = ("#9467bd", "#2ca02c", "#ffbf00", "#1f77b4", "#a6c8e4")
_NOT_DRAWN = ("paused", "judged")
_ROWS = 5  # of labels, so that decisions close together can be read
_FLOOR_DBFS = -90


def plot_trace(events: Sequence[Event], path: Path) -> None:
    """Draw levels, P(speech), states and decisions over time into a PNG.

    Args:
        events: All events of a session that had `duplex.trace` on.
        path: Where to.

    Raises:
        ValueError: If there is no trace among the events.
        OSError: If the file cannot be written.
    """
    traces = [event for event in events if event["type"] == "duplex.trace"]
    if not traces:
        raise ValueError("the server sent no trace")
    seconds = np.concatenate([_times(trace) for trace in traces])
    width = min(max(8.0, 0.45 * (seconds[-1] - seconds[0])), 40.0)
    figure, (labels, levels, speech, lanes) = subplots(4, 1, (width, 5.5))
    labels.get_gridspec().set_height_ratios((0.8, 1.2, 0.8, 1))
    for axes in (labels, speech, lanes):
        axes.sharex(levels)
    _draw_levels(levels, seconds, traces)
    speech.step(seconds, _column(traces, "speech"), color="#1f77b4", linewidth=0.9)
    speech.set(ylabel="P(speech)", ylim=(0, 1.02))
    _draw_lanes(lanes, seconds, traces)
    _draw_decisions(labels, (levels, speech, lanes), traces)
    lanes.set_xlabel("seconds on the microphone's clock")
    save(figure, path)


def _times(trace: Event) -> np.ndarray[Any, np.dtype[np.float64]]:
    return (trace["start_ms"] + trace["hop_ms"] * np.arange(len(trace["speech"]))) / 1000


def _column(traces: Sequence[Event], name: str) -> list[Any]:
    return [value for trace in traces for value in trace[name]]


def _draw_levels(axes: Any, seconds: Any, traces: Sequence[Event]) -> None:
    near, echo = (np.maximum(_column(traces, name), _FLOOR_DBFS) for name in ("near_dbfs", "echo_dbfs"))
    axes.plot(seconds, near, color="#0b3d91", label="cleaned signal")
    axes.plot(seconds, echo, color="#d62728", label="echo that may be left of it")
    axes.set(ylabel="dBFS", ylim=(_FLOOR_DBFS, 0))
    axes.legend(loc="upper right", ncols=2)


def _draw_lanes(axes: Any, seconds: Any, traces: Sequence[Event]) -> None:
    states = np.array(_column(traces, "state"))
    playing, gate = (np.array(_column(traces, name), bool) for name in ("playing", "gate"))
    rows = (playing, gate, *(states == name for name in _LANES[2:]))
    for row, (held, colour) in enumerate(zip(rows, _LANE_COLOURS, strict=True)):
        axes.fill_between(seconds, row - 0.4, row + 0.4, where=held, step="post", color=colour, linewidth=0)
    axes.set_yticks(range(len(_LANES)), _LANES)
    axes.invert_yaxis()
    axes.grid(False, axis="y")


def _draw_decisions(labels: Any, others: Sequence[Any], traces: Sequence[Event]) -> None:
    """Say what was decided and why, and draw a line through all that it was decided by."""
    labels.set_ylim(_ROWS - 0.4, -0.6)
    labels.axis("off")
    decisions = [each for each in _column(traces, "decisions") if each["decision"] not in _NOT_DRAWN]
    for number, decision in enumerate(decisions):
        at, p_turn = decision["at_ms"] / 1000, decision["p_turn"]
        words = [decision["decision"].replace("_", " "), (decision["reason"] or "").replace("_", " ")]
        if p_turn is not None:
            words.append(f"P {p_turn:.2f}")
        labels.text(at, number % _ROWS, " " + " · ".join(filter(None, words)), fontsize=7, va="center")
        labels.plot((at, at), (number % _ROWS - 0.4, _ROWS), color="0.3", linewidth=0.7, linestyle=":")
        for axes in others:
            axes.axvline(at, color="0.3", linewidth=0.7, linestyle=":")
