"""What training minimises: signal-to-noise ratio, PMSQE and compressed magnitudes, with guards.

The paper sums a modulation loss, SNR and PMSQE (section II-D). This first recipe keeps SNR and
PMSQE with the paper's weights and has a compressed-magnitude term in place of the modulation loss.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from aec_core.train.pmsqe import Pmsqe
from aec_core.train.spectra import analyse, synthesise

_TAU = _ETA = 1e-3
_EXPONENT = 0.3
_FRAMES_DBFS = -55.0  # a target below this level is silent: PMSQE is not defined on it


@dataclass(frozen=True)
class LossWeights:
    """How much each term counts."""

    snr: float = 0.9  # in dB
    pmsqe: float = 10.0
    magnitude: float = 30.0
    echo_mask: float = 0.5  # the same terms on the mask of the residual echo, PMSQE aside
    muting: float = 2.0  # of magnitudes that are too small: speech that is gone does not come back
    no_near: float = 0.5  # of clips without a near end: their gate is learnt soon


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


def compressed_magnitude(estimate: Tensor, target: Tensor, mixture: Tensor, muting: float = 1.0) -> Tensor:
    """Return the distance of the magnitudes to the power of 0.3, `(batch,)`, relative to their size.

    Magnitudes below the target's count `muting` times.
    """
    e, c, y = (_compress(spectrum) for spectrum in (estimate, target, mixture))
    distance = (torch.where(e < c, muting, 1.0) * (e - c).square()).sum((-1, -2))
    return distance / (c.square().sum((-1, -2)) + 0.1 * y.square().sum((-1, -2)) + 1.0)


def _compress(spectrum: Tensor) -> Tensor:
    # A square root alone has no gradient at zero.
    return (spectrum.real.square() + spectrum.imag.square() + 1e-8) ** (_EXPONENT / 2)


class Criterion:
    """Loss of a batch of masks."""

    def __init__(self, weights: LossWeights, device: torch.device) -> None:
        self._weights = weights
        self._pmsqe = Pmsqe(device)

    def __call__(
        self, near_mask: Tensor, echo_mask: Tensor, error: Tensor, near: Tensor
    ) -> dict[str, Tensor]:
        """Return the terms and their weighted sum `total`, all scalars.

        Args:
            near_mask: `M_x`, `(batch, frames, bins)`.
            echo_mask: `M_r`, the same shape.
            error: Output of the linear stage, `(batch, frames * hop)`.
            near: Clean near end, the same shape.
        """
        weights = self._weights
        spectrum, clean = analyse(error), analyse(near)
        rest = error - near  # residual echo, and noise
        active = near.square().mean(-1) > 10 ** (_FRAMES_DBFS / 10)
        share = torch.where(active, 1.0, weights.no_near)

        masked = near_mask * spectrum
        estimate = synthesise(masked)
        snr = thresholded_snr_db(estimate, near, error)
        magnitude = compressed_magnitude(masked, clean, spectrum, weights.muting)
        leaving = echo_mask * spectrum
        snr_rest = thresholded_snr_db(synthesise(leaving), rest, error)
        magnitude_rest = compressed_magnitude(leaving, spectrum - clean, spectrum)
        pmsqe = (
            self._pmsqe(estimate[active], near[active]).sum() / len(near)
            if active.any()
            else snr.new_zeros(())
        )

        terms = {
            "snr": (share * snr).mean(),
            "magnitude": (share * magnitude).mean(),
            "pmsqe": pmsqe,
            "snr_echo": (share * snr_rest).mean(),
            "magnitude_echo": (share * magnitude_rest).mean(),
        }
        near_part = (
            weights.snr * terms["snr"] + weights.magnitude * terms["magnitude"] + weights.pmsqe * pmsqe
        )
        echo_part = weights.snr * terms["snr_echo"] + weights.magnitude * terms["magnitude_echo"]
        return {**terms, "total": near_part + weights.echo_mask * echo_part}
