"""PMSQE, a differentiable relative of PESQ (Martin-Donas et al., IEEE SPL 2018).

Written from the paper's formulas. The tables of ITU-T P.862 (band edges, hearing threshold) are
replaced by closed forms: Traunmueller's Bark scale and Terhardt's threshold in quiet.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from aec_core.train.spectra import power
from aec_core.types import SAMPLE_RATE

_N_FFT, _HOP, _BANDS = 512, 256, 49
_LOUDNESS = 0.1866055  # P.862's scale from loudness density to sone
_LISTENING_POWER = 3.4e8  # all bands of an average frame at P.862's standard listening level
_ALPHA, _BETA = 0.1, 0.0309
_MOST = 45.0  # disturbance of one frame


def _bark(hz: np.ndarray) -> np.ndarray:
    return 26.81 * hz / (1960 + hz) - 0.53


class Pmsqe:
    """Callable loss: symmetric and asymmetric disturbance over Bark bands, 0 for equal signals."""

    def __init__(self, device: torch.device) -> None:
        hz = np.linspace(0, SAMPLE_RATE / 2, _N_FFT // 2 + 1)
        edges = np.linspace(_bark(np.array(31.25)), _bark(np.array(8000.0)), _BANDS + 1)
        matrix = _bands(_bark(hz), edges)
        middle = 1960 * (0.53 + (edges[:-1] + edges[1:]) / 2) / (26.28 - (edges[:-1] + edges[1:]) / 2)
        khz = middle / 1000
        threshold_db = 3.64 * khz**-0.8 - 6.5 * np.exp(-0.6 * (khz - 3.3) ** 2) + 1e-3 * khz**4
        # Zwicker's exponent rises at low frequencies (P.862, 10.2.2.8).
        exponent = 0.23 * np.where(edges[1:] < 4, np.minimum(2, 6 / (edges[1:] + 2)), 1) ** 0.15

        def constant(x: np.ndarray) -> Tensor:
            return torch.from_numpy(x.astype(np.float32)).to(device)

        self._matrix = constant(matrix)
        threshold = 10 ** (threshold_db.clip(max=75) / 10)
        self._threshold, self._half = constant(threshold), constant(0.5 / threshold)
        self._power = constant(exponent)
        self._scale = constant(_LOUDNESS * (threshold / 0.5) ** exponent)
        self._width = constant(np.diff(edges))
        self._speech_band = constant(((hz > 350) & (hz < 3250)) * 1.0)
        self._window = constant(np.sqrt(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_N_FFT) / _N_FFT)))

    def __call__(self, estimate: Tensor, target: Tensor) -> Tensor:
        """Compare waveforms `(batch, n)`; the target must not be silent. Returns `(batch,)`."""
        c, e = self._bark_spectrum(target), self._bark_spectrum(estimate)
        e = self._equalise(c, e)
        loud_c, loud_e = self._loudness(c), self._loudness(e)
        masked = 0.25 * torch.minimum(loud_c, loud_e)
        symmetric = torch.relu((loud_e - loud_c).abs() - masked)
        # What was added disturbs more than what was taken away.
        asymmetry = (1.2 * ((e + 50) / (c + 50)).log()).exp()
        asymmetric = symmetric * (asymmetry.clamp(max=12) * (asymmetry >= 3))
        weight = ((self._audible(c) + 1e5) / 1e7) ** 0.04
        total = self._width.sum().sqrt()
        d = ((symmetric * self._width).square().sum(-1) + 1e-8).sqrt() * total / weight
        da = (asymmetric * self._width).sum(-1) / weight
        return (_ALPHA * d.clamp(max=_MOST) + _BETA * da.clamp(max=_MOST)).mean(-1)

    def _bark_spectrum(self, audio: Tensor) -> Tensor:
        """Return band powers at the standard listening level, `(batch, frames, bands)`."""
        seen = power(audio, self._window)
        level = (seen @ self._speech_band).mean(-1)[:, None, None] + 1e-6
        return (seen @ self._matrix) * (_LISTENING_POWER / level)

    def _audible(self, bark: Tensor, factor: float = 1.0) -> Tensor:
        return (bark * (bark > factor * self._threshold)).sum(-1)

    def _equalise(self, c: Tensor, e: Tensor) -> Tensor:
        """Forgive a constant colouration and slow gain changes, as PESQ does."""
        speech = (self._audible(c, 100) > 1e7)[..., None] & (c > 100 * self._threshold)
        in_c, in_e = ((x * speech).sum(-2, keepdim=True) for x in (c, e))
        e = e * ((in_c + 1000) / (in_e + 1000)).clamp(0.01, 100)
        gain = (self._audible(c) + 5e3) / (self._audible(e) + 5e3)
        return e * gain.clamp(3e-4, 5)[..., None]

    def _loudness(self, bark: Tensor) -> Tensor:
        # Zwicker's law: nothing below the threshold, a power of what is above.
        above = (self._power * (0.5 + bark * self._half).log()).exp() - 1
        return above * self._scale * (bark >= self._threshold)


def _bands(bark: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Share each bin among the bands that it touches, `(bins, bands)`."""
    half = np.gradient(bark) / 2
    low, high = (bark - half)[:, None], (bark + half)[:, None]
    overlap = np.minimum(high, edges[1:]) - np.maximum(low, edges[:-1])
    return np.maximum(overlap, 0) / (high - low)
