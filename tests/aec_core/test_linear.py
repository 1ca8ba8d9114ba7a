"""The contract that both linear stages keep, and what each is good at."""

import numpy as np
import pytest
import soxr

from aec_core.config import AecConfig, KalmanConfig
from aec_core.kalman import KalmanFilter
from aec_core.linear import linear_filter
from aec_core.types import HOP, SAMPLE_RATE
from tests.aec_core.signals import far_end, reduction_db, speech_like, white

ALL = slice(None)
NAMES = ["kalman", "wrls"]


def run(linear, mic, ref):
    hops = [slice(at, at + HOP) for at in range(0, mic.shape[-1] // HOP * HOP, HOP)]
    out = [linear.process(mic[:, hop], ref[:, hop], ALL) for hop in hops]
    error, echo = (np.concatenate(part, axis=-1) for part in zip(*out, strict=True))
    return error, echo


@pytest.mark.parametrize("name", NAMES)
def test_error_and_echo_add_up_to_the_delayed_microphone(name):
    linear = linear_filter(AecConfig(linear=name), 2)
    ref, mic = white((2, 50 * HOP), 1), white((2, 50 * HOP), 2)
    error, echo = run(linear, mic, ref)
    lag = linear.latency
    np.testing.assert_allclose((error + echo)[:, lag:], mic[:, : mic.shape[1] - lag], atol=1e-5)
    assert error.dtype == echo.dtype == np.float32


@pytest.mark.parametrize(("name", "least_db"), [("kalman", 30), ("wrls", 20)])
def test_cancels_a_known_linear_path(name, least_db):
    ref = speech_like(6)
    mic = far_end(ref, 100)
    error, _ = run(linear_filter(AecConfig(linear=name), 1), mic[None], ref[None])
    assert reduction_db(mic[4 * SAMPLE_RATE :], error[0, 4 * SAMPLE_RATE :]) > least_db


@pytest.mark.parametrize("name", NAMES)
def test_a_talker_without_echo_passes(name):
    near, silent = speech_like(4), np.zeros(4 * SAMPLE_RATE, np.float32)
    linear = linear_filter(AecConfig(linear=name), 1)
    error, _ = run(linear, near[None], silent[None])
    lag = linear.latency
    np.testing.assert_allclose(error[0, lag + HOP :], near[HOP : len(near) - lag], atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_batched_is_one_by_one(name):
    refs = np.stack([speech_like(2, seed=i) for i in range(3)])
    mics = np.stack([far_end(ref, 100 * i, seed=i) for i, ref in enumerate(refs)])
    together, _ = run(linear_filter(AecConfig(linear=name), 3), mics, refs)
    for i in range(3):
        alone, _ = run(linear_filter(AecConfig(linear=name), 1), mics[i : i + 1], refs[i : i + 1])
        np.testing.assert_allclose(together[i], alone[0], atol=2e-4)


def test_kalman_recovers_from_a_path_change_within_two_seconds():
    ref = speech_like(8)
    half = 4 * SAMPLE_RATE
    mic = np.concatenate([far_end(ref, 100, seed=1)[:half], far_end(ref, 100, seed=2)[half:]])
    error, _ = run(linear_filter(AecConfig(), 1), mic[None], ref[None])
    assert reduction_db(mic[half + 2 * SAMPLE_RATE :], error[0, half + 2 * SAMPLE_RATE :]) > 20


def test_kalman_keeps_its_path_when_the_reference_is_moved():
    """A drift of the clock moves the reference; the learnt path moves with it and nothing is lost."""
    ref = speech_like(6)
    mic = far_end(ref, 320)
    linear, move, at = linear_filter(AecConfig(), 1), 160, 3 * SAMPLE_RATE
    run(linear, mic[None, :at], ref[None, :at])
    moved = np.concatenate([np.zeros(move, np.float32), ref])  # from now on the ref comes later
    past = moved[None, at - linear.ref_memory : at]
    linear.realign(np.array([0]), past, np.array([-move], np.float32))
    error, _ = run(linear, mic[None, at : at + SAMPLE_RATE], moved[None, at : at + SAMPLE_RATE])
    assert reduction_db(mic[at : at + SAMPLE_RATE], error[0]) > 20


def test_kalman_follows_the_drift_of_a_clock():
    """A loudspeaker 80 ppm slow against the microphone: a filter that only adapts lags behind."""
    ref = speech_like(12)
    slow = soxr.resample(ref, SAMPLE_RATE, SAMPLE_RATE * (1 + 80e-6)).astype(np.float32)
    mic = far_end(np.pad(slow, (0, 64))[: len(ref)], 160)
    tail = slice(-4 * SAMPLE_RATE, None)
    reached = {}
    for gain in (0.0, KalmanConfig().drift_gain):
        error, _ = run(KalmanFilter(KalmanConfig(drift_gain=gain), 1), mic[None], ref[None])
        reached[gain] = reduction_db(mic[tail], error[0, tail])
    least, most = reached.values()
    assert most > 25
    assert most > least + 5


def test_kalman_learns_an_echo_far_below_its_reference_within_a_second():
    """The prior comes from the levels: with a fixed one the first second adds more than it takes."""
    ref = speech_like(3)
    mic = 0.01 * far_end(ref, 100) + 1e-4 * white(len(ref), 3)
    error, _ = run(linear_filter(AecConfig(), 1), mic[None], ref[None])
    assert reduction_db(mic[:SAMPLE_RATE], error[0, :SAMPLE_RATE]) > 3
    assert reduction_db(mic[SAMPLE_RATE:], error[0, SAMPLE_RATE:]) > 15


def test_kalman_learns_an_echo_that_appears_after_minutes():
    """A muted loudspeaker for two minutes: without a least doubt the variance would be gone."""
    ref = np.tile(speech_like(10), 13)
    mic = far_end(ref, 100)
    mic[: -10 * SAMPLE_RATE] = 1e-4 * white(len(ref) - 10 * SAMPLE_RATE, 4)
    error, _ = run(linear_filter(AecConfig(), 1), mic[None], ref[None])
    tail = slice(-6 * SAMPLE_RATE, None)
    assert reduction_db(mic[tail], error[0, tail]) > 15


def test_kalman_leaves_a_talker_alone_whose_reference_is_not_heard():
    """Headphones: the filter must not explain the talker by what plays."""
    near, ref = speech_like(6, seed=5), speech_like(6, seed=6)
    error, _ = run(linear_filter(AecConfig(), 1), near[None], ref[None])
    assert reduction_db(near, error[0] - near) > 18  # 12-14 without trust in what was predicted


def test_kalman_takes_all_of_an_echo_that_it_predicts():
    """What is distrusted with headphones is trusted with a loudspeaker, a talker over it or not."""
    ref, near = speech_like(6, seed=7), speech_like(6, seed=8)
    near[: 3 * SAMPLE_RATE] = 0
    mic = far_end(ref, 100) + near
    error, _ = run(linear_filter(AecConfig(), 1), mic[None], ref[None])
    late = slice(3 * SAMPLE_RATE, None)
    assert reduction_db((mic - near)[late], (error[0] - near)[late]) > 12


@pytest.mark.parametrize("name", NAMES)
def test_reset_is_a_new_filter(name):
    ref, mic = speech_like(2)[None], far_end(speech_like(2), 100)[None]
    linear = linear_filter(AecConfig(linear=name), 1)
    first, _ = run(linear, mic, ref)
    linear.reset(0)
    second, _ = run(linear, mic, ref)
    np.testing.assert_array_equal(first, second)
