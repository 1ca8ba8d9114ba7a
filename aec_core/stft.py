"""The only window: 40 ms square-root Hann, 20 ms hop (paper, section III-A)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aec_core.fft import irfft, rfft
from aec_core.types import HOP, Rows, Samples

N_FFT = 2 * HOP
BINS = N_FFT // 2 + 1

WINDOW: Samples = np.sqrt(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(N_FFT) / N_FFT)).astype(np.float32)
"""Periodic; its square overlap-adds to one at half a window."""


class Analysis:
    """Waveform to spectra, hop by hop, for `channels` signals of each stream."""

    def __init__(self, streams: int, channels: int) -> None:
        self._past = np.zeros((streams, channels, HOP), np.float32)

    def process(self, hop: Samples, rows: Rows) -> NDArray[np.complex64]:
        """Map `(n, channels, hop)` to `(n, channels, bins)`: the frame that ends with this hop."""
        block = np.concatenate([self._past[rows], hop], axis=-1)
        self._past[rows] = hop
        return rfft(block * WINDOW)

    def reset(self, slot: int) -> None:
        self._past[slot] = 0


class Synthesis:
    """Spectra to waveform by overlap-add; the output is one hop behind the input."""

    latency = HOP

    def __init__(self, streams: int, channels: int) -> None:
        self._tail = np.zeros((streams, channels, HOP), np.float32)

    def process(self, spectra: NDArray[np.complex64], rows: Rows) -> Samples:
        """Map `(n, channels, bins)` to `(n, channels, hop)`."""
        block: Samples = irfft(spectra, n=N_FFT) * WINDOW
        out = self._tail[rows] + block[..., :HOP]
        self._tail[rows] = block[..., HOP:]
        return out

    def reset(self, slot: int) -> None:
        self._tail[slot] = 0
