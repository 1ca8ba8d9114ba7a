import numpy as np
import pytest

from aec_core.metrics import erle_curve_db, erle_db, near_kept_db, power_db, recovery_s, sdr_db
from tests.aec_core.signals import speech_like, white


def test_power_of_known_signals():
    assert power_db(np.ones(100)) == pytest.approx(0, abs=1e-6)
    assert power_db(np.zeros(100)) == pytest.approx(-120)


def test_erle_of_a_tenth_is_twenty_db():
    mic = white((16000,))
    assert erle_db(mic, 0.1 * mic) == pytest.approx(20, abs=1e-3)


@pytest.mark.parametrize("snr_db", [0, 10, 30])
def test_sdr_is_the_snr_for_independent_noise(snr_db):
    near = speech_like(4)
    noise = white(near.shape, seed=1)
    noise *= np.sqrt(np.mean(near**2) / np.mean(noise**2)) * 10 ** (-snr_db / 20)
    assert sdr_db(near, near + noise) == pytest.approx(snr_db, abs=0.6)


def test_sdr_forgives_a_filter_of_less_than_256_taps():
    near = speech_like(4)
    coloured = np.convolve(near, [0.5, 0, 0.3, -0.2])[: len(near)]
    delayed = np.concatenate([np.zeros(100, np.float32), coloured])[: len(near)]
    assert sdr_db(near, delayed) > 30
    assert sdr_db(near, np.concatenate([np.zeros(400, np.float32), coloured])[: len(near)]) < 15


def test_near_kept_sees_the_level_and_ignores_what_is_independent():
    near = speech_like(4)
    assert near_kept_db(near, 0.5 * near + white(near.shape, seed=2)) == pytest.approx(-6, abs=0.5)


def test_near_kept_forgives_turned_phases():
    near = speech_like(4)
    turned = np.convolve(near, [0.6, 0, 0, 0, 0, 0, 0.8])[: len(near)]
    assert near_kept_db(near, turned) == pytest.approx(power_db(turned) - power_db(near), abs=0.01)


def test_erle_curve_has_no_value_in_pauses():
    mic = np.concatenate([white((16000,)), 1e-3 * white((16000,))])
    curve = erle_curve_db(mic, 0.1 * mic)
    assert len(curve) == (32000 - 4000) // 320 + 1
    np.testing.assert_allclose(curve[:37], 20, atol=1e-6)
    assert np.isnan(curve[50:]).all()


def test_recovery_is_counted_from_the_change():
    mic, at = white((8 * 16000,)), 3 * 16000
    gain = np.full(len(mic), 0.01, np.float32)
    gain[at : at + 8000] = 1.0  # half a second of full echo
    assert recovery_s(mic, gain * mic, at) == pytest.approx(0.75, abs=0.02)
    assert recovery_s(mic, 0.01 * mic, at) == pytest.approx(0.25)
    assert recovery_s(mic, mic, at) == pytest.approx(5)
