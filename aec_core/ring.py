"""A ring of hops for each stream: what was heard lately, readable at any delay."""

from __future__ import annotations

import numpy as np

from aec_core.types import Rows, Samples


class HopRing:
    """The last `hops` hops of each stream; a stream that is left out keeps its place.

    Everything is written twice, one ring apart, so that any stretch lies in one piece.
    """

    def __init__(self, streams: int, hops: int, hop: int) -> None:
        self._hop = hop
        self._hops = hops
        self._data = np.zeros((streams, 2 * hops, hop), np.float32)
        self._next = np.zeros(streams, np.intp)  # where the next hop goes
        self._all = np.arange(streams)

    def push(self, hop: Samples, rows: Rows) -> None:
        """Append one hop `(n, hop)` to each of the `rows`."""
        at, streams = self._next[rows], self._all[rows]
        self._data[streams, at] = hop
        self._data[streams, at + self._hops] = hop
        self._next[rows] = (at + 1) % self._hops

    def last(self, samples: int, rows: Rows, delay: int | np.ndarray = 0) -> Samples:
        """Return the `samples` that ended `delay` samples ago, `(n, samples)`; delay may differ by row."""
        if samples == self._hop and isinstance(delay, int) and delay % self._hop == 0:  # whole hops
            return self._data[self._all[rows], (self._next[rows] - 1 - delay // self._hop) % self._hops]
        flat = self._data.reshape(len(self._all), -1)
        start = (self._next[rows] * self._hop - delay - samples) % (self._hops * self._hop)
        out = np.empty((len(start), samples), np.float32)
        for row, stream, first in zip(out, self._all[rows].tolist(), start.tolist(), strict=True):
            row[:] = flat[stream, first : first + samples]
        return out

    def reset(self, slot: int) -> None:
        self._data[slot] = 0
        self._next[slot] = 0
