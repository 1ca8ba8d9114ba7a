"""The plots of `docs/results/`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aec_core.evaluate.paper import SERS, TABLE_IV
from aec_core.evaluate.paper_tables import mean_pesq
from aec_core.evaluate.plotstyle import SIZE, colour, legend_above, save, subplots
from aec_core.evaluate.scenarios import CHANGE_AT_S, JUMP, Call
from aec_core.evaluate.summary import Systems
from aec_core.evaluate.systems import SWEEP, UNPROCESSED, System, beta_name
from aec_core.evaluate.tables import shown
from aec_core.metrics import CURVE_WINDOW, erle_curve_db
from aec_core.types import HOP, SAMPLE_RATE, Samples

_EXAMPLE = "double, 0 dB"


def draw_all(
    systems: Systems, calls: Sequence[Call], runs: Sequence[System], folder: Path
) -> list[tuple[str, str]]:
    """Draw every plot into a folder; return file names with captions."""
    folder.mkdir(parents=True, exist_ok=True)
    return [
        (_quality(systems, folder / "pesq.png"), "PESQ on double talk, mean over clips."),
        (_trade_off(systems, folder / "beta.png"), "What β trades; dashed: the paper's Table IV."),
        (_jump(calls, runs, folder / "jump.png"), "ERLE over 250 ms around a delay jump at 5 s, median."),
        (_before_after(calls, runs, folder / "spectrograms.png"), "One call at 0 dB before and after."),
    ]


def _quality(systems: Systems, path: Path) -> str:
    figure, axes = subplots(1, 1)
    for name, system in shown(systems).items():
        axes.plot(
            list(map(int, SERS)),
            _gaps([system["pesq_wb"][ser] for ser in SERS]),
            "o-",
            label=name,
            color=colour(name),
        )
    axes.set(xlabel="SER, dB", ylabel="PESQ wb", xticks=list(map(int, SERS)))
    legend_above(figure)
    return save(figure, path)


def _trade_off(systems: Systems, path: Path) -> str:
    figure, grid = subplots(1, 4, (SIZE[0], 2.2))
    ours = [systems[beta_name(beta)] for beta in SWEEP]
    panels: list[tuple[str, list[float | None], int]] = [
        ("DCF, %", [_percent(system.get("dcf")) for system in ours], 0),
        ("WER, %", [_percent(system.get("wer")) for system in ours], 1),
        ("PESQ wb", [mean_pesq(systems, beta) for beta in SWEEP], 2),
        ("ERLE, dB", [system["erle_db"] for system in ours], 3),
    ]
    for axes, (title, values, column) in zip(grid, panels, strict=True):
        axes.plot(SWEEP, [TABLE_IV[beta][column] for beta in SWEEP], "s--", color="0.7")
        axes.plot(SWEEP, _gaps(values), "o-", color=colour("β 0.2"))
        axes.set(title=title, xlabel="β", xticks=SWEEP)
    return save(figure, path)


def _jump(calls: Sequence[Call], runs: Sequence[System], path: Path) -> str:
    curves = jump_curves([call for call in calls if call.name == JUMP], runs)
    figure, axes = subplots(1, 1)
    for name, curve in curves.items():
        if name != UNPROCESSED:
            times = (np.arange(len(curve)) * HOP + CURVE_WINDOW) / SAMPLE_RATE
            axes.plot(times, curve, label=name, color=colour(name))
    axes.axvline(CHANGE_AT_S, color="0.6", linewidth=0.8)
    axes.set(xlabel="seconds", ylabel="ERLE of the last 250 ms, dB")
    legend_above(figure)
    return save(figure, path)


def jump_curves(calls: Sequence[Call], runs: Sequence[System]) -> dict[str, NDArray[np.float64]]:
    """Return ERLE over time by system, the median over clips, `(windows,)`; NaN in a pause of most."""
    mic, ref = (np.stack([getattr(call.mixture, side) for call in calls]) for side in ("mic", "ref"))
    curves: dict[str, NDArray[np.float64]] = {}
    for run in runs:
        for name, cleaned in run(mic, ref).items():
            each = np.stack([erle_curve_db(*pair) for pair in zip(mic, cleaned, strict=True)])
            rare = np.isfinite(each).mean(axis=0) < 0.5
            curves[name] = np.where(rare, np.nan, np.nanmedian(np.where(rare, 0.0, each), axis=0))
    return curves


def _before_after(calls: Sequence[Call], runs: Sequence[System], path: Path) -> str:
    mixture = next(call.mixture for call in calls if call.name == _EXAMPLE)
    signals: dict[str, Samples] = {}
    for run in runs:
        signals |= {name: out[0] for name, out in run(mixture.mic[None], mixture.ref[None]).items()}
    rows: Mapping[str, Samples] = {"near end alone": mixture.near, **signals}
    figure, grid = subplots(len(rows), 1, (SIZE[0], 1.15 * len(rows)))
    for axes, (name, signal) in zip(grid, rows.items(), strict=True):
        _spectrogram(axes, signal, "microphone" if name == UNPROCESSED else name)
    grid[-1].set_xlabel("seconds")
    return save(figure, path)


def _spectrogram(axes: Any, signal: Samples, title: str) -> None:
    floor = 1e-7 * np.random.default_rng(0).standard_normal(len(signal))  # digital silence has no logarithm
    axes.specgram(signal + floor, NFFT=512, noverlap=256, Fs=SAMPLE_RATE, vmin=-110, vmax=-40, cmap="magma")
    axes.set(ylabel=title, yticks=[])
    axes.grid(visible=False)
    axes.label_outer()


def _gaps(values: Sequence[float | None]) -> list[float]:
    return [float("nan") if value is None else value for value in values]


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share
