from dataclasses import replace

import numpy as np
import pytest
import torch

from aec_core.stft import BINS
from aec_core.train.criterion import Criterion
from aec_core.train.losses import PAPER, LossWeights
from aec_core.train.spectra import analyse
from aec_core.train.stages import FINAL, PROGRESSIVE
from aec_core.types import HOP
from tests.aec_core.train.corpus import voice

FRAMES = 40
OF_ONE_MASK = ("snr", "magnitude", "modulation")
TERMS = {*OF_ONE_MASK, "pmsqe", *(f"{name}_echo" for name in OF_ONE_MASK)}
CPU = torch.device("cpu")


def judge(near_mask, echo_mask, error, near, weights=LossWeights()):  # noqa: B008
    return Criterion(weights, CPU)([(near_mask, echo_mask)], error, near)


def audio(seed, level=1.0):
    return torch.from_numpy(level * voice(FRAMES * HOP / 16000, seed))[None]


def masks(value, batch=1):
    return torch.full((batch, FRAMES, BINS), value, requires_grad=True)


@pytest.fixture
def near():
    return audio(1, 0.3)


@pytest.fixture
def rest():
    return audio(2, 0.3)


@pytest.fixture
def ideal(near, rest):
    """Masks that pass what is near, and what is not."""
    size = analyse(near).abs() / (analyse(near).abs() + analyse(rest).abs() + 1e-6)
    return size, 1 - size


def test_the_total_is_the_weighted_sum(near, rest):
    weights = LossWeights(snr=2, pmsqe=3, magnitude=5, modulation=7, echo_mask=0.5)
    terms = judge(masks(0.6), masks(0.4), near + rest, near, weights)
    assert terms.keys() == TERMS | {"loss", "total"}
    expected = sum(getattr(weights, name) * terms[name] for name in (*OF_ONE_MASK, "pmsqe"))
    expected = expected + 0.5 * sum(getattr(weights, name) * terms[f"{name}_echo"] for name in OF_ONE_MASK)
    torch.testing.assert_close(terms["total"], expected)
    torch.testing.assert_close(terms["total"], terms["loss"])


def test_a_term_of_no_weight_is_not_computed(near, rest):
    one_mask = judge(masks(0.6), masks(0.4), near + rest, near, replace(PAPER, echo_mask=0.0))
    assert one_mask.keys() == {"snr", "modulation", "pmsqe", "loss", "total"}


def test_better_masks_lose_less(near, rest, ideal):
    error, swapped = near + rest, ideal[::-1]
    good, passing, bad = (judge(*m, error, near) for m in (ideal, (masks(1.0), masks(1.0)), swapped))
    for name in TERMS:
        # A mask of one is never too small, which is what the magnitudes of the near end weigh most.
        assert name == "magnitude" or good[name] < passing[name], name
        assert good[name] < bad[name], name


def test_each_stage_is_judged_by_its_own_target(near, rest, ideal):
    """A mask that lets a third of the echo through is right for the first stage and wrong for the last."""
    size, complement = ideal
    lenient = [
        (size + stage.residual * complement, (1 - stage.residual) * complement) for stage in PROGRESSIVE
    ]
    strict = [ideal] * 3
    criterion = Criterion(LossWeights(), CPU, PROGRESSIVE)
    error = near + rest
    assert criterion(lenient, error, near)["total"] < criterion(strict, error, near)["total"]
    only_last = Criterion(LossWeights(), CPU, FINAL)
    assert only_last([lenient[0]], error, near)["total"] > only_last([ideal], error, near)["total"]


def test_a_stages_target_is_near_end_speech_with_less_echo(near, rest):
    """Known answer: stage targets are mixtures, so the loss of a stage is that of its own problem."""
    stage = replace(PROGRESSIVE[0], weight=2.0)
    criterion = Criterion(LossWeights(), CPU, (stage, PROGRESSIVE[-1]))
    error, mask, echo = near + rest, masks(0.7), masks(0.3)
    both = criterion([(mask, echo), (mask, echo)], error, near)
    first = judge(mask, echo, error, near + stage.residual * rest)
    last = judge(mask, echo, error, near)
    torch.testing.assert_close(both["total"], 2 * first["total"] + last["total"], rtol=1e-4, atol=1e-3)
    assert both["snr"] == last["snr"]


