"""What the shipped weights promise."""

import numpy as np

from aec_core import SAMPLE_RATE, EchoCanceller
from tests.aec_core.signals import far_end, reduction_db, speech_like

LATE = 3 * SAMPLE_RATE


def clean(mic, ref):
    aec = EchoCanceller.pretrained()
    pad = np.zeros(aec.latency, np.float32)
    out = aec.process(np.concatenate([mic, pad]), np.concatenate([ref, pad]))
    return out.vad[aec.latency :], out.asr[aec.latency :], out.linear[aec.latency :], out


def test_far_end_single_talk_is_silenced():
    ref = speech_like(8, seed=4)
    mic = far_end(np.tanh(4 * ref) / 4, 1600, noise=1e-3)  # an overdriven loudspeaker
    vad, asr, linear, out = clean(mic, ref)
    by_linear = reduction_db(mic[LATE:], linear[LATE:])
    assert reduction_db(mic[LATE:], vad[LATE:]) > by_linear + 10
    assert reduction_db(mic[LATE:], asr[LATE:]) > by_linear + 5
    assert abs(out.delay_ms - 100) < 2
    assert out.erle_db > 20
