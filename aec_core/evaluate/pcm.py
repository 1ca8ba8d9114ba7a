"""16-bit samples, which the other cancellers take."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aec_core.types import Samples, Wave


def to_pcm(audio: Wave) -> NDArray[np.int16]:
    """Round `(n,)` in [-1, 1] to 16 bits."""
    return np.clip(np.rint(audio * 32768), -32768, 32767).astype(np.int16)


def from_pcm(pcm: NDArray[np.int16]) -> Samples:
    """Return `(n,)` in [-1, 1)."""
    return pcm.astype(np.float32) / np.float32(32768)
