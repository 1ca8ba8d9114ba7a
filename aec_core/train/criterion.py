"""The loss of a batch of masks: terms of both masks, at every stage of progressive learning."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from aec_core.train.losses import LossWeights, compress, compressed_distance, thresholded_snr_db
from aec_core.train.modulation import Modulation
from aec_core.train.network import Masks
from aec_core.train.pmsqe import Pmsqe
from aec_core.train.spectra import analyse, resynthesise
from aec_core.train.stages import FINAL, Stage

_AUDIBLE_DBFS = -55.0  # a target below this level is silent: PMSQE and modulation are not defined on it


@dataclass(frozen=True)
class _Mixture:
    """What all stages share: the output of the linear stage and what it is made of."""

    error: Tensor  # (batch, frames * hop)
    near: Tensor
    spectra: Tensor  # (batch, frames, bins), of the error
    clean: Tensor
    power: Tensor  # of the error
    size: Tensor  # (batch,): of the error's compressed magnitudes
    share: Tensor  # (batch,): how much a clip counts
    active: Tensor  # (batch,): clips with a near end

    def first(self, clips: int) -> _Mixture:
        return self if clips == len(self.near) else _Mixture(*(x[:clips] for x in vars(self).values()))


@dataclass(frozen=True)
class _Target:
    """What a mask should let through."""

    audio: Tensor  # (batch, frames * hop)
    spectra: Tensor  # (batch, frames, bins)
    audible: Tensor  # (batch,)


class Criterion:
    """Loss of a batch of masks."""

    def __init__(self, weights: LossWeights, device: torch.device, stages: tuple[Stage, ...] = FINAL) -> None:
        self._weights, self._stages = weights, stages
        self._pmsqe, self._modulation = Pmsqe(device), Modulation(device)

    def __call__(self, masks: Sequence[Masks], error: Tensor, near: Tensor) -> dict[str, Tensor]:
        """Return the last stage's terms, and `total`, the weighted sum over all stages: scalars.

        Args:
            masks: Of each stage, `(clips, frames, bins)`: of the clips that it sees.
            error: Output of the linear stage, `(batch, frames * hop)`.
            near: Clean near end, the same shape.
        """
        mixture = self._mixture(error, near)
        terms: dict[str, Tensor] = {}
        total = error.new_zeros(())
        for stage, (near_mask, echo_mask) in zip(self._stages, masks, strict=True):
            terms = self._stage(mixture.first(len(near_mask)), stage, near_mask, echo_mask)
            total = total + stage.weight * terms["loss"]
        return {**terms, "total": total}

    def _mixture(self, error: Tensor, near: Tensor) -> _Mixture:
        spectra, clean = analyse(error), analyse(near)
        power, active = _power(spectra), _audible(near)
        share = torch.where(active, 1.0, self._weights.no_near)
        return _Mixture(error, near, spectra, clean, power, _size(compress(power)), share, active)

    def _stage(
        self, mixture: _Mixture, stage: Stage, near_mask: Tensor, echo_mask: Tensor
    ) -> dict[str, Tensor]:
        weights = self._weights
        left, left_spectra = mixture.error - mixture.near, mixture.spectra - mixture.clean  # echo, and noise
        target = _Target(mixture.near, mixture.clean, mixture.active)
        if stage.residual:
            near = mixture.near + stage.residual * left
            target = _Target(near, mixture.clean + stage.residual * left_spectra, mixture.active)
            left, left_spectra = (1 - stage.residual) * left, (1 - stage.residual) * left_spectra
        terms = self._terms(mixture, near_mask, target, weights.muting, weights.pmsqe)
        loss = self._weighted(terms)
        if weights.echo_mask:
            leaving = _Target(left, left_spectra, _audible(left))
            of_echo = self._terms(mixture, echo_mask, leaving, muting=1.0, pmsqe=0.0)
            loss = loss + weights.echo_mask * self._weighted(of_echo)
            terms.update({f"{name}_echo": term for name, term in of_echo.items()})
        return {**terms, "loss": loss}

    def _terms(
        self, mixture: _Mixture, mask: Tensor, target: _Target, muting: float, pmsqe: float
    ) -> dict[str, Tensor]:
        weights, share = self._weights, mixture.share
        audio = resynthesise(mask, mixture.spectra)
        terms = {"snr": (share * thresholded_snr_db(audio, target.audio, mixture.error)).mean()}
        passed, wanted = mask * mask * mixture.power, _power(target.spectra)
        if weights.magnitude:
            compressed = compress(wanted)
            distance = compressed_distance(passed, compressed, muting)
            terms["magnitude"] = (share * distance / (_size(compressed) + 0.1 * mixture.size + 1)).mean()
        of_audible = partial(_mean_over, target.audible)
        if weights.modulation:
            frames = _frame_weights(wanted, mixture.power)
            terms["modulation"] = of_audible(self._modulation, passed, wanted, frames)
        if pmsqe:
            terms["pmsqe"] = of_audible(self._pmsqe, audio, target.audio)
        return terms

    def _weighted(self, terms: dict[str, Tensor]) -> Tensor:
        return torch.stack([getattr(self._weights, name) * term for name, term in terms.items()]).sum()


def _mean_over(some: Tensor, loss: Callable[..., Tensor], *signals: Tensor) -> Tensor:
    """Return the mean over a batch of a loss that is defined for `some` of its clips, zero for the others."""
    if not some.any():
        return signals[0].new_zeros(())
    return loss(*(signal[some] for signal in signals)).sum() / len(some)


def _power(spectra: Tensor) -> Tensor:
    return spectra.real.square().addcmul_(spectra.imag, spectra.imag)


def _size(compressed: Tensor) -> Tensor:
    return compressed.square().sum((-1, -2))


def _audible(audio: Tensor) -> Tensor:
    return audio.square().mean(-1) > 10 ** (_AUDIBLE_DBFS / 10)


def _frame_weights(target: Tensor, mixture: Tensor) -> Tensor:
    """Return what frames count in the modulation loss, `(batch, frames)`: one more than the ideal mask's sum.

    A pause counts once, a frame in which the target fills the spectrum 322 times.
    """
    ideal = (target / (mixture + 1e-8)).clamp(max=1).sqrt()
    return 1 + ideal.sum(-1)
