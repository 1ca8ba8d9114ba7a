import numpy as np

from aec_core.stft import N_FFT, WINDOW, Analysis, Synthesis
from aec_core.types import HOP
from tests.aec_core.signals import white

ALL = slice(None)


def roundtrip(x, streams=1):
    analysis, synthesis = Analysis(streams, 1), Synthesis(streams, 1)
    hops = [x[..., at : at + HOP] for at in range(0, x.shape[-1], HOP)]
    return np.concatenate([synthesis.process(analysis.process(hop, ALL), ALL) for hop in hops], axis=-1)


def test_synthesis_inverts_analysis_one_hop_late():
    x = white((2, 1, 20 * HOP))
    out = roundtrip(x, streams=2)
    np.testing.assert_allclose(out[..., HOP:], x[..., :-HOP], atol=1e-6)
    assert Synthesis.latency == HOP


def test_analysis_is_the_windowed_transform_of_the_last_two_hops():
    x = white((1, 1, 4 * HOP))
    analysis = Analysis(1, 1)
    spectra = [analysis.process(x[..., at : at + HOP], ALL) for at in range(0, x.shape[-1], HOP)]
    expected = np.fft.rfft(x[0, 0, HOP : HOP + N_FFT] * WINDOW)
    np.testing.assert_allclose(spectra[2][0, 0], expected, atol=1e-4)
    assert spectra[0].dtype == np.complex64


def test_pure_tone_lands_in_its_bin():
    tone = np.sin(2 * np.pi * 1000 * np.arange(4 * HOP) / 16000).astype(np.float32)[None, None]
    analysis = Analysis(1, 1)
    for at in range(0, 4 * HOP, HOP):
        spectrum = analysis.process(tone[..., at : at + HOP], ALL)
    assert np.abs(spectrum[0, 0]).argmax() == 1000 * N_FFT // 16000


def test_reset_forgets_one_stream_only():
    analysis = Analysis(2, 1)
    x = white((2, 1, HOP))
    analysis.process(x, ALL)
    analysis.reset(0)
    out = analysis.process(x, ALL)
    fresh = Analysis(2, 1).process(x, ALL)
    np.testing.assert_array_equal(out[0], fresh[0])
    assert np.abs(out[1] - fresh[1]).max() > 1e-3
