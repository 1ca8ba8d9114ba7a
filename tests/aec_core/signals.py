"""Signals for the tests of the core: speech-like noise, echo paths, far-end calls."""

import numpy as np
from numpy.typing import NDArray
from scipy.signal import fftconvolve, lfilter

from aec_core.types import SAMPLE_RATE, Samples


def white(shape: tuple[int, ...], seed: int = 0, level: float = 0.1) -> Samples:
    rng = np.random.default_rng(seed)
    return (level * rng.standard_normal(shape)).astype(np.float32)


def speech_like(seconds: float, seed: int = 0, level: float = 0.1) -> Samples:
    """Coloured noise with syllables of 250 ms and pauses."""
    rng = np.random.default_rng(seed)
    n = round(seconds * SAMPLE_RATE)
    noise = lfilter([1], [1, -0.9], rng.standard_normal(n))
    syllables = np.repeat(rng.choice([0.02, 0.5, 1.0], n // 4000 + 1), 4000)[:n]
    x = noise * lfilter([0.005], [1, -0.995], syllables)
    return (level * x / np.sqrt(np.mean(x**2))).astype(np.float32).clip(-1, 1)


def echo_path(seed: int = 0, taps: int = 1200, decay: float = 250) -> NDArray[np.float64]:
    """A decaying room response of unit energy."""
    h = 0.2 * np.random.default_rng(seed).standard_normal(taps) * np.exp(-np.arange(taps) / decay)
    h[0] = 1  # the direct sound
    return h / np.sqrt(np.sum(h**2))


def far_end(ref: Samples, delay: int, seed: int = 0, gain: float = 0.5, noise: float = 1e-4) -> Samples:
    """What the microphone hears of `ref`, `delay` samples late, with a little noise."""
    echo = gain * fftconvolve(ref, echo_path(seed))[: len(ref)]
    echo = np.concatenate([np.zeros(delay), echo])[: len(ref)]
    return (echo + noise * np.random.default_rng(seed + 99).standard_normal(len(ref))).astype(np.float32)


def db(power_ratio: float) -> float:
    return float(10 * np.log10(power_ratio + 1e-20))


def reduction_db(before: Samples, after: Samples) -> float:
    """ERLE of a stretch."""
    return db(float(np.mean(before**2)) / (float(np.mean(after**2)) + 1e-20))
