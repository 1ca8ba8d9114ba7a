"""Partitioned-block frequency-domain Kalman filter: the linear stage that recovers fast.

Enzner and Vary's frequency-domain Kalman filter in partitioned form (Kuech, Mabande, Enzner,
ICASSP 2014). Overlap-save with blocks of one hop, so it adds no latency.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aec_core.config import KalmanConfig
from aec_core.fft import irfft, rfft
from aec_core.stft import BINS, N_FFT
from aec_core.types import HOP, Rows, Samples

_FLOOR = np.float32(1e-7)  # of a power spectrum of N_FFT samples: about -120 dBFS


class KalmanFilter:
    """Estimates the echo of each stream from its aligned reference; a `LinearFilter`."""

    latency = 0

    def __init__(self, config: KalmanConfig, streams: int) -> None:
        shape = (streams, config.partitions, BINS)
        self._config = config
        self._path = np.zeros(shape, np.complex64)  # W
        self._variance = np.full(shape, config.initial_variance, np.float32)  # P
        self._history = np.zeros(shape, np.complex64)  # X, newest first
        self._ref_past = np.zeros((streams, HOP), np.float32)
        self._noise = np.zeros((streams, BINS), np.float32)  # Psi

    @property
    def ref_memory(self) -> int:
        """Samples of past reference that `realign` needs."""
        return (self._config.partitions + 1) * HOP

    def process(self, mic: Samples, ref: Samples, rows: Rows) -> tuple[Samples, Samples]:
        """Cancel one hop with the path that is known so far, then adapt (`LinearFilter.process`)."""
        x = self._push(ref, rows)  # (n, partitions, bins)
        path = self._path[rows]
        echo = _last_half(np.einsum("npf,npf->nf", path, x))
        error = mic - echo
        self._adapt(path, x, error, rows)
        return error, echo

    def realign(self, rows: Rows, ref_past: Samples, shift: Samples | None = None) -> None:
        """Continue at another delay (`LinearFilter.realign`); the path moves along with its echo."""
        blocks = np.lib.stride_tricks.sliding_window_view(ref_past, N_FFT, axis=-1)[:, ::HOP]
        self._history[rows] = rfft(blocks[:, ::-1])
        self._ref_past[rows] = ref_past[:, -HOP:]
        self._variance[rows] = self._config.initial_variance
        if shift is not None:
            self._path[rows] = _shift_taps(self._path[rows], shift)

    def reset(self, slot: int) -> None:
        for state in (self._path, self._history, self._ref_past, self._noise):
            state[slot] = 0
        self._variance[slot] = self._config.initial_variance

    def _push(self, ref: Samples, rows: Rows) -> NDArray[np.complex64]:
        block = np.concatenate([self._ref_past[rows], ref], axis=-1)
        self._ref_past[rows] = ref
        newest = rfft(block)[:, None]
        x = np.concatenate([newest, self._history[rows][:, :-1]], axis=1)
        self._history[rows] = x
        return x

    def _adapt(
        self, path: NDArray[np.complex64], x: NDArray[np.complex64], error: Samples, rows: Rows
    ) -> None:
        e = rfft(np.concatenate([np.zeros_like(error), error], axis=-1))[:, None]  # (n, 1, bins)
        smooth = np.float32(self._config.noise_smoothing)
        noise = smooth * self._noise[rows] + (1 - smooth) * _power(e[:, 0])
        self._noise[rows] = noise

        variance = self._variance[rows]
        x_power = _power(x)
        expected = 0.5 * np.einsum("npf,npf->nf", x_power, variance)
        step = variance / (expected + noise + _FLOOR)[:, None]  # K / X*
        path = path + _first_half_taps(step * x.conj() * e)
        self._path[rows] = path

        a2 = np.float32(self._config.transition**2)
        kept = 1 - 0.5 * step * x_power  # never negative: x_power * variance <= 2 * expected
        self._variance[rows] = a2 * kept * variance + (1 - a2) * _power(path)


def _power(spectrum: NDArray[np.complex64]) -> NDArray[np.float32]:
    return spectrum.real**2 + spectrum.imag**2


def _last_half(spectrum: NDArray[np.complex64]) -> Samples:
    """Overlap-save: the half of the circular convolution that is linear."""
    return irfft(spectrum, n=N_FFT)[..., HOP:]


def _first_half_taps(gradient: NDArray[np.complex64]) -> NDArray[np.complex64]:
    """Gradient constraint: a partition has `HOP` taps, the rest of its block is zero."""
    taps = irfft(gradient, n=N_FFT)
    taps[..., HOP:] = 0
    return rfft(taps)


def _shift_taps(path: NDArray[np.complex64], shift: Samples) -> NDArray[np.complex64]:
    """Move each impulse response by its own number of samples, later if positive."""
    taps = irfft(path, n=N_FFT)[..., :HOP]
    n, partitions, _ = taps.shape
    flat = taps.reshape(n, -1)
    source = np.arange(flat.shape[1]) - shift[:, None].astype(np.intp)
    moved = np.take_along_axis(flat, source.clip(0, flat.shape[1] - 1), axis=1)
    moved[(source < 0) | (source >= flat.shape[1])] = 0
    return rfft(moved.reshape(n, partitions, HOP), n=N_FFT)
