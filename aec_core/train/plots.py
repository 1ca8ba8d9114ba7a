"""Curves of a run, drawn from its tables."""

from __future__ import annotations

import logging
from pathlib import Path

from aec_core.train.records import read_columns, write_whole

logger = logging.getLogger(__name__)

_CLOCKS = ("step", "seconds", "frames")


def draw_curves(folder: Path) -> None:
    """Write `curves.png` from the run's `log.csv` and `validation.csv`, each column over the hours.

    Nothing is drawn where there is nothing yet, or no matplotlib, which is said once in the log.
    """
    tables = {name: read_columns(folder / f"{name}.csv") for name in ("log", "validation")}
    panels = [
        (table["seconds"], name, values)
        for table in tables.values()
        for name, values in table.items()
        if name not in _CLOCKS
    ]
    if not panels:
        return
    try:
        # Not pyplot: it would keep the figures, and choose a window for them.
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        logger.warning("no curves.png: matplotlib is not installed")
        return
    width = 4
    rows = -(-len(panels) // width)
    figure = Figure(figsize=(3.2 * width, 2.2 * rows), layout="constrained")
    axes = figure.subplots(rows, width, squeeze=False).flat
    for axis, (seconds, name, values) in zip(axes, panels, strict=False):
        axis.plot([s / 3600 for s in seconds], values, ".-", linewidth=1, markersize=3)
        axis.set_title(name, fontsize=9)
        axis.set_xlabel("hours", fontsize=7)
        axis.tick_params(labelsize=7)
        axis.grid(alpha=0.3)
    for axis in list(axes)[len(panels) :]:
        axis.set_axis_off()
    canvas = FigureCanvasAgg(figure)
    write_whole(folder / "curves.png", lambda path: canvas.print_figure(path, format="png", dpi=90))
