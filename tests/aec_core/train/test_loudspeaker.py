import numpy as np
import pytest

from aec_core.train.loudspeaker import random_loudspeaker
from aec_core.types import SAMPLE_RATE
from tests.aec_core.train.corpus import voice

HZ = 600
SECOND = np.arange(SAMPLE_RATE) / SAMPLE_RATE


def tone(level=0.5):
    return level * np.sin(2 * np.pi * HZ * SECOND)


def play_tone(seed):
    """Power spectrum of the tone behind a loudspeaker, after the onset, in bins of 2 Hz."""
    y = random_loudspeaker(tone(), np.random.default_rng(seed))[SAMPLE_RATE // 2 :]
    return np.abs(np.fft.rfft(y * np.hanning(len(y)))) ** 2


def share(power, multiples):
    """Share of the power that is at multiples of the tone."""
    return sum(power[k * HZ // 2 - 4 : k * HZ // 2 + 5].sum() for k in multiples) / power.sum()


def test_most_loudspeakers_add_harmonics_and_some_none():
    spectra = [play_tone(seed) for seed in range(40)]
    added = np.array([share(power, range(2, 13)) for power in spectra])
    assert np.mean(added > 1e-3) > 0.6
    assert (added < 1e-4).any()
    assert min(share(power, range(1, 13)) for power in spectra) > 0.98


def test_there_is_no_bass_from_a_phone():
    rng = np.random.default_rng(0)
    noise = 0.1 * rng.standard_normal(2 * SAMPLE_RATE)
    for seed in range(10):
        power = np.abs(np.fft.rfft(random_loudspeaker(noise, np.random.default_rng(seed)))) ** 2
        assert power[40:160].mean() < 0.1 * power[1600:8000].mean()  # 20-80 Hz, 0.8-4 kHz


@pytest.mark.parametrize("ref", [np.zeros(1000), 1e-4 * tone(), np.ones(7), voice(1, 0)])
def test_any_input_gives_finite_sound_of_its_length(ref):
    for seed in range(8):
        y = random_loudspeaker(ref, np.random.default_rng(seed))
        assert y.shape == ref.shape
        assert y.dtype == np.float32
        assert np.isfinite(y).all()
        assert np.abs(y).max() <= 30 * np.abs(ref).max() + 1e-6


def test_a_loudspeaker_follows_its_seed():
    first, again = (random_loudspeaker(tone(), np.random.default_rng(4)) for _ in range(2))
    np.testing.assert_array_equal(first, again)
