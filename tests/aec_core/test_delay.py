import numpy as np
import pytest

from aec_core.config import DelayConfig
from aec_core.delay import Aligner, DelayEstimator
from aec_core.types import HOP, SAMPLE_RATE
from tests.aec_core.signals import far_end, speech_like, white

ALL = slice(None)


def run(estimator, mic, ref):
    """Feed everything; return the delay after each hop."""
    track = []
    for at in range(0, len(mic) // HOP * HOP, HOP):
        estimator.process(mic[None, at : at + HOP], ref[None, at : at + HOP], ALL)
        track.append(int(estimator.delay[0]))
    return np.array(track)


@pytest.mark.parametrize("delay_ms", [0, 20, 120, 350, 600])
def test_finds_the_delay_within_a_millisecond(delay_ms):
    ref = speech_like(4, seed=delay_ms)
    mic = far_end(ref, delay_ms * 16)
    track = run(DelayEstimator(DelayConfig(), 1), mic, ref)
    assert abs(track[-1] / 16 - delay_ms) <= 1.0


def test_holds_while_the_reference_is_silent():
    ref = speech_like(6)
    ref[3 * SAMPLE_RATE :] = 0
    mic = far_end(ref, 100 * 16) + white((len(ref),), seed=5, level=0.05)
    track = run(DelayEstimator(DelayConfig(), 1), mic, ref)
    assert (track[150:] == track[149]).all()
    assert abs(track[-1] / 16 - 100) <= 1


def test_does_not_lock_on_a_talker_who_is_no_echo():
    track = run(DelayEstimator(DelayConfig(), 1), speech_like(8, seed=1), speech_like(8, seed=2))
    assert (track == -1).mean() > 0.95


def test_looks_away_while_the_microphone_clips():
    ref = white((3 * SAMPLE_RATE,))
    mic = np.clip(100 * far_end(ref, 1600), -1, 1)
    assert run(DelayEstimator(DelayConfig(), 1), 0.9 * mic, ref)[-1] == 1600
    assert (run(DelayEstimator(DelayConfig(), 1), mic, ref) == -1).all()


def test_a_jump_of_the_delay_is_found_within_two_seconds():
    ref = speech_like(8, seed=3)
    mic = np.concatenate([far_end(ref, 1600)[: 4 * SAMPLE_RATE], far_end(ref, 4800)[4 * SAMPLE_RATE :]])
    track = run(DelayEstimator(DelayConfig(), 1), mic, ref)
    assert abs(track[199] - 1600) <= 16
    assert abs(track[299] - 4800) <= 16


@pytest.mark.parametrize(("direct", "follows"), [(0.95, False), (0.0, True)])
def test_a_louder_reflection_is_no_jump_but_an_echo_that_moved_is(direct, follows):
    """After 4 s all that comes 40 ms later is louder than what came first, or all that there is."""
    ref = speech_like(8, seed=3)
    first, later = far_end(ref, 1600), far_end(ref, 2240)
    mic = np.concatenate([first[: 4 * SAMPLE_RATE], (direct * first + later)[4 * SAMPLE_RATE :]])
    track = run(DelayEstimator(DelayConfig(), 1), mic, ref)
    assert abs(track[199] - 1600) <= 16
    assert abs(track[-1] - (2240 if follows else 1600)) <= 16


def test_streams_do_not_mix():
    refs = np.stack([speech_like(3, seed=i) for i in range(3)])
    mics = np.stack([far_end(ref, 500 * (i + 1)) for i, ref in enumerate(refs)])
    many = DelayEstimator(DelayConfig(), 3)
    for at in range(0, refs.shape[1] - HOP, HOP):
        rows = np.array([0, 2]) if at // HOP % 7 == 0 else ALL  # stream 1 skips hops now and then
        many.process(mics[rows, at : at + HOP], refs[rows, at : at + HOP], rows)
    one = run(DelayEstimator(DelayConfig(), 1), mics[2], refs[2])
    assert many.delay[2] == one[-1]
    assert abs(many.delay[0] - 500) <= 16


def test_reset_unlocks_one_stream():
    estimator = DelayEstimator(DelayConfig(), 1)
    ref = speech_like(3)
    assert run(estimator, far_end(ref, 800), ref)[-1] >= 0
    estimator.reset(0)
    assert estimator.delay[0] == -1


def test_the_aligner_returns_the_reference_that_is_heard_now():
    ref = speech_like(4, seed=9)
    delay = 2000
    mic = far_end(ref, delay)
    config = DelayConfig()
    aligner = Aligner(config, 1, memory=0)
    for at in range(0, len(ref) // HOP * HOP, HOP):
        aligned, _ = aligner.process(mic[None, at : at + HOP], ref[None, at : at + HOP], ALL)
    lag = round(delay - config.headroom_ms * 16)
    shifts = range(lag - 32, lag + 33)
    match = [at - s for s in shifts if np.array_equal(aligned[0], ref[at - s : at - s + HOP])]
    assert len(match) == 1  # early by the headroom, within the estimate's tolerance


def test_a_lead_advances_the_aligned_reference_by_as_much():
    """Training data hear the reference early by what the paper draws, each clip by its own."""
    ref, lead = speech_like(4, seed=1), np.array([0, 160])
    mic = far_end(ref, 3200)
    aligner = Aligner(DelayConfig(), 2, HOP, lead)
    both = [np.stack([x, x]) for x in (mic, ref)]
    for at in range(0, len(mic) // HOP * HOP, HOP):
        aligned, _ = aligner.process(*(x[:, at : at + HOP] for x in both), ALL)
    last = (len(mic) // HOP - 1) * HOP
    start = last - (3200 - 8 * 16)
    assert abs(aligner.delay - 3200).max() <= 16
    errors = [abs(aligned[0] - ref[at : at + HOP]).max() for at in range(start - 16, start + 17)]
    assert min(errors) == 0
    offset = int(np.argmin(errors)) - 16
    np.testing.assert_array_equal(aligned[1], ref[start + offset + 160 :][:HOP])
