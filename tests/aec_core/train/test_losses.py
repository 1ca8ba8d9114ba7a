import numpy as np
import pytest
import torch

from aec_core.train.losses import compress, compressed_distance, thresholded_snr_db
from aec_core.train.spectra import analyse
from aec_core.types import HOP
from tests.aec_core.train.corpus import voice

FRAMES = 40


def audio(seed, level=1.0):
    return torch.from_numpy(level * voice(FRAMES * HOP / 16000, seed))[None]


def power(signal):
    return analyse(signal).abs().square()


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


def test_compression_is_a_power_of_the_magnitude():
    size = torch.tensor([0.0, 1e-3, 0.5, 1.0, 30.0])
    expected = (size.numpy().astype(np.float64) ** 2 + 1e-8) ** 0.15
    np.testing.assert_allclose(compress(size.square()).numpy(), expected, rtol=1e-5)


def test_the_distance_is_zero_for_equals_and_grows(near, rest):
    c, y = power(near), power(near + rest)
    assert compressed_distance(c, compress(c)).item() == 0
    values = [compressed_distance(c + gain * (y - c), compress(c)).item() for gain in (0.01, 0.1, 0.5, 1)]
    assert values == sorted(values)
    assert 0 < values[0] < values[-1]


def test_the_distance_is_the_formula_written_plainly(near, rest):
    e, c = power(0.4 * near + rest), compress(power(near))
    ours = compressed_distance(e, c, muting=3.0).item()
    ee, cc = (e.numpy().astype(np.float64) + 1e-8) ** 0.15, c.numpy()
    assert ours == pytest.approx(np.sum(np.where(ee < cc, 3.0, 1.0) * (ee - cc) ** 2), rel=1e-5)


def test_magnitudes_that_are_too_small_count_more(near):
    speech = power(near) + 1e-3
    c = compress(speech)
    small, large = (
        compressed_distance(gain ** (1 / 0.15) * speech, c, muting=2.0).item() for gain in (0.8, 1.2)
    )
    assert small == pytest.approx(2 * large, rel=1e-3)


def test_gradients_are_those_of_finite_differences():
    generator = torch.Generator().manual_seed(0)

    def draw(shape=(2, 3, 20)):
        return torch.rand(*shape, dtype=torch.float64, generator=generator)

    estimate, target, mixture = draw(), draw(), draw()
    for loss in (
        lambda x: thresholded_snr_db(x, target, mixture),
        lambda x: compressed_distance(x, target, 2.0),
    ):
        assert torch.autograd.gradcheck(loss, (estimate.requires_grad_(),))


def test_a_closed_gate_still_has_a_gradient():
    closed = torch.zeros(1, 2, 3, requires_grad=True)
    compressed_distance(closed, torch.ones(1, 2, 3)).sum().backward()
    assert torch.isfinite(closed.grad).all()
    assert (closed.grad < 0).all()
