"""What a run is judged by: the streaming canceller on a few held-out calls."""

from __future__ import annotations

import logging
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from aec_core.config import AecConfig
from aec_core.dfsmn import Weights
from aec_core.metrics import erle_db, near_kept_db, pesq, sdr_db
from aec_core.streaming import EchoCanceller
from aec_core.train.mixtures import Change, Mixture, Scene, Talk, make_mixture
from aec_core.train.sources import load_sources
from aec_core.types import SAMPLE_RATE, Samples, Wave

logger = logging.getLogger(__name__)

SECONDS = 10.0
_JUMP_S = 5.0
_LATE = 3 * SAMPLE_RATE  # the first words of a call meet a filter that knows nothing
_AFTER_JUMP = round((_JUMP_S + 1) * SAMPLE_RATE)
_ENOUGH_DB = 40.0  # more ERLE only says that the gate closes
_SERS_DB = (-10, 0, 10)
_CALLS = 2  # of each
_WORST_PESQ = 1.0  # where a gate that is shut leaves nothing to judge

Figures = dict[str, float]


def held_out_calls(manifest: Path, split: str = "valid", seed: int = 0) -> list[Mixture]:
    """Make eight calls of people whom training never hears: two of far-end single talk, six of double talk.

    Raises:
        ValueError: If the manifest has no usable speech in this split.
    """
    sources, rng = load_sources(manifest, split), np.random.default_rng(seed)
    scenes = [
        Scene(Talk.FAR, snr_db=30),
        Scene(Talk.FAR, Change.JUMP, snr_db=30, change_at_s=_JUMP_S),
        *(Scene(Talk.DOUBLE, ser_db=ser, snr_db=30) for ser in _SERS_DB for _ in range(_CALLS)),
    ]
    return [make_mixture(scene, sources, SECONDS, rng) for scene in scenes]


class Judge:
    """Scores weights by what their canceller leaves at beta 0.2 of the calls.

    `score` is the mean wide-band PESQ of double talk, less a twentieth of each dB by which the near end's
    level changes, which PESQ does not hear, plus a hundredth of each ERLE in dB, late in a plain call and
    after a jump, of which 40 dB count. Without the `pesq` package a tenth of the SDR stands for it.
    """

    def __init__(self, calls: list[Mixture], aec: AecConfig) -> None:
        self._calls, self._aec = calls, aec
        self._quality = _quality()
        self._mic, self._ref = (np.stack([getattr(call, name) for call in calls]) for name in ("mic", "ref"))

    def __call__(self, weights: Weights) -> Figures:
        """Return the figures, `score` among them."""
        figures: Figures = {}
        for call, out in zip(self._calls, self._cancel(weights), strict=True):
            if call.scene.talk is Talk.FAR:
                jump = call.scene.change is Change.JUMP
                name, late = ("erle_after_jump_db", _AFTER_JUMP) if jump else ("erle_db", _LATE)
                figures[name] = erle_db(call.mic[late:], out[late:])
                continue
            for name, value in self._quality(call.near, out).items():
                at = f"{name} {call.scene.ser_db:+.0f} dB"
                figures[at] = figures.get(at, 0.0) + value / _CALLS
        return {"score": _score(figures), **figures}

    def _cancel(self, weights: Weights) -> Samples:
        """Return the cleaned calls `(calls, n)`, in time with the microphone."""
        aec = EchoCanceller(self._aec, weights, streams=len(self._calls))
        flush = ((0, 0), (0, aec.latency))
        return aec.process(np.pad(self._mic, flush), np.pad(self._ref, flush)).asr[:, aec.latency :]


def _score(figures: Figures) -> float:
    name, unit = ("pesq", 1.0) if any(key.startswith("pesq") for key in figures) else ("sdr_db", 0.1)
    quality = unit * _mean_over_sers(figures, name) - 0.05 * _mean_over_sers(figures, "level_change_db")
    erles = (min(figures[key], _ENOUGH_DB) for key in ("erle_db", "erle_after_jump_db"))
    return quality + 0.01 * sum(erles)


def _mean_over_sers(figures: Figures, name: str) -> float:
    return float(np.mean([figures[f"{name} {ser:+d} dB"] for ser in _SERS_DB]))


def _quality() -> Callable[[Wave, Wave], Figures]:
    """Return what judges double talk: SDR, level, and PESQ where it is installed."""
    if find_spec("pesq") is None:
        logger.warning("validation goes by SDR alone: pesq, of the extra 'evaluate', is not installed")
        return _distances
    return lambda near, out: {**_distances(near, out), "pesq": pesq(near, out) or _WORST_PESQ}


def _distances(near: Wave, out: Wave) -> Figures:
    return {"sdr_db": sdr_db(near, out), "level_change_db": abs(near_kept_db(near, out))}
