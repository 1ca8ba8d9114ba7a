import numpy as np
import pytest
import torch
from scipy.signal import convolve2d

from aec_core.features import MEL_MATRIX
from aec_core.stft import BINS
from aec_core.train.modulation import RATES, SCALES, SUPPORT, Modulation, gabor
from aec_core.train.spectra import analyse
from aec_core.types import HOP
from tests.aec_core.train.corpus import voice

FRAMES = 50
LOSS = Modulation(torch.device("cpu"))


def spectrum(seed, level=0.3):
    audio = torch.from_numpy(level * voice(FRAMES * HOP / 16000, seed))[None]
    return analyse(audio).abs().square()


def plain(estimate, target, weight=None):
    ones = torch.ones(estimate.shape[:2]) if weight is None else weight
    return LOSS(estimate, target, ones)


def bank():
    """The kernels one by one, complex, written by their definition."""
    at = np.arange(SUPPORT) - SUPPORT // 2
    window = np.cos(np.pi * at / (SUPPORT + 1)) ** 2
    for rate in RATES:
        for scale in (*SCALES, *(-s for s in SCALES)):
            kernel = np.outer(
                window * np.exp(1j * rate * at), window * np.exp(1j * scale * at)
            )  # (frames, channels)
            yield kernel / np.sqrt(np.sum(np.abs(kernel) ** 2))


def direct(estimate, target, weight):
    """The loss of one clip by two-dimensional convolution with every kernel."""

    def log_mel(power):
        mels = np.log(power.astype(np.float64) @ MEL_MATRIX + 1e-5)
        return mels - mels.mean(axis=0)

    e, c = log_mel(estimate), log_mel(target)
    error = energy = 0.0
    for kernel in bank():
        ours, wanted = (convolve2d(x, kernel, mode="same") for x in (e, c))
        error += np.sum(weight[:, None] * np.abs(ours - wanted) ** 2)
        energy += np.sum(np.abs(wanted) ** 2)
    return error / energy


def test_it_is_the_bank_of_kernels_applied_one_by_one():
    rng = np.random.default_rng(0)
    estimates, targets = torch.cat([spectrum(1), spectrum(2)]), torch.cat([spectrum(3), spectrum(4)])
    weights = torch.from_numpy(rng.uniform(1, 300, (2, FRAMES)).astype(np.float32))
    got = LOSS(estimates, targets, weights)
    expected = [direct(*(x[i].numpy() for x in (estimates, targets, weights.double()))) for i in range(2)]
    np.testing.assert_allclose(got.numpy(), expected, rtol=1e-3)


def test_there_are_about_thirty_kernels_of_unit_energy():
    assert len(list(bank())) == 30
    assert np.sum(np.abs(gabor(RATES[0])) ** 2) == pytest.approx(1)


def test_equal_spectra_lose_nothing_and_gain_is_forgiven():
    speech = 10 * spectrum(1)  # well above the floor
    assert plain(speech, speech).item() == 0
    louder = plain(4 * speech + 3e-5, speech)
    assert louder.item() < 0.01


def test_noise_flattens_the_modulation():
    speech = spectrum(1)
    losses = [plain(speech + level * torch.ones(BINS), speech).item() for level in (1e-4, 1e-2, 1.0)]
    assert 0 < losses[0] < losses[1] < losses[2] < 1.01


def test_a_frame_counts_as_often_as_its_weight_says():
    speech = spectrum(1)
    broken = speech.clone()
    broken[:, 20] *= 100
    near, far = torch.ones(1, FRAMES), torch.ones(1, FRAMES)
    near[:, 20 - SUPPORT // 2 : 21 + SUPPORT // 2] = 3  # whoever hears frame 20
    far[:, 45:] = 3
    assert plain(broken, speech, near).item() == pytest.approx(3 * plain(broken, speech).item(), rel=0.05)
    assert plain(broken, speech, far).item() == pytest.approx(plain(broken, speech).item(), rel=0.05)


def test_gradients_are_those_of_finite_differences():
    exact = Modulation(torch.device("cpu"))
    vars(exact).update({name: constant.double() for name, constant in vars(exact).items()})
    generator = torch.Generator().manual_seed(0)
    estimate, target, weight = (
        torch.rand(2, 12, *bins, dtype=torch.float64, generator=generator) for bins in ((BINS,), (BINS,), ())
    )
    assert torch.autograd.gradcheck(
        lambda x: exact(x, target, weight), (estimate.requires_grad_(),), fast_mode=True
    )


def test_gradients_are_finite_on_silence():
    silent = torch.zeros(1, FRAMES, BINS, requires_grad=True)
    value = plain(silent, spectrum(1))
    value.sum().backward()
    assert torch.isfinite(value).all()
    assert torch.isfinite(silent.grad).all()
