"""What the suppressor takes on a device, by arithmetic: multiply-adds of a frame, bytes of its arrays."""

from __future__ import annotations

import numpy as np

from aec_core.dfsmn import HIDDEN, LAYERS, SHAPES, TAPS, parameters
from aec_core.features import FEATURES, MEL_MATRIX
from aec_core.floor import fft_macs
from aec_core.stft import BINS, N_FFT

FRAMES_S = 50
_MATRICES = ("input.weight", "layers.expand.weight", "layers.project.weight", "near.weight", "echo.weight")


def macs() -> dict[str, int]:
    """Count the multiply-adds of a frame for each part; logarithms and the like are not counted."""
    return {
        "spectra of mic, error and reference": round(3 * (fft_macs(N_FFT) + N_FFT)),
        "mel bands": 3 * int(np.count_nonzero(MEL_MATRIX)),
        "first layer": FEATURES * HIDDEN,
        "nine layers": LAYERS * 2 * HIDDEN * HIDDEN,
        "their memory": LAYERS * TAPS * HIDDEN,
        "two masks": 2 * BINS * HIDDEN,
        "two outputs": round(2 * (2 * BINS + fft_macs(N_FFT) + N_FFT)),
    }


def weight_bytes() -> dict[str, int]:
    """Return the bytes of the weights in three formats; only float32 is what `duplex export` writes.

    In int8 the matrices have a byte a weight and a float32 scale for each output; the rest stays float32.
    """
    matrix = sum(int(np.prod(SHAPES[name])) for name in _MATRICES)
    outputs = sum(int(np.prod(SHAPES[name][:-1])) for name in _MATRICES)
    return {
        "float32": 4 * parameters(),
        "float16": 2 * parameters(),
        "int8": matrix + 4 * (outputs + parameters() - matrix),
    }


def state_bytes() -> int:
    """Return the bytes of a stream's memory in float32."""
    return 4 * LAYERS * (TAPS - 1) * HIDDEN
