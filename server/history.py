"""What was heard lately, readable by sample index."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from aec_core.types import Samples


class History:
    """A bounded ring over a stream whose samples are numbered; the oldest are overwritten."""

    def __init__(self, length: int, dtype: DTypeLike = np.float32) -> None:
        """Make room for the last `length` samples, kept as `dtype`."""
        self._ring = np.zeros(length, dtype)
        self._start = 0  # index of the first sample since the last break in the stream
        self._end = 0

    def push(self, start: int, audio: Samples) -> None:
        """Append samples `(n,)`, no more than there is room for.

        A `start` that does not follow on makes everything before it unknown.
        """
        if start != self._end:
            self._start = start
        self._end = start + len(audio)
        at = start % len(self._ring)
        first = min(len(audio), len(self._ring) - at)
        self._ring[at : at + first] = audio[:first]
        self._ring[: len(audio) - first] = audio[first:]

    def read(self, start: int, end: int) -> Samples:
        """Return what is known of the samples from `start` to before `end`, `(n,)`."""
        start = max(start, self._start, self._end - len(self._ring))
        return self._ring[np.arange(start, min(end, self._end)) % len(self._ring)].astype(np.float32)
