"""What training minimises: terms of a clip, with guards for silence.

The paper sums a modulation loss, SNR and PMSQE (section II-E). A distance of compressed magnitudes is
an addition of ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import Function

_TAU = _ETA = 1e-3
_EXPONENT = 0.3
_TINY = 1e-8  # of power: a square root alone has no gradient at zero


@dataclass(frozen=True)
class LossWeights:
    """How much each term counts; a term of weight zero is not computed."""

    snr: float = 0.9  # in dB
    pmsqe: float = 10.0
    modulation: float = 0.1
    magnitude: float = 30.0  # not in the paper
    echo_mask: float = 0.5  # the same terms on the mask of the residual echo, PMSQE aside
    muting: float = 2.0  # of magnitudes that are too small: speech that is gone does not come back
    no_near: float = 0.5  # of clips without a near end: their gate is learnt soon


OURS = LossWeights()
PAPER = LossWeights(magnitude=0.0)
"""The paper's terms and weights alone, with our guards."""


def thresholded_snr_db(estimate: Tensor, target: Tensor, mixture: Tensor) -> Tensor:
    """Return the negative SNR in dB of each clip, bounded at both ends and defined on silence.

    `10 log10[(|e-c|^2 + tau |c|^2 + eta tau |y|^2) / (|c|^2 + eta |y|^2)]`: about -30 for a perfect
    estimate, and silence is rewarded where the target is silent.
    """
    error = (estimate - target).square().sum(-1)
    clean, mixed = target.square().sum(-1), mixture.square().sum(-1)
    tiny = 1e-6
    return 10 * torch.log10(
        (error + _TAU * clean + _ETA * _TAU * mixed + tiny * _TAU) / (clean + _ETA * mixed + tiny)
    )


def compress(power: Tensor) -> Tensor:
    """Return magnitudes to the power of 0.3, from their squares; without a gradient."""
    # torch's `pow` costs twice a logarithm and an exponential.
    return (power.detach() + _TINY).log_().mul_(_EXPONENT / 2).exp_()


def compressed_distance(power: Tensor, target: Tensor, muting: float = 1.0) -> Tensor:
    """Return the squared distance of compressed magnitudes from a target's, `(batch,)`.

    Args:
        power: Squared magnitudes of the estimate, `(batch, frames, bins)`.
        target: From `compress`, the same shape.
        muting: How often magnitudes below the target's count.
    """
    return _CompressedDistance.apply(power, target, muting)


class _CompressedDistance(Function):
    """One function, because these arrays are large and every step between would make another."""

    @staticmethod
    def forward(ctx: Any, power: Tensor, target: Tensor, muting: float) -> Tensor:
        compressed = compress(power)
        missing = compressed - target
        below = missing.clamp(max=0).mul_(muting - 1)
        distance = (missing * missing).addcmul_(missing, below).sum((-1, -2))
        ctx.save_for_backward(power, compressed, missing.add_(below))
        return distance

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        (grad,), (power, compressed, missing) = grad_outputs, ctx.saved_tensors
        slope = missing.mul(compressed).div_(power + _TINY)
        return slope.mul_(_EXPONENT * grad[:, None, None]), None, None
