"""A corpus that the tests make themselves: harmonic voices with syllables, hiss and a tune."""

import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from aec_core.types import SAMPLE_RATE, Samples

COLUMNS = ("path", "kind", "corpus", "speaker", "split", "dyn_dB")


def voice(seconds: float, seed: int, pitch_hz: float = 140) -> Samples:
    """Harmonics on a gliding pitch, some breath, syllables of 200 ms and pauses."""
    rng = np.random.default_rng(seed)
    n = round(seconds * SAMPLE_RATE)
    glide = pitch_hz * (1 + 0.1 * np.sin(2 * np.pi * 0.7 * np.arange(n) / SAMPLE_RATE))
    phase = 2 * np.pi * np.cumsum(glide) / SAMPLE_RATE
    tones = sum(np.sin(k * phase + rng.uniform(0, 6)) / k for k in range(1, 25))
    syllables = np.repeat(rng.choice([0.0, 0.4, 1.0], n // 3200 + 1, p=[0.25, 0.35, 0.4]), 3200)[:n]
    syllables[:3200] = 1
    sound = (tones + 0.1 * rng.standard_normal(n)) * lfilter([0.01], [1, -0.99], syllables)
    return (0.5 * sound / np.abs(sound).max()).astype(np.float32)


def write_manifest(folder: Path, rows: list[tuple[str, ...]], columns: tuple[str, ...] = COLUMNS) -> Path:
    path = folder / "manifest.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([columns, *rows])
    return path


def lag(later: NDArray[np.floating], earlier: NDArray[np.floating]) -> int:
    """Samples by which `later` is behind `earlier`, by cross-correlation of their phases."""
    n = len(later) + len(earlier)
    spectrum = np.fft.rfft(later, n) * np.conj(np.fft.rfft(earlier, n))
    peak = int(
        np.abs(np.fft.irfft(spectrum / (np.abs(spectrum) + 1e-3 * np.abs(spectrum).max()), n)).argmax()
    )
    return peak if peak < n // 2 else peak - n
