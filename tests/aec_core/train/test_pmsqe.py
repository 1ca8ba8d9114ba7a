from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import torch
from scipy.signal import butter, lfilter, sosfilt
from scipy.stats import spearmanr

from aec_core.train.pmsqe import Pmsqe
from aec_core.types import SAMPLE_RATE
from tests.aec_core.train.corpus import voice

SPEECH = Path(__file__).parents[2] / "data"
LOSS = Pmsqe(torch.device("cpu"))


def loss(estimate, target):
    pair = (torch.from_numpy(np.asarray(x, np.float32))[None] for x in (estimate, target))
    return float(LOSS(*pair))


@pytest.fixture(scope="module", params=["table", "tea"])
def speech(request):
    audio, _ = sf.read(SPEECH / f"{request.param}.flac", dtype="float32")
    return audio


def with_noise(x, snr_db, seed=0):
    noise = np.random.default_rng(seed).standard_normal(len(x))
    return x + noise * np.sqrt(np.mean(x**2) / 10 ** (snr_db / 10))


def test_equal_signals_lose_nothing(speech):
    assert loss(speech, speech) < 1e-3


@pytest.mark.parametrize("gain", [0.1, 0.5, 1.7])
def test_gain_is_forgiven(speech, gain):
    noisy = with_noise(speech, 10)
    assert loss(gain * speech, speech) < 1e-3
    assert loss(gain * noisy, speech) == pytest.approx(loss(noisy, speech), rel=1e-2)
    assert loss(gain * noisy, gain * speech) == pytest.approx(loss(noisy, speech), rel=1e-2)


@pytest.mark.parametrize("taps", [[1, 0.5], [1, -0.5]])
def test_a_constant_gentle_colouration_is_forgiven(speech, taps):
    assert loss(lfilter(taps, [1], speech), speech) < 0.01


def test_more_noise_is_worse_at_every_step(speech):
    losses = [loss(with_noise(speech, snr_db), speech) for snr_db in (40, 30, 20, 10, 0, -10)]
    assert losses == sorted(losses)
    assert losses[-1] > losses[0] + 1


def test_what_is_added_disturbs_more_than_what_is_missing(speech):
    low = sosfilt(butter(6, 2000, fs=SAMPLE_RATE, output="sos"), speech)
    missing, added = loss(low, speech), loss(speech, low)
    assert added > missing > 0.1


def test_the_batch_is_clip_by_clip(speech):
    noisy = [with_noise(speech, snr_db) for snr_db in (0, 20)]
    batch = torch.from_numpy(np.stack(noisy).astype(np.float32))
    together = LOSS(batch, torch.from_numpy(speech).expand(2, -1))
    assert together.tolist() == pytest.approx([loss(x, speech) for x in noisy], rel=1e-4)


def test_gradients_are_finite_and_point_to_the_target(speech):
    target = torch.from_numpy(speech)[None]
    estimate = torch.from_numpy(with_noise(speech, 10).astype(np.float32))[None].requires_grad_()
    before = LOSS(estimate, target)
    before.sum().backward()
    assert torch.isfinite(estimate.grad).all()
    step = 0.02 * estimate.norm() * estimate.grad / estimate.grad.norm()
    assert LOSS(estimate - step, target) < before


@pytest.mark.parametrize(
    "make", [np.zeros_like, lambda x: x, lambda x: 1e-6 * x, lambda x: np.clip(9 * x, -1, 1)]
)
def test_gradients_are_finite_for_awkward_estimates(make):
    target = voice(1, 0)
    estimate = torch.from_numpy(make(target).astype(np.float32))[None].requires_grad_()
    value = LOSS(estimate, torch.from_numpy(target)[None])
    value.sum().backward()
    assert torch.isfinite(value).all()
    assert torch.isfinite(estimate.grad).all()


def test_gradients_are_those_of_finite_differences():
    exact = Pmsqe(torch.device("cpu"))
    vars(exact).update({name: constant.double() for name, constant in vars(exact).items()})
    target = torch.from_numpy(voice(0.1, 0).astype(np.float64))[None]
    noise = 0.05 * torch.randn(target.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    estimate = (target + noise).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda x: exact(x, target), (estimate,), eps=1e-7, rtol=1e-2, fast_mode=True
    )


def test_it_orders_noise_clipping_and_echo_as_pesq_does(speech):
    """Not low-pass filters: wide-band PESQ forgives them, PMSQE does not."""
    pesq = pytest.importorskip("pesq").pesq
    degraded = [
        *(with_noise(speech, snr_db) for snr_db in (40, 30, 20, 10, 0)),
        *(np.clip(speech, -limit, limit) for limit in (0.05, 0.2)),
        *(speech + gain * np.roll(speech, 1600) for gain in (0.1, 0.3)),
        speech + np.roll(speech[::-1], 2000),
    ]
    ours = [loss(x, speech) for x in degraded]
    theirs = [pesq(SAMPLE_RATE, speech, np.asarray(x, np.float32), "wb") for x in degraded]
    assert spearmanr(ours, theirs).statistic < -0.9
