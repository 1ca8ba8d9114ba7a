"""How well a frame detector tells speech from what is left of the echo: the paper's DCF."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from aec_core.evaluate.spoken import Utterance
from aec_core.types import HOP, SAMPLE_RATE, Mask, Samples

Detect = Callable[[Samples], Samples]
"""Takes `(n,)` and returns P(speech) for each 20 ms, `(n // 320,)`."""

_THRESHOLD = 0.5
_COLLAR = round(0.25 * SAMPLE_RATE / HOP)  # frames at each edge of an utterance that do not count
_BRIDGED = round(0.5 * SAMPLE_RATE / HOP)  # pauses that a listener hears as one utterance
_EVENT = round(0.1 * SAMPLE_RATE / HOP)


@dataclass(frozen=True)
class Detection:
    """What a detector did in one segment.

    Attributes:
        p_false: Share of the time without speech in which it saw some.
        p_miss: Share of the speech that it missed.
        false_events: Times a minute that it saw speech of 100 ms and more where there was none.
        missed: Utterances of which it saw nothing.
    """

    p_false: float
    p_miss: float
    false_events: float
    missed: int

    @property
    def dcf(self) -> float:
        """Detection cost (paper, section III-B)."""
        return 0.75 * self.p_false + 0.25 * self.p_miss


def detection(probability: Samples, spoken: Sequence[Utterance]) -> Detection:
    """Hold P(speech) of each frame, `(frames,)`, against what was said.

    Pauses of up to half a second count as speech in the detector's answer, as inside an utterance.
    """
    seen = _bridge(probability >= _THRESHOLD)
    speech, silence = np.zeros_like(seen), np.ones_like(seen)
    missed = 0
    for utterance in spoken:
        first, last = utterance.start // HOP, -(-utterance.stop // HOP)
        speech[first + _COLLAR : max(last - _COLLAR, first + _COLLAR)] = True
        silence[max(first - _COLLAR, 0) : last + _COLLAR] = False
        missed += not seen[first:last].any()
    events = sum(length >= _EVENT for length in _runs(seen & silence))
    minutes = max(silence.sum(), 1) * HOP / SAMPLE_RATE / 60
    return Detection(
        float(seen[silence].mean()) if silence.any() else 0.0,
        float(1 - seen[speech].mean()) if speech.any() else 0.0,
        float(events / minutes),
        missed,
    )


def _bridge(seen: Mask) -> Mask:
    """Fill gaps of up to half a second between two frames of speech."""
    at = np.flatnonzero(seen)
    filled = seen.copy()
    for before, after in itertools.pairwise(at):
        if after - before <= _BRIDGED:
            filled[before:after] = True
    return filled


def _runs(mask: Mask) -> list[int]:
    """Return the lengths of the stretches of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(np.int8), [0]])))
    return list(edges[1::2] - edges[::2])
