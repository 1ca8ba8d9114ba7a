"""Weighted recursive least squares in the STFT domain: the paper's own linear stage.

Follows the line of work of the paper's reference 5 (NN3A): one multi-tap RLS for each bin,
weighted by the power that the near end is thought to have.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aec_core.config import WrlsConfig
from aec_core.fft import irfft, rfft
from aec_core.stft import BINS, N_FFT, WINDOW
from aec_core.types import HOP, Rows, Samples, Spectrum

_STEP = HOP // 2  # 75 % overlap cancels 4 dB more than 50 %
_SCALE = np.float32(2 / N_FFT)  # a full-scale sine has magnitude of about 1
_OVERLAP_GAIN = np.float32(2 * _STEP / N_FFT / _SCALE)


class WrlsFilter:
    """Estimates the echo of each stream from its aligned reference; a `LinearFilter`."""

    latency = N_FFT - _STEP

    def __init__(self, config: WrlsConfig, streams: int) -> None:
        self._config = config
        self._path = np.zeros((streams, BINS, config.taps), np.complex64)  # w
        self._inv_cov = np.zeros((streams, BINS, config.taps, config.taps), np.complex64)  # P
        self._history = np.zeros((streams, BINS, config.taps), np.complex64)  # X, newest first
        self._past = np.zeros((streams, 2, N_FFT), np.float32)  # mic, ref
        self._tail = np.zeros((streams, N_FFT), np.float32)
        for slot in range(streams):
            self.reset(slot)

    @property
    def ref_memory(self) -> int:
        """Samples of past reference that `realign` needs."""
        return N_FFT + (self._config.taps - 1) * _STEP

    def process(self, mic: Samples, ref: Samples, rows: Rows) -> tuple[Samples, Samples]:
        """Adapt to one hop, then cancel it with the new path (`LinearFilter.process`)."""
        block = np.concatenate([self._past[rows], np.stack([mic, ref], axis=1)], axis=-1)
        self._past[rows] = block[..., HOP:]
        error = np.concatenate(
            [self._step(block[..., at : at + N_FFT], rows) for at in (_STEP, HOP)], axis=-1
        )
        delayed = block[:, 0, -HOP - self.latency : -self.latency]
        return error, delayed - error

    def realign(self, rows: Rows, ref_past: Samples, shift: Samples | None = None) -> None:
        """Continue at another delay (`LinearFilter.realign`).

        Taps of 10 ms cannot follow a `shift`, so the path is learnt anew either way.
        """
        blocks = np.lib.stride_tricks.sliding_window_view(ref_past, N_FFT, axis=-1)[:, ::_STEP]
        self._history[rows] = (_SCALE * rfft(blocks[:, ::-1] * WINDOW)).swapaxes(1, 2)
        self._past[rows, 1] = ref_past[:, -N_FFT:]
        self._path[rows] = 0
        self._inv_cov[rows] = self._config.initial_inverse * np.eye(self._config.taps, dtype=np.complex64)

    def reset(self, slot: int) -> None:
        for state in (self._path, self._history, self._past, self._tail):
            state[slot] = 0
        self._inv_cov[slot] = self._config.initial_inverse * np.eye(self._config.taps, dtype=np.complex64)

    def _step(self, block: Samples, rows: Rows) -> Samples:
        spectra = _SCALE * rfft(block * WINDOW)
        mic, ref = spectra[:, 0], spectra[:, 1]
        x = np.concatenate([ref[..., None], self._history[rows][..., :-1]], axis=-1)  # (n, bins, taps)
        self._history[rows] = x
        error = self._adapt(mic, x, rows)
        tail = self._tail[rows]
        tail += irfft(error, n=N_FFT) * (WINDOW * _OVERLAP_GAIN)
        out = tail[:, :_STEP].copy()
        self._tail[rows] = np.pad(tail[:, _STEP:], ((0, 0), (0, _STEP)))
        return out

    def _adapt(self, mic: Spectrum, x: NDArray[np.complex64], rows: Rows) -> Spectrum:
        """Update path and inverse covariance; return the error after the update."""
        path, inv_cov = self._path[rows], self._inv_cov[rows]
        lam = np.float32(self._config.forgetting)
        error = mic - np.einsum("nfl,nfl->nf", path.conj(), x)
        power = np.maximum(error.real**2 + error.imag**2, np.float32(self._config.power_floor))
        weight = power ** np.float32(1 - self._config.shape / 2)  # 1 / phi
        Px = np.matmul(inv_cov, x[..., None])[..., 0]
        xPx = np.maximum(np.einsum("nfl,nfl->nf", x.conj(), Px).real, np.float32(0))
        # Forget only what this frame replaces: without excitation P would grow as lam**-n.
        forget = np.where(xPx > (1 - lam) * weight, lam, np.float32(1))
        k = Px / (lam * weight + xPx)[..., None]
        P = (inv_cov - k[..., :, None] * Px.conj()[..., None, :]) / forget[..., None, None]
        self._inv_cov[rows] = np.float32(0.5) * (
            P + P.conj().swapaxes(-1, -2)
        )  # rounding must not break P = P^H
        path = path + k * error.conj()[..., None]
        self._path[rows] = path
        return mic - np.einsum("nfl,nfl->nf", path.conj(), x)
