"""The serving STFT in torch, for whole clips: same window, same grid, gradients.

Two gradients are written out, because what torch derives for real transforms takes a complex one of
twice the length.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import Function

from aec_core.stft import N_FFT, WINDOW
from aec_core.types import HOP


def analyse(audio: Tensor) -> Tensor:
    """Map `(batch, frames * hop)` to `(batch, frames, bins)`, as `stft.Analysis` does from an empty past."""
    padded = torch.nn.functional.pad(audio, (HOP, 0))
    frames = padded.unfold(-1, N_FFT, HOP)
    return torch.fft.rfft(frames * torch.from_numpy(WINDOW).to(audio.device))


def synthesise(spectra: Tensor) -> Tensor:
    """Map `(batch, frames, bins)` to audio `(batch, frames * hop)`, without the latency of `stft.Synthesis`.

    The last hop lacks what a next frame would add to it.
    """
    blocks = torch.fft.irfft(spectra, n=N_FFT) * torch.from_numpy(WINDOW).to(spectra.device)
    batch = len(blocks)
    first, second = blocks[..., :HOP].reshape(batch, -1), blocks[..., HOP:].reshape(batch, -1)
    # Frame t covers hops t-1 and t of the input.
    following = torch.nn.functional.pad(first[:, HOP:], (0, HOP))
    return following + second


def resynthesise(mask: Tensor, spectra: Tensor) -> Tensor:
    """Return `synthesise(mask * spectra)`, `(batch, frames * hop)`, with a gradient for the mask alone."""
    return _Resynthesis.apply(mask, spectra)


def power(audio: Tensor, window: Tensor) -> Tensor:
    """Return `|STFT|^2`, `(batch, frames, bins)`, of audio `(batch, n)` with half-overlapping windows."""
    return _Power.apply(audio, window)


class _Resynthesis(Function):
    @staticmethod
    def forward(ctx: Any, mask: Tensor, spectra: Tensor) -> Tensor:
        ctx.save_for_backward(spectra)
        return synthesise(mask * spectra)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None]:
        (grad,), (spectra,) = grad_outputs, ctx.saved_tensors
        # Analysis is the adjoint of synthesis, but for the share of each bin in the inverse transform.
        seen = analyse(grad)
        product = seen.real * spectra.real
        product.addcmul_(seen.imag, spectra.imag).mul_(2 / N_FFT)
        product[..., [0, -1]] /= 2
        return product, None


class _Power(Function):
    @staticmethod
    def forward(ctx: Any, audio: Tensor, window: Tensor) -> Tensor:
        size = len(window)
        spectra = torch.fft.rfft(audio.unfold(-1, size, size // 2) * window)
        ctx.save_for_backward(spectra, window)
        ctx.length = audio.shape[-1]
        return spectra.real.square().addcmul_(spectra.imag, spectra.imag)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None]:
        (grad,), (spectra, window) = grad_outputs, ctx.saved_tensors
        size, hop = len(window), len(window) // 2
        slope = spectra * (size * grad)
        slope[..., [0, -1]] *= 2
        frames = torch.fft.irfft(slope, n=size).mul_(window)
        batch, count = frames.shape[:2]
        out = grad.new_zeros(batch, ctx.length)
        out[:, : count * hop] += frames[..., :hop].reshape(batch, -1)
        out[:, hop : (count + 1) * hop] += frames[..., hop:].reshape(batch, -1)
        return out, None
