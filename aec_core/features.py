"""Log-mel features of the suppressor: one function for training and serving (paper, section III-A).

The paper takes its own Hamming frames; ours come from the spectra that the masks are applied to,
which saves three transforms a frame (`docs/algorithm.md`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aec_core.stft import BINS
from aec_core.types import SAMPLE_RATE, Samples

MELS = 80
FEATURES = 3 * MELS  # of mic, linear error and reference
_LOW_HZ, _HIGH_HZ = 20.0, 8000.0
_FLOOR = np.float32(1e-8)  # of a mel's power; a full-scale sine has about 1e4


def _mel(hz: float) -> float:
    return 2595 * float(np.log10(1 + hz / 700))


def _mel_matrix() -> NDArray[np.float32]:
    """Triangles on the HTK mel scale, shape `(bins, mels)`."""
    mel = np.linspace(_mel(_LOW_HZ), _mel(_HIGH_HZ), MELS + 2)
    edges = 700 * (10 ** (mel / 2595) - 1)
    bins = np.linspace(0, SAMPLE_RATE / 2, BINS)[:, None]
    rise = (bins - edges[:-2]) / np.diff(edges)[:-1]
    fall = (edges[2:] - bins) / np.diff(edges)[1:]
    triangles = np.maximum(0, np.minimum(rise, fall))
    # Low mels are narrower than a bin and may miss every one: they take the nearest.
    nearest = np.abs(bins - edges[1:-1]).argmin(axis=0)
    empty = triangles.sum(axis=0) < 0.1
    triangles[nearest[empty], np.flatnonzero(empty)] = 1
    return triangles.astype(np.float32)


MEL_MATRIX = _mel_matrix()


def log_mel(spectra: NDArray[np.complex64]) -> Samples:
    """Map the spectra of mic, linear error and reference to features.

    Args:
        spectra: Shape `(..., 3, bins)`.

    Returns:
        Natural logarithms of mel power, `(..., 240)`: 80 for each signal, in that order.
    """
    power = spectra.real**2 + spectra.imag**2
    # One product of two matrices: NumPy would multiply each stream's own.
    mels = np.log(power.reshape(-1, BINS) @ MEL_MATRIX + _FLOOR)
    return mels.reshape(*power.shape[:-2], FEATURES)
