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


def run_wrls(mic, ref):
    """Return `(error, delayed mic)`; the reference is aligned beforehand, without the aligner."""
    linear = linear_filter(AecConfig(linear="wrls"), len(mic))
    ref = np.pad(ref, ((0, 0), (300, 0)))[:, : ref.shape[1]]
    error, delayed = np.empty_like(mic), np.empty_like(mic)
    for at in range(0, mic.shape[1] // HOP * HOP, HOP):
        hop = slice(at, at + HOP)
        error[:, hop], echo = linear.process(mic[:, hop], ref[:, hop], ALL)
        delayed[:, hop] = error[:, hop] + echo
        assert np.isfinite(error[:, hop]).all()
        P = linear._inv_cov
        assert np.isfinite(P).all()
        assert np.array_equal(P, P.conj().swapaxes(-1, -2))  # or a bursty ref diverges after minutes
    return error, delayed


def test_wrls_comes_back_after_a_long_silence():
    """Without the excitation gate P grows as lam^-n and overflows within a minute of silence."""
    quiet_s = 75
    ref = speech_like(quiet_s + 10, seed=1)
    ref[5 * SAMPLE_RATE : (quiet_s + 5) * SAMPLE_RATE] = 0
    mic = far_end(ref, 400)
    error, delayed = run_wrls(mic[None], ref[None])
    last = slice(-2 * SAMPLE_RATE, None)
    assert reduction_db(delayed[0, last], error[0, last]) > 15


@pytest.mark.slow
def test_ten_minutes_of_wrls_stay_finite_and_keep_erle():
    """Bursts and silence over ten minutes: short tests pass without the guards."""
    silence, bursts, _ = last_reduction(*run_wrls(*scenes()))
    assert silence > 15
    assert bursts > 10
