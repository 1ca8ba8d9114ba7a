"""A ring gives back what went in, at any delay, for streams that move on their own."""

import numpy as np
import pytest

from aec_core.ring import HopRing

HOP = 4


def test_any_stretch_at_any_delay_while_streams_pause():
    ring, rng = HopRing(3, hops=5, hop=HOP), np.random.default_rng(0)
    heard = [np.zeros(5 * HOP, np.float32) for _ in range(3)]
    for _ in range(40):
        rows = np.flatnonzero(rng.random(3) > 0.3)
        hop = rng.standard_normal((len(rows), HOP)).astype(np.float32)
        ring.push(hop, rows)
        for row, new in zip(rows, hop, strict=True):
            heard[row] = np.concatenate([heard[row], new])
        samples = int(rng.integers(1, 2 * HOP + 1))
        delay = rng.integers(0, 5 * HOP - samples + 1, 3)
        want = [h[len(h) - d - samples : len(h) - d] for h, d in zip(heard, delay, strict=True)]
        np.testing.assert_array_equal(ring.last(samples, slice(None), delay), want)


@pytest.mark.parametrize("delay", [0, HOP, 2 * HOP + 1])
def test_reset_forgets_one_stream(delay):
    ring = HopRing(2, hops=5, hop=HOP)
    for _ in range(7):
        ring.push(np.ones((2, HOP), np.float32), slice(None))
    ring.reset(1)
    np.testing.assert_array_equal(ring.last(HOP, slice(None), delay), [[1] * HOP, [0] * HOP])
