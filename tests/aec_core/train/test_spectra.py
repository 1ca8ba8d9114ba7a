import numpy as np
import torch

from aec_core.stft import BINS, Analysis
from aec_core.train.spectra import analyse, power, resynthesise, synthesise
from aec_core.types import HOP
from tests.aec_core.signals import white

ALL = slice(None)


def test_analysis_is_that_of_serving():
    x = white((3, 12 * HOP))
    serving = Analysis(3, channels=1)
    hops = [serving.process(x[:, None, at : at + HOP], ALL)[:, 0] for at in range(0, x.shape[1], HOP)]
    np.testing.assert_allclose(analyse(torch.from_numpy(x)).numpy(), np.stack(hops, axis=1), atol=1e-5)


def test_synthesis_inverts_analysis_without_latency():
    x = torch.from_numpy(white((2, 12 * HOP)))
    back = synthesise(analyse(x))
    assert back.shape == x.shape
    torch.testing.assert_close(back[:, :-HOP], x[:, :-HOP], atol=1e-6, rtol=0)


def test_gradients_pass_both_ways():
    x = torch.randn(1, 4 * HOP, dtype=torch.float64, requires_grad=True)
    synthesise(2 * analyse(x))[:, : 3 * HOP].sum().backward()
    expected = torch.cat([torch.full((1, 3 * HOP), 2.0, dtype=torch.float64), x.grad[:, 3 * HOP :]], dim=1)
    torch.testing.assert_close(x.grad, expected, atol=1e-5, rtol=0)


def test_a_mask_is_applied_and_its_gradient_is_that_of_finite_differences():
    generator = torch.Generator().manual_seed(0)
    mask = torch.rand(2, 3, BINS, dtype=torch.float64, generator=generator)
    spectra = torch.randn(2, 3, BINS, dtype=torch.complex128, generator=generator)
    torch.testing.assert_close(resynthesise(mask, spectra), synthesise(mask * spectra))
    assert torch.autograd.gradcheck(
        lambda m: resynthesise(m, spectra), (mask.requires_grad_(),), fast_mode=True
    )


def test_power_is_that_of_windowed_frames_and_so_is_its_gradient():
    window = torch.from_numpy(np.hanning(16))
    audio = torch.from_numpy(white((2, 45)).astype(np.float64))  # the last five are in no frame
    frames = np.stack([audio.numpy()[:, at : at + 16] for at in range(0, 33, 8)][:4], axis=1)
    expected = np.abs(np.fft.rfft(frames * np.hanning(16))) ** 2
    np.testing.assert_allclose(power(audio, window).numpy(), expected)
    assert torch.autograd.gradcheck(lambda x: power(x, window), (audio.requires_grad_(),))
