"""Modulation loss: how speech rises and falls in time and over channels (Vuong et al., arXiv 2102.07330).

A bank of spectro-temporal Gabor kernels, a product of rates and scales, is never convolved with. All
kernels are linear, so the estimate's response minus the target's is the response to the difference
`d` of their log-mel spectra; and what is wanted of it is the energy over the whole bank, which is a
quadratic form, `tr(d' A d G)`: `A (frames, frames)` is a band that stands for all rates and the
weights of frames, `G (channels, channels)` for all scales. It is real, because scales come in pairs
of either sign.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aec_core.features import MEL_MATRIX, MELS

RATES = tuple(float(x) for x in np.geomspace(0.3, 1.76, 5))
"""Radians a frame: 2.4 to 14 Hz, where syllables are."""

SCALES = (0.25, 0.7, 2.0)
"""Radians a channel, each of either sign."""

SUPPORT = 31  # frames, and channels, of a kernel
_HALF = SUPPORT // 2
_FLOOR = 1e-5  # of a mel's power: what lies below -75 dBFS is nobody's modulation


class Modulation:
    """Callable loss: energy of the difference in the modulation domain over that of the target."""

    def __init__(self, device: torch.device) -> None:
        def constant(x: NDArray[np.floating]) -> Tensor:
            return torch.from_numpy(x.astype(np.float32)).to(device)

        self._mel = constant(MEL_MATRIX)
        self._products = constant(_products())
        self._scales = constant(_gram())

    def __call__(self, estimate: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        """Compare power spectra `(batch, frames, bins)`; returns `(batch,)`.

        Args:
            estimate: Of the serving STFT.
            target: The same; must not be silent.
            weight: Of each frame's error, `(batch, frames)`. Ones give the plain form of the loss.
        """
        wanted = self._log_mel(target)
        error = self._energy(self._log_mel(estimate) - wanted, weight)
        return error / (self._energy(wanted, torch.ones_like(weight)) + 1e-3)

    def _log_mel(self, power: Tensor) -> Tensor:
        mels = torch.log(power @ self._mel + _FLOOR)
        return mels - mels.mean(-2, keepdim=True)

    def _energy(self, mels: Tensor, weight: Tensor) -> Tensor:
        """Return the weighted energy of all responses, `(batch,)`."""
        return ((self._rates(weight) @ mels) * (mels @ self._scales)).sum((-1, -2))

    def _rates(self, weight: Tensor) -> Tensor:
        """Return `A`, `(batch, frames, frames)`: its rows hold `sum_n w_n k(n - t) k(n - u)`."""
        frames = weight.shape[-1]
        around = torch.nn.functional.pad(weight, (_HALF, _HALF)).unfold(-1, SUPPORT, 1)
        band = around @ self._products  # (batch, frames, lags)
        # Rows that are one longer than the matrix is wide move a lag to its column.
        wide = torch.nn.functional.pad(band, (0, frames)).flatten(1)
        rows = wide[:, : frames * (frames + band.shape[-1] - 1)].view(len(weight), frames, -1)
        return rows[..., SUPPORT - 1 : SUPPORT - 1 + frames]


def gabor(radians: float) -> NDArray[np.complex128]:
    """Return a complex wave under a Hann window, of unit energy, `(31,)`."""
    at = np.arange(SUPPORT)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * (at + 1) / (SUPPORT + 1))
    return window * np.exp(1j * radians * (at - _HALF)) / np.sqrt(np.sum(window**2))


def _products() -> NDArray[np.float64]:
    """Return `sum_j Re k_j(m) k_j(m - l)*`, `(31, 61)`, over all rates `j`."""
    out = np.zeros((SUPPORT, 2 * SUPPORT - 1))
    for wave in map(gabor, RATES):
        for m in range(SUPPORT):
            # Lag l = m - m' runs from -30 to 30.
            out[m, m - np.arange(SUPPORT) + SUPPORT - 1] += np.real(wave[m] * wave.conj())
    return out


def _gram() -> NDArray[np.float64]:
    """Return `G`, `(80, 80)`: `x' G x` is the energy of `x` behind all scales of both signs."""
    offset = np.arange(MELS)[:, None] - np.arange(MELS) + _HALF
    inside = (offset >= 0) & (offset < SUPPORT)
    gram = np.zeros((MELS, MELS))
    for wave in map(gabor, SCALES):
        response = np.where(inside, wave[offset.clip(0, SUPPORT - 1)], 0)
        gram += 2 * np.real(response.conj().T @ response)
    return gram
