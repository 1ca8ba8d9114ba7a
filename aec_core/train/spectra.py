"""The serving STFT in torch, for whole clips: same window, same grid, gradients."""

from __future__ import annotations

import torch
from torch import Tensor

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
