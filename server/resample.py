"""From the wire rate to 16 kHz, and between clocks: filters whose delay is known to the sample.

soxr's streams return audio in blocks of their own, 7 to 36 ms late by turns, so that some hops would wait
for two frames more. These filters are 2.1 ms late, always, give 1 ms for each 1 ms, and are as fast.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from aec_core.types import SAMPLE_RATE, Samples

_GRID_HZ = 48_000  # holds the samples of every wire rate and of 16 kHz
_HALF = 102  # of the filter's length on that grid
_CUTOFF_HZ = 7_700  # flat to 7.3 kHz; what aliases does so above 7.8 kHz, 47 dB down at 8.2 kHz
_REACH = 16  # samples on each side that an interpolated one is made of


class Resampler(Protocol):
    """Turns a stream at the wire rate into one at 16 kHz.

    Output sample `n` shows the input at the time of sample `n - latency`.
    """

    latency: int  # samples at 16 kHz

    def process(self, audio: Samples) -> Samples:
        """Take `(channels, n)` of any length and return what is ready, `(channels, m)`."""
        ...


class _Through:
    latency = 0

    def process(self, audio: Samples) -> Samples:
        return audio


class _Downsampler:
    """A polyphase filter, written as one matrix that makes a millisecond of output.

    The product of matrices takes a tenth of the time of a strided convolution.
    """

    latency = _HALF * SAMPLE_RATE // _GRID_HZ

    def __init__(self, rate: int, channels: int) -> None:
        self._block = rate // 1000
        self._matrix = _matrix(rate)  # (span, 16)
        self._past = np.zeros((channels, len(self._matrix) - self._block), np.float32)

    def process(self, audio: Samples) -> Samples:
        signal = np.concatenate([self._past, audio], axis=1)
        span = len(self._matrix)
        blocks = (signal.shape[1] - span) // self._block + 1
        if blocks < 1:
            self._past = signal
            return np.zeros((len(audio), 0), np.float32)
        row, sample = signal.strides
        # NumPy's own sliding windows cost five times what the product does.
        windows = np.ndarray(
            (len(audio), blocks, span), np.float32, signal, strides=(row, sample * self._block, sample)
        )
        self._past = signal[:, blocks * self._block :].copy()
        return (np.ascontiguousarray(windows) @ self._matrix).reshape(len(audio), -1)


def make_resampler(rate: int, channels: int) -> Resampler:
    """Return a resampler from 16, 24 or 48 kHz with an empty past."""
    return _Through() if rate == SAMPLE_RATE else _Downsampler(rate, channels)


def alignment(rate: int) -> int:
    """Return the number of samples at the wire rate that are a whole number of samples at 16 kHz."""
    return rate // int(np.gcd(rate, SAMPLE_RATE))


def interpolate(signal: Samples, positions: NDArray[np.float64]) -> Samples:
    """Read `signal` `(n,)` between its samples; it is zero where it has none.

    Args:
        signal: At any rate.
        positions: In samples, `(m,)`; they rise about as fast as samples do.
    """
    if not len(signal):
        return np.zeros(len(positions), np.float32)
    first = np.floor(positions).astype(np.int64) - _REACH + 1
    index = first[:, None] + np.arange(2 * _REACH)  # (m, taps)
    distance = index - positions[:, None]
    window = np.cos(distance * (np.pi / (2 * _REACH))) ** 2
    taps = (np.sinc(distance) * window).astype(np.float32)
    inside = (index >= 0) & (index < len(signal))
    values = np.where(inside, signal[np.where(inside, index, 0)], np.float32(0))
    return np.einsum("mt,mt->m", taps, values)


def reach() -> int:
    """Return how many samples after a position `interpolate` uses."""
    return _REACH


def _low_pass() -> NDArray[np.float64]:
    """A windowed sinc of `2 * _HALF + 1` taps; written out, since scipy.signal takes a second to import."""
    taps = np.sinc(2 * _CUTOFF_HZ / _GRID_HZ * np.arange(-_HALF, _HALF + 1)) * np.kaiser(2 * _HALF + 1, 8.0)
    return taps / taps.sum()


def _matrix(rate: int) -> Samples:
    """Column `p` makes output `p` of a block from the block and what comes before it."""
    up, down = _GRID_HZ // rate, _GRID_HZ // SAMPLE_RATE
    low_pass = up * _low_pass()
    inputs = np.arange(-2 * _HALF, rate // 1000 * up, up)  # on the grid; 0 is the block's first
    lag = down * np.arange(SAMPLE_RATE // 1000) - inputs[:, None]  # (span, 16)
    within = (lag >= 0) & (lag <= 2 * _HALF)
    return np.where(within, low_pass[np.where(within, lag, 0)], 0).astype(np.float32)
