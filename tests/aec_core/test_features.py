import numpy as np

from aec_core.features import FEATURES, MEL_MATRIX, MELS, log_mel
from aec_core.stft import BINS


def test_every_mel_hears_something_and_centres_rise():
    assert MEL_MATRIX.shape == (BINS, MELS)
    assert (MEL_MATRIX.sum(axis=0) > 0).all()
    centres = (MEL_MATRIX * np.arange(BINS)[:, None]).sum(axis=0) / MEL_MATRIX.sum(axis=0)
    assert (np.diff(centres) >= 0).all()


def test_order_shape_and_type():
    spectra = np.zeros((2, 5, 3, BINS), np.complex64)
    spectra[..., 1, :] = 10
    features = log_mel(spectra)
    assert features.shape == (2, 5, FEATURES)
    assert features.dtype == np.float32
    assert (features[..., MELS : 2 * MELS] > 0).all()
    np.testing.assert_allclose(features[..., :MELS], np.log(1e-8), rtol=1e-5)


def test_ten_times_the_level_adds_a_constant():
    rng = np.random.default_rng(0)
    spectra = (rng.standard_normal((1, 3, BINS)) + 1j).astype(np.complex64)
    np.testing.assert_allclose(log_mel(10 * spectra) - log_mel(spectra), np.log(100), atol=1e-3)
