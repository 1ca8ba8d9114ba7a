"""How every plot of the results looks."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

SIZE = (8.0, 3.6)  # inches
_DPI = 80
_COLOURS_OF_A_FILE = 48
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


def legend_above(figure: Any) -> None:
    """Name the lines in one row above the axes, where it hides none of them."""
    figure.legend(loc="outside upper center", ncols=8, frameon=False, fontsize=7)


def colour(name: str) -> str:
    """Return the colour of a system, the same in every plot."""
    return _COLOURS.get(name, "0.3")


def save(figure: Any, path: Path) -> str:
    """Write a PNG of few colours, which keeps it small, and return its file name."""
    from matplotlib import pyplot
    from PIL import Image  # comes with matplotlib

    with pyplot.rc_context(_STYLE), io.BytesIO() as whole:
        figure.savefig(whole, dpi=_DPI, format="png")
        Image.open(whole).convert("RGB").quantize(_COLOURS_OF_A_FILE).save(path, optimize=True)
    pyplot.close(figure)
    return path.name
