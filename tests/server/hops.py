"""A hop as a session gets it from the engine, made of signals."""

import numpy as np

from aec_core import Cleaned
from server.hop import CleanHop, cut

ONE = np.array([True])


def clean_hop(
    start: int, vad: np.ndarray, asr: np.ndarray, echo: np.ndarray, ref: np.ndarray, speech: float
) -> CleanHop:
    """Return the hop of a session whose echo, 120 ms late, is cancelled by 30 dB."""
    cleaned = Cleaned(*(each[None] for each in (vad + echo, ref, echo, vad, asr)))
    scalars = (np.array([speech], np.float32), np.array([120.0]), np.array([30.0], np.float32))
    [(_, hop)] = cut(cleaned, np.array([start]), *scalars, ONE)
    return hop
