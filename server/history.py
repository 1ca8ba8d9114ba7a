"""What was heard lately, readable by sample index."""

from __future__ import annotations

import numpy as np

from aec_core.types import HOP, Samples
from server.pcm import Pcm, to_float


class History:
    """A bounded ring of hops over a stream whose samples are numbered; the oldest are overwritten."""

    def __init__(self, length: int) -> None:
        """Make room for the last `length` samples and a hop; 16 bits of each, for every session has this."""
        self._ring = np.zeros((-(-length // HOP) + 1, HOP), np.int16)
        self._start = 0  # index of the first sample since the last break in the stream
        self._end = 0
        self._next = 0  # where in the ring the next hop goes

    def push(self, start: int, hop: Pcm | None) -> None:
        """Append a hop `(320,)`; None is silence.

        A `start` that does not follow on makes everything before it unknown.
        """
        if start != self._end:
            self._start = start
        self._end = start + HOP
        self._ring[self._next] = 0 if hop is None else hop
        self._next = (self._next + 1) % len(self._ring)

    def read(self, start: int, end: int) -> Samples:
        """Return what is known of the samples from `start` to before `end`, `(n,)`."""
        start = max(start, self._start, self._end - self._ring.size)
        back = self._next * HOP - self._end  # from an index to its place, but for whole rings
        at = np.arange(start + back, min(end, self._end) + back)
        return to_float(self._ring.reshape(-1)[at % self._ring.size])
