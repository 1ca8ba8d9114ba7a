"""Curves of a run, drawn from its tables."""

from __future__ import annotations

import logging
from pathlib import Path

from aec_core.train.records import read_columns, write_whole

logger = logging.getLogger(__name__)

_CLOCKS = ("step", "seconds", "frames")
_WIDTH = 4  # panels of a row


Line = tuple[str, list[float], list[float]]
"""Label, hours, values."""


def draw_curves(folder: Path) -> None:
    """Write `curves.png` from the run's `log.csv` and `validation.csv`, each column over the hours.

    Nothing is drawn where there is nothing yet, or no matplotlib, which is said in the log.
    """
    panels = _panels(folder)
    if not panels:
        return
    try:
        # Not pyplot: it would keep the figures, and choose a window for them.
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        logger.warning("no curves.png: matplotlib is not installed")
        return
    rows = -(-len(panels) // _WIDTH)
    figure = Figure(figsize=(3.2 * _WIDTH, 2.2 * rows), layout="constrained")
    axes = list(figure.subplots(rows, _WIDTH, squeeze=False).flat)
    for axis, (name, lines) in zip(axes, panels.items(), strict=False):
        for label, hours, values in lines:
            axis.plot(hours, values, ".-", linewidth=1, markersize=3, label=label)
        axis.set_title(name, fontsize=9)
        axis.set_xlabel("hours", fontsize=7)
        axis.locator_params(axis="x", nbins=5)
        axis.tick_params(labelsize=7)
        axis.grid(alpha=0.3)
        if len(lines) > 1:
            axis.legend(fontsize=6)
    for axis in axes[len(panels) :]:
        axis.set_axis_off()
    canvas = FigureCanvasAgg(figure)
    write_whole(folder / "curves.png", lambda path: canvas.print_figure(path, format="png", dpi=90))


def _panels(folder: Path) -> dict[str, list[Line]]:
    """Return what is drawn together: columns whose names differ by the level only, as in `pesq -10 dB`."""
    panels: dict[str, list[Line]] = {}
    for table in (read_columns(folder / "log.csv"), read_columns(folder / "validation.csv")):
        for column, values in table.items():
            if column not in _CLOCKS:
                name, _, label = column.partition(" ")
                hours = [seconds / 3600 for seconds in table["seconds"]]
                panels.setdefault(name, []).append((label, hours, values))
    return panels
