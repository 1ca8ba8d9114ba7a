import numpy as np
import pytest
import torch

from aec_core.stft import BINS
from aec_core.train.losses import Criterion, LossWeights, compressed_magnitude, thresholded_snr_db
from aec_core.train.spectra import analyse
from aec_core.types import HOP
from tests.aec_core.train.corpus import voice

FRAMES = 40
TERMS = {"snr", "magnitude", "pmsqe", "snr_echo", "magnitude_echo", "total"}
CRITERION = Criterion(LossWeights(), torch.device("cpu"))


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


def test_snr_is_the_ratio_in_db_between_its_bounds(near, rest):
    mixture = near + rest
    scaled = near + rest * (near.norm() / rest.norm()) * 10 ** (-12 / 20)
    assert thresholded_snr_db(scaled, near, mixture).item() == pytest.approx(-12, abs=0.2)
    assert thresholded_snr_db(near, near, mixture).item() == pytest.approx(-30, abs=0.01)
    assert thresholded_snr_db(torch.zeros_like(near), near, mixture).item() == pytest.approx(0, abs=0.05)


def test_a_silent_target_rewards_silence(rest):
    silent = torch.zeros_like(rest)
    levels = [thresholded_snr_db(gain * rest, silent, rest).item() for gain in (0, 1e-3, 1e-2, 0.1, 1)]
    assert levels == sorted(levels)
    assert levels[0] == pytest.approx(-30, abs=0.01)
    assert levels[-1] == pytest.approx(30, abs=0.01)


def test_digital_silence_everywhere_is_perfect():
    silent = torch.zeros(1, FRAMES * HOP, requires_grad=True)
    value = thresholded_snr_db(silent, silent.detach(), silent.detach())
    value.sum().backward()
    assert value.item() == pytest.approx(-30, abs=0.01)
    assert torch.isfinite(silent.grad).all()


def test_snr_is_of_each_clip(near, rest):
    estimates, targets, mixtures = (
        torch.cat([near, rest]),
        torch.cat([near, near]),
        torch.cat([near + rest] * 2),
    )
    one_by_one = [
        thresholded_snr_db(*(x[i : i + 1] for x in (estimates, targets, mixtures))).item() for i in range(2)
    ]
    assert thresholded_snr_db(estimates, targets, mixtures).tolist() == pytest.approx(one_by_one)


def test_compressed_magnitude_is_zero_for_equals_and_blind_to_phase(near, rest):
    c, y = analyse(near), analyse(near + rest)
    assert compressed_magnitude(c, c, y).item() == 0
    assert compressed_magnitude(1j * c, c, y).item() == pytest.approx(0, abs=1e-5)
    values = [compressed_magnitude(c + gain * (y - c), c, y).item() for gain in (0.01, 0.1, 0.5, 1)]
    assert values == sorted(values)
    assert 0 < values[0] < values[-1]


def test_gradients_are_those_of_finite_differences():
    generator = torch.Generator().manual_seed(0)

    def draw(dtype):
        return torch.randn(2, 3, 20, dtype=dtype, generator=generator)

    estimate, target, mixture = (draw(torch.float64) for _ in range(3))
    assert torch.autograd.gradcheck(
        lambda x: thresholded_snr_db(x, target, mixture), (estimate.requires_grad_(),)
    )
    estimate, target, mixture = (draw(torch.complex128) for _ in range(3))
    assert torch.autograd.gradcheck(
        lambda x: compressed_magnitude(x, target, mixture), (estimate.requires_grad_(),)
    )


def test_the_total_is_the_weighted_sum(near, rest):
    weights = LossWeights(snr=2, pmsqe=3, magnitude=5, echo_mask=0.5)
    terms = Criterion(weights, torch.device("cpu"))(masks(0.6), masks(0.4), near + rest, near)
    assert terms.keys() == TERMS
    expected = 2 * terms["snr"] + 5 * terms["magnitude"] + 3 * terms["pmsqe"]
    expected = expected + 0.5 * (2 * terms["snr_echo"] + 5 * terms["magnitude_echo"])
    torch.testing.assert_close(terms["total"], expected)


def test_better_masks_lose_less(near, rest):
    error = near + rest
    size = analyse(near).abs() / (analyse(near).abs() + analyse(rest).abs() + 1e-6)
    good = CRITERION(size, 1 - size, error, near)
    passing, swapped = CRITERION(masks(1.0), masks(1.0), error, near), CRITERION(1 - size, size, error, near)
    for name in TERMS:
        # A mask of one is never too small, which is what the magnitudes of the near end weigh most.
        assert name == "magnitude" or good[name] < passing[name], name
        assert good[name] < swapped[name], name


def test_magnitudes_that_are_too_small_count_more(near):
    spectrum = analyse(near)
    small, large = (
        compressed_magnitude(gain * spectrum, spectrum, spectrum, muting=2.0).item() for gain in (0.5, 2.0)
    )
    even = compressed_magnitude(0.5 * spectrum, spectrum, spectrum).item()
    assert small == pytest.approx(2 * even, rel=0.02)
    assert small > large


def test_without_a_near_end_the_gate_should_close(rest):
    silent = torch.zeros_like(rest)
    closed, half, opened = (CRITERION(masks(m), masks(1.0), rest, silent) for m in (0.0, 0.5, 1.0))
    assert closed["total"] < half["total"] < opened["total"]
    assert closed["pmsqe"] == 0


def test_silent_near_ends_count_less_and_have_no_pmsqe(near, rest):
    silent = torch.zeros_like(rest)
    alone = CRITERION(masks(0.5), masks(0.5), near + rest, near)
    without = CRITERION(masks(0.5), masks(0.5), rest, silent)
    error, target = torch.cat([near + rest, rest]), torch.cat([near, silent])
    both = CRITERION(masks(0.5, 2), masks(0.5, 2), error, target)
    for name in TERMS:
        assert both[name].item() == pytest.approx(
            (alone[name] + without[name]).item() / 2, rel=1e-4, abs=1e-5
        )
    full = Criterion(LossWeights(no_near=1.0), torch.device("cpu"))
    assert without["snr"].item() == pytest.approx(
        LossWeights().no_near * full(masks(0.5), masks(0.5), rest, silent)["snr"].item(), rel=1e-5
    )


@pytest.mark.parametrize("level", [0.0, 1e-6, 1.0])
@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_everything_is_finite_when_no_item_has_a_near_end(level, value):
    error = level * torch.cat([audio(3), audio(4)])
    near_mask, echo_mask = masks(value, 2), masks(value, 2)
    terms = CRITERION(near_mask, echo_mask, error, torch.zeros_like(error))
    terms["total"].backward()
    assert all(torch.isfinite(term) for term in terms.values())
    for mask in (near_mask, echo_mask):
        assert torch.isfinite(mask.grad).all()


def test_everything_is_finite_for_a_closed_gate_on_speech(near, rest):
    near_mask = masks(0.0)
    terms = CRITERION(near_mask, masks(0.0), near + rest, near)
    terms["total"].backward()
    assert np.isfinite([term.item() for term in terms.values()]).all()
    assert torch.isfinite(near_mask.grad).all()
    assert near_mask.grad.sum() < 0  # opening helps
