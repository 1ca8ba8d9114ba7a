"""A ring of hops for each stream: what was heard lately, readable at any delay."""

from __future__ import annotations

import numpy as np

from aec_core.types import Rows, Samples


class HopRing:
    """The last `hops` hops of each stream; a stream that is left out keeps its place."""

    def __init__(self, streams: int, hops: int, hop: int) -> None:
        self._hop = hop
        self._size = hops * hop
        self._data = np.zeros((streams, hops, hop), np.float32)
        self._next = np.zeros(streams, np.intp)  # where the next hop goes
        self._all = np.arange(streams)

    def push(self, hop: Samples, rows: Rows) -> None:
        """Append one hop `(n, hop)` to each of the `rows`."""
        at = self._next[rows]
        self._data[self._all[rows], at] = hop
        self._next[rows] = (at + 1) % self._data.shape[1]

    def last(self, samples: int, rows: Rows, delay: int | np.ndarray = 0) -> Samples:
        """Return the `samples` that ended `delay` samples ago, `(n, samples)`; delay may differ by row."""
        streams = self._all[rows]
        end = self._next[rows] * self._hop - delay
        index = (end[:, None] + np.arange(-samples, 0)) % self._size
        return self._data.reshape(len(self._all), -1)[streams[:, None], index]

    def reset(self, slot: int) -> None:
        self._data[slot] = 0
        self._next[slot] = 0
