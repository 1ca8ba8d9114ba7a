"""What a phone does to the sound before the room gets it: drive, limits, band and resonances."""

from __future__ import annotations

import numpy as np
from scipy.signal import butter, iirpeak, sosfilt, tf2sos

from aec_core.types import SAMPLE_RATE, Wave


def random_loudspeaker(ref: Wave, rng: np.random.Generator) -> Wave:
    """Play `(n,)` through a loudspeaker drawn at random (METHOD of the paper's challenge a).

    A compressor half of the time, one of four non-linearities driven 0-18 dB, a band-pass
    200-500 Hz to 5-7.5 kHz, and up to three resonances.
    """
    peak = np.abs(ref).max() + 1e-9
    x = ref / peak
    if rng.random() < 0.5:
        x = _compress(x, rng)
    x = _nonlinear(x * 10 ** (rng.uniform(0, 18) / 20), rng)
    return (peak * _colour(x, rng)).astype(np.float32)


def _nonlinear(x: Wave, rng: np.random.Generator) -> Wave:
    kind = rng.choice(["linear", "soft", "clip", "sigmoid", "clip+sigmoid"], p=[0.15, 0.2, 0.2, 0.25, 0.2])
    if "clip" in kind:
        limit = rng.uniform(0.4, 1.0)
        x = limit * np.clip(x / limit, -1, 1)
    if kind == "soft":
        x = np.arctan(x)
    if "sigmoid" in kind:
        # b(x) and its asymmetric slope: the memoryless loudspeaker used throughout AEC research.
        b = 1.5 * x - 0.3 * x**2
        slope = np.where(b > 0, rng.uniform(2, 4), rng.uniform(0.3, 1))
        x = 2 / (1 + np.exp(-slope * b)) - 1
    return x


def _compress(x: Wave, rng: np.random.Generator) -> Wave:
    """Dynamic-range compression: makes the path vary in time, as Android's does."""
    attack, release = np.exp(-1 / (0.005 * 1000)), np.exp(-1 / (rng.uniform(0.05, 0.3) * 1000))
    level = np.abs(x[: len(x) // 16 * 16]).reshape(-1, 16).max(axis=1)  # 1 ms steps
    envelope, tracked = 0.0, np.empty(len(level))
    for i, now in enumerate(level):
        keep = attack if now > envelope else release
        envelope = keep * envelope + (1 - keep) * now
        tracked[i] = envelope
    threshold, ratio = 10 ** (rng.uniform(-30, -12) / 20), rng.uniform(1.5, 4)
    gain = np.minimum(1, (np.maximum(tracked, 1e-6) / threshold) ** (1 / ratio - 1))
    gain = np.repeat(gain, 16)
    return x * np.concatenate([gain, np.full(len(x) - len(gain), gain[-1] if len(gain) else 1.0)])


def _colour(x: Wave, rng: np.random.Generator) -> Wave:
    band = (rng.uniform(200, 500), rng.uniform(5000, 7500))
    sos = butter(2, band, "bandpass", fs=SAMPLE_RATE, output="sos")
    y = np.asarray(sosfilt(sos, x))
    for _ in range(rng.integers(0, 4)):
        b, a = iirpeak(rng.uniform(500, 5000), rng.uniform(2, 8), fs=SAMPLE_RATE)
        y = y + rng.uniform(0.3, 1.5) * np.asarray(sosfilt(tf2sos(b, a), x))
    return y
