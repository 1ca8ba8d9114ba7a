from aec_core.belief import Belief
from tests.aec_core.signals import white

ALL = slice(None)


def hops(level):
    return white((1, 320), level=level)


def test_erle_is_measured_in_far_end_single_talk_only():
    belief = Belief(1)
    for _ in range(200):
        belief.update(hops(0.1), hops(0.1), hops(0.001), ALL)
    assert abs(belief.erle_db[0] - 40) < 1
    for _ in range(50):
        belief.update(hops(0.1), hops(0.1), hops(0.1), ALL)
    assert belief.double_talk[0]
    assert abs(belief.erle_db[0] - 40) < 4


def test_nobody_talks_over_a_silent_reference():
    belief = Belief(1)
    for _ in range(50):
        belief.update(hops(0.1), hops(0.0), hops(0.1), ALL)
    assert not belief.double_talk[0]
    assert belief.erle_db[0] == 0


def test_reset():
    belief = Belief(1)
    for _ in range(50):
        belief.update(hops(0.1), hops(0.1), hops(0.1), ALL)
    belief.reset(0)
    assert not belief.double_talk[0]
