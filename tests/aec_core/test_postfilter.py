import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from aec_core.postfilter import wiener_gains

MASKS = arrays(np.float32, (2, 5), elements=st.floats(0, 1, width=32))


def betas(*values):
    return np.tile(np.array(values, np.float32), (2, 1))


@given(near=MASKS, echo=MASKS)
def test_gains_are_finite_and_fall_with_beta(near, echo):
    gains = wiener_gains(near, echo, betas(0.0, 0.2, 0.6))
    assert gains.shape == (2, 3, 5)
    assert np.isfinite(gains).all()
    assert (gains[:, 0] == 1).all()
    assert (gains[:, 1] <= gains[:, 0] + 1e-6).all()
    assert (gains[:, 2] <= gains[:, 1] + 1e-6).all()


def test_equations_4_and_5():
    near, echo = np.full((1, 1), 0.6, np.float32), np.full((1, 1), 0.2, np.float32)
    wiener = (0.6 / 0.8) ** 2
    gains = wiener_gains(near, echo, np.array([[0.5, 0.2]], np.float32))
    np.testing.assert_allclose(gains[0, :, 0], [wiener**0.5, wiener**0.2], rtol=1e-4)


def test_a_closed_near_mask_does_not_reach_zero():
    gains = wiener_gains(
        np.zeros((1, 1), np.float32), np.ones((1, 1), np.float32), np.array([[0.6]], np.float32)
    )
    np.testing.assert_allclose(20 * np.log10(gains), -120, atol=0.5)
