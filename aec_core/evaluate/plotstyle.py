"""How every plot of the results looks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

SIZE = (8.0, 3.6)  # inches
_DPI = 80
_COLOURS = {
    "no processing": "0.6",
    "linear stage": "#8c564b",
    "β 0.2": "#1f77b4",
    "β 0.6": "#0b3d91",
    "WebRTC AEC3": "#d62728",
    "SpeexDSP": "#ff7f0e",
    "pyaec": "#2ca02c",
}
_STYLE: dict[Any, Any] = {
    "font.size": 8,
    "axes.titlesize": 9,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "lines.linewidth": 1.2,
    "lines.markersize": 3.5,
    "legend.frameon": False,
    "legend.fontsize": 7,
}


def subplots(rows: int, columns: int, size: tuple[float, float] = SIZE) -> tuple[Any, Any]:
    """Return a figure and its axes, drawn without a screen."""
    import matplotlib  # an extra

    matplotlib.use("Agg")
    from matplotlib import pyplot

    with pyplot.rc_context(_STYLE):
        return pyplot.subplots(rows, columns, figsize=size, layout="constrained")


def colour(name: str) -> str:
    """Return the colour of a system, the same in every plot."""
    return _COLOURS.get(name, "0.3")


def save(figure: Any, path: Path) -> str:
    """Write a PNG and return its file name."""
    from matplotlib import pyplot

    with pyplot.rc_context(_STYLE):
        figure.savefig(path, dpi=_DPI)
    pyplot.close(figure)
    return path.name
