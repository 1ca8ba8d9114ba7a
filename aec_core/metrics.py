"""How well echo is cancelled and speech is kept: plain functions of waveforms."""

from __future__ import annotations

import numpy as np
from scipy.linalg import solve_toeplitz
from scipy.signal import correlate

from aec_core.types import Wave

_TINY = 1e-12
_SDR_TAPS = 256


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
    target = np.asarray(near, np.float64)
    estimate = np.asarray(out, np.float64)
    auto = correlate(target, target, method="fft")[len(target) - 1 :][:_SDR_TAPS]
    cross = correlate(estimate, target, method="fft")[len(target) - 1 :][:_SDR_TAPS]
    auto[0] *= 1 + 1e-9
    taps = np.asarray(solve_toeplitz(auto, cross)).real
    explained = np.convolve(target, taps)[: len(target)]
    rest = estimate - explained
    return float(10 * np.log10((np.sum(explained**2) + _TINY) / (np.sum(rest**2) + _TINY)))


def near_kept_db(near: Wave, out: Wave) -> float:
    """Return the change of the near end's level: the gain that explains `out` best, dB; 0 is ideal."""
    gain = float(np.dot(near, out)) / (float(np.dot(near, near)) + _TINY)
    return 20 * float(np.log10(max(abs(gain), 1e-6)))
