"""How well echo is cancelled and speech is kept: plain functions of waveforms."""

from __future__ import annotations

import importlib
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_toeplitz
from scipy.signal import correlate

from aec_core.types import HOP, SAMPLE_RATE, Wave

_TINY = 1e-12
_SDR_TAPS = 256
_KEPT_TAPS = 64
CURVE_WINDOW = SAMPLE_RATE // 4


def power_db(x: Wave) -> float:
    """Return the mean square of `(n,)` in dB relative to full scale, -120 at least."""
    return float(10 * np.log10(np.mean(np.square(x, dtype=np.float64)) + _TINY))


def erle_db(mic: Wave, out: Wave) -> float:
    """Return the echo return loss enhancement of far-end single talk, `10 log10(mic^2 / out^2)`."""
    return power_db(mic) - power_db(out)


def sdr_db(near: Wave, out: Wave) -> float:
    """Return the signal-to-distortion ratio after the best filter of 256 taps from `near` to `out`.

    The filter forgives a constant colouration and small delays, as BSS Eval does.
    """
    explained = _projected(near, out, _SDR_TAPS)
    rest = np.asarray(out, np.float64) - explained
    return float(10 * np.log10((np.sum(explained**2) + _TINY) / (np.sum(rest**2) + _TINY)))


def near_kept_db(near: Wave, out: Wave) -> float:
    """Return the level of what `out` holds of the near end against the near end itself, dB; 0 is ideal.

    It is what a filter of 4 ms from `near` explains: some cancellers turn phases, which is no loss.
    """
    explained = _projected(near, out, _KEPT_TAPS)
    return float(
        10 * np.log10((np.sum(explained**2) + _TINY) / (np.sum(np.square(near, dtype=np.float64)) + _TINY))
    )


def _projected(near: Wave, out: Wave, taps: int) -> NDArray[np.float64]:
    """Return what the best causal filter of `taps` from `near` explains of `out`, `(n,)`."""
    target, estimate = np.asarray(near, np.float64), np.asarray(out, np.float64)
    auto = correlate(target, target, method="fft")[len(target) - 1 :][:taps]
    cross = correlate(estimate, target, method="fft")[len(target) - 1 :][:taps]
    auto[0] = auto[0] * (1 + 1e-9) + _TINY
    return np.convolve(target, np.asarray(solve_toeplitz(auto, cross)).real)[: len(target)]


def erle_curve_db(mic: Wave, out: Wave) -> NDArray[np.float64]:
    """Return ERLE over windows of 250 ms, one every 20 ms, `(windows,)`.

    NaN where the microphone is more than 20 dB below the loudest window: a pause has no echo to cancel.
    """
    heard, left = _window_powers(mic), _window_powers(out)
    curve = 10 * np.log10((heard + _TINY) / (left + _TINY))
    return np.where(heard > 0.01 * heard.max(initial=0.0), curve, np.nan)


def recovery_s(mic: Wave, out: Wave, at: int, enough_db: float = 25.0) -> float:
    """Return how long after sample `at` the last 250 ms first reach `enough_db` of ERLE again.

    The windows lie wholly behind `at`, so 0.25 s is the least; if none reaches it, the rest of the clip.
    """
    reached = np.flatnonzero(erle_curve_db(mic[at:], out[at:]) >= enough_db)  # NaN compares false
    samples = CURVE_WINDOW + reached[0] * HOP if len(reached) else len(mic) - at
    return float(samples / SAMPLE_RATE)


def _window_powers(x: Wave) -> NDArray[np.float64]:
    total = np.concatenate([[0.0], np.cumsum(np.square(x, dtype=np.float64))])
    starts = np.arange(0, max(len(x) - CURVE_WINDOW, 0) + 1, HOP)
    return (total[np.minimum(starts + CURVE_WINDOW, len(x))] - total[starts]) / CURVE_WINDOW


def pesq(near: Wave, out: Wave, band: Literal["wb", "nb"] = "wb") -> float | None:
    """Return PESQ (ITU-T P.862), wide-band 1.0-4.64 or narrow-band 1.0-4.55.

    None where a side is silent, too short or has no utterance. Needs the package `pesq`.
    """
    package: Any = importlib.import_module("pesq")
    if not near.any() or not out.any():
        return None
    try:
        return float(package.pesq(SAMPLE_RATE, near, out, band))
    except package.PesqError:
        return None