def test_a_stage_is_judged_on_the_clips_that_it_sees(near, rest):
    criterion = Criterion(LossWeights(), CPU, (replace(PROGRESSIVE[0], weight=1.0), PROGRESSIVE[-1]))
    error, clean = torch.cat([near + rest, rest]), torch.cat([near, torch.zeros_like(near)])
    of_first = Criterion(LossWeights(), CPU, (replace(PROGRESSIVE[0], weight=1.0), PROGRESSIVE[-1]))
    seen = (masks(0.7), masks(0.3))
    both = criterion([seen, (masks(0.5, 2), masks(0.5, 2))], error, clean)
    alone = of_first([seen, (masks(0.5), masks(0.5))], near + rest, near)
    stage_loss = both["total"] - both["loss"]
    torch.testing.assert_close(stage_loss, alone["total"] - alone["loss"], rtol=1e-4, atol=1e-3)


def test_without_a_near_end_the_gate_should_close(rest):
    silent = torch.zeros_like(rest)
    closed, half, opened = (judge(masks(m), masks(1.0), rest, silent) for m in (0.0, 0.5, 1.0))
    assert closed["total"] < half["total"] < opened["total"]
    assert closed["pmsqe"] == closed["modulation"] == 0


def test_silent_near_ends_count_less_and_have_no_pmsqe(near, rest):
    silent = torch.zeros_like(rest)
    alone = judge(masks(0.5), masks(0.5), near + rest, near)
    without = judge(masks(0.5), masks(0.5), rest, silent)
    error, target = torch.cat([near + rest, rest]), torch.cat([near, silent])
    both = judge(masks(0.5, 2), masks(0.5, 2), error, target)
    for name in TERMS:
        mean = (alone[name] + without[name]).item() / 2
        assert both[name].item() == pytest.approx(mean, rel=1e-4, abs=1e-5), name
    full = judge(masks(0.5), masks(0.5), rest, silent, LossWeights(no_near=1.0))
    assert without["snr"].item() == pytest.approx(LossWeights().no_near * full["snr"].item(), rel=1e-5)


@pytest.mark.parametrize("level", [0.0, 1e-6, 1.0])
@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_everything_is_finite_when_no_item_has_a_near_end(level, value):
    error = level * torch.cat([audio(3), audio(4)])
    near_mask, echo_mask = masks(value, 2), masks(value, 2)
    terms = judge(near_mask, echo_mask, error, torch.zeros_like(error))
    terms["total"].backward()
    assert all(torch.isfinite(term) for term in terms.values())
    for mask in (near_mask, echo_mask):
        assert torch.isfinite(mask.grad).all()


def test_everything_is_finite_for_a_closed_gate_on_speech(near, rest):
    near_mask = masks(0.0)
    terms = judge(near_mask, masks(0.0), near + rest, near)
    terms["total"].backward()
    assert np.isfinite([term.item() for term in terms.values()]).all()
    assert torch.isfinite(near_mask.grad).all()
    assert near_mask.grad.sum() < 0  # opening helps


@pytest.mark.parametrize("weights", [PAPER, LossWeights()])
def test_the_masks_gradient_is_that_of_finite_differences(near, rest, weights):
    """Along the gradient: the whole loss, in single precision."""
    generator = torch.Generator().manual_seed(0)
    near_mask, echo_mask = (
        (0.3 + 0.4 * torch.rand(1, FRAMES, BINS, generator=generator)).requires_grad_() for _ in range(2)
    )
    error = near + rest
    judge(near_mask, echo_mask, error, near, weights)["total"].backward()
    steps = [0.02 * mask.grad / mask.grad.norm() for mask in (near_mask, echo_mask)]

    def total(sign):
        moved = (m.detach() + sign * s for m, s in zip((near_mask, echo_mask), steps, strict=True))
        return judge(*moved, error, near, weights)["total"].item()

    expected = sum(
        (mask.grad * s).sum().item() for mask, s in zip((near_mask, echo_mask), steps, strict=True)
    )
    assert total(1) - total(-1) == pytest.approx(2 * expected, rel=0.02)
