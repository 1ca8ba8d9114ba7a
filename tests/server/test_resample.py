import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.resample import alignment, interpolate, make_resampler


def tone(hz: float, rate: int, samples: int, delay: float = 0.0) -> np.ndarray:
    return np.sin(2 * np.pi * hz * (np.arange(samples) - delay) / rate).astype(np.float32)


@pytest.mark.parametrize("rate", [16000, 24000, 48000])
@pytest.mark.parametrize("hz", [200.0, 3100.0, 7000.0])
def test_output_is_late_by_exactly_the_latency(rate: int, hz: float):
    resampler = make_resampler(rate, 1)
    out = resampler.process(tone(hz, rate, rate)[None])[0]
    assert len(out) == 16000
    due = tone(hz, 16000, 16000, delay=resampler.latency)
    np.testing.assert_allclose(out[500:], due[500:], atol=2e-3)


@pytest.mark.parametrize(
    ("rate", "hz"), [(24000, 8600.0), (24000, 11500.0), (48000, 9000.0), (48000, 23000.0)]
)
def test_what_16_khz_cannot_hold_is_removed(rate: int, hz: float):
    out = make_resampler(rate, 1).process(tone(hz, rate, rate)[None])[0]
    assert np.abs(out[500:]).max() < 1e-4


@pytest.mark.parametrize("rate", [24000, 48000])
def test_every_whole_millisecond_is_ready_at_once(rate: int):
    resampler = make_resampler(rate, 2)
    for ms in (10, 1, 20, 3, 100):
        assert resampler.process(np.zeros((2, ms * rate // 1000), np.float32)).shape == (2, 16 * ms)


@given(cuts=st.lists(st.integers(0, 2400), max_size=12), rate=st.sampled_from([24000, 48000]))
@settings(max_examples=30)
def test_output_does_not_depend_on_chunking(cuts: list[int], rate: int):
    audio = np.random.default_rng(5).standard_normal((2, 2400)).astype(np.float32)
    whole = make_resampler(rate, 2).process(audio)
    resampler = make_resampler(rate, 2)
    parts = [resampler.process(chunk) for chunk in np.split(audio, sorted(cuts), axis=1)]
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole, atol=1e-5)


def test_alignment_is_a_whole_number_of_16_khz_samples():
    assert [alignment(rate) for rate in (16000, 24000, 48000)] == [1, 3, 3]


def test_interpolation_reads_between_samples():
    signal = tone(3000, 16000, 800)
    positions = 300.37 + np.arange(320) * 1.0001
    np.testing.assert_allclose(
        interpolate(signal, positions), np.sin(2 * np.pi * 3000 / 16000 * positions), atol=1e-3
    )


def test_interpolation_is_zero_where_there_is_nothing():
    signal = np.ones(100, np.float32)
    out = interpolate(signal, np.array([-50.0, 50.0, 150.0]))
    np.testing.assert_allclose(out, [0, 1, 0], atol=1e-4)
    assert not interpolate(np.zeros(0, np.float32), np.arange(4.0)).any()
