"""Ten minutes of what breaks adaptive filters: silence, bursts, a clock that drifts."""

import numpy as np
import pytest
import soxr

from aec_core import HOP, SAMPLE_RATE, AecConfig, HopCanceller
from aec_core.dfsmn import random_weights
from aec_core.linear import linear_filter
from tests.aec_core.signals import far_end, reduction_db, speech_like

MINUTES = 10
N = MINUTES * 60 * SAMPLE_RATE
ALL = slice(None)


def scenes():
    """`(mic, ref)`, each (3, n): silence after 10 s, rare bursts, and 50 ppm of drift."""
    ref = np.tile(speech_like(60, seed=1), MINUTES)
    silent, bursty = ref.copy(), ref.copy()
    silent[10 * SAMPLE_RATE : -20 * SAMPLE_RATE] = 0
    bursty[(np.arange(N) // SAMPLE_RATE) % 7 > 0] = 0
    mics = [far_end(silent, 400), far_end(bursty, 400)]
    drift = soxr.resample(ref, SAMPLE_RATE, SAMPLE_RATE * (1 + 50e-6))
    mics.append(far_end(np.pad(drift, (0, N))[:N].astype(np.float32), 400))
    return np.stack(mics), np.stack([silent, bursty, ref])


def last_reduction(error, mic):
    """ERLE over the last 15 s where the far end is audible."""
    tail = slice(-15 * SAMPLE_RATE, None)
    return [reduction_db(m[tail], e[tail]) for m, e in zip(mic, error, strict=True)]


def test_ten_minutes_through_the_whole_canceller_stay_finite_and_keep_erle():
    mic, ref = scenes()
    core = HopCanceller(AecConfig(), random_weights(), 3)
    error, delayed = np.empty_like(mic), np.empty_like(mic)
    for at in range(0, N, HOP):
        hop = slice(at, at + HOP)
        out = core.process(mic[:, hop], ref[:, hop])
        error[:, hop], delayed[:, hop] = out.linear, out.mic
        assert np.isfinite(out.vad).all()
        assert np.isfinite(out.asr).all()
    silence, bursts, drift = last_reduction(error, delayed)
    assert silence > 20
    assert bursts > 15
    assert drift > 10
    assert core.front_end.linear.process(mic[:, :HOP], ref[:, :HOP], ALL)[0].dtype == np.float32


@pytest.mark.slow
def test_ten_minutes_of_wrls_stay_finite_and_keep_erle():
    """Without its excitation gate the first scene overflows; without P = P^H the second diverges."""
    mic, ref = scenes()
    linear = linear_filter(AecConfig(linear="wrls"), 3)
    error, delayed = np.empty_like(mic), np.empty_like(mic)
    # The aligner is not part of this: the reference is moved to its place beforehand.
    ref = np.pad(ref, ((0, 0), (300, 0)))[:, :N]
    for at in range(0, N, HOP):
        hop = slice(at, at + HOP)
        error[:, hop], echo = linear.process(mic[:, hop], ref[:, hop], ALL)
        delayed[:, hop] = error[:, hop] + echo
        assert np.isfinite(error[:, hop]).all()
    silence, bursts, _ = last_reduction(error, delayed)
    assert silence > 15
    assert bursts > 10
