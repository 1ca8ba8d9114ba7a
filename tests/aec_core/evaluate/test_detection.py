"""The detection cost on answers whose cost is known."""

import numpy as np
import pytest

from aec_core.evaluate.detection import Detection, detection
from aec_core.evaluate.spoken import Utterance

FRAMES = 1000  # 20 s
SPOKEN = (Utterance("a", 200 * 320, 400 * 320), Utterance("b", 700 * 320, 800 * 320))
COLLAR = 12


def answer(*stretches):
    probability = np.zeros(FRAMES, np.float32)
    for start, stop in stretches:
        probability[start:stop] = 0.9
    return probability


def test_the_truth_costs_nothing():
    assert detection(answer((200, 400), (700, 800)), SPOKEN) == Detection(0.0, 0.0, 0.0, 0)


def test_edges_within_the_collar_cost_nothing():
    assert detection(answer((190, 410), (710, 790)), SPOKEN).dcf == 0


def test_silence_misses_everything_and_noise_is_false_everywhere():
    assert detection(answer(), SPOKEN) == Detection(0.0, 1.0, 0.0, 2)
    always = detection(answer((0, FRAMES)), SPOKEN)
    assert (always.p_false, always.p_miss, always.dcf) == (1, 0, 0.75)


def test_costs_and_events_of_a_known_answer():
    found = detection(answer((200, 400), (500, 570), (600, 603)), SPOKEN)
    silence = FRAMES - (200 + 2 * COLLAR) - (100 + 2 * COLLAR)
    assert found.p_false == pytest.approx(73 / silence)
    assert found.p_miss == pytest.approx((100 - 2 * COLLAR) / (300 - 4 * COLLAR))
    assert found.missed == 1
    # Three frames are too short for an event.
    assert found.false_events == pytest.approx(1 / (silence * 0.02 / 60))


def test_short_pauses_inside_an_utterance_are_no_misses():
    assert detection(answer((200, 280), (304, 400), (700, 800)), SPOKEN).p_miss == 0
    assert detection(answer((200, 280), (306, 400), (700, 800)), SPOKEN).p_miss > 0
