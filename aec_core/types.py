"""Array aliases: what the numbers in an array mean.

`S` is the number of streams, `hop` 320 samples (20 ms at 16 kHz), `bins` 321.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 16_000
HOP = 320

Samples = NDArray[np.float32]
"""Waveform in [-1, 1] at 16 kHz, shape `(n,)` or `(S, n)`."""

Wave = NDArray[np.floating[Any]]
"""Waveform of either precision: what simulation works on, shape `(n,)`."""

Spectrum = NDArray[np.complex64]
"""One STFT frame for each stream, shape `(S, bins)`."""

Mask = NDArray[np.bool_]
"""Which streams take part in a call, shape `(S,)`."""

Rows = NDArray[np.intp] | slice
"""Streams as an index: `slice(None)` for all of them, which costs no copy."""
