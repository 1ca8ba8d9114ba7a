"""A bounded ring of samples between the audio callback and the rest of the program."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]
"""Rows are samples, columns are channels: `(n, channels)`."""


class Ring:
    """Memory that is taken once, for one writer and one reader on different threads.

    Each counter has one writer, so there is no lock that the audio callback could wait for.

    Attributes:
        written: Samples ever written.
        taken: Samples ever read.
    """

    def __init__(self, capacity: int, channels: int) -> None:
        self._rows = np.zeros((capacity, channels), np.float32)
        self._capacity = capacity
        self.written = 0
        self.taken = 0

    @property
    def waiting(self) -> int:
        """Samples that can be read."""
        return self.written - self.taken

    @property
    def room(self) -> int:
        """Samples that can be written."""
        return self._capacity - self.waiting

    def write(self, block: Samples) -> bool:
        """Add a block `(n, channels)`; False, and nothing is written, if there is no room for all of it."""
        n = len(block)
        if n > self.room:
            return False
        start = self.written % self._capacity
        first = min(n, self._capacity - start)
        self._rows[start : start + first] = block[:first]
        self._rows[: n - first] = block[first:]
        self.written += n
        return True

    def read_into(self, out: Samples) -> int:
        """Fill the head of `out` `(n, channels)` with what waits; return how many samples that were."""
        n = min(len(out), self.waiting)
        start = self.taken % self._capacity
        first = min(n, self._capacity - start)
        out[:first] = self._rows[start : start + first]
        out[first:n] = self._rows[: n - first]
        self.taken += n
        return n

    def read(self) -> Samples:
        """Return all that waits, in an array of its own."""
        out = np.empty((self.waiting, self._rows.shape[1]), np.float32)
        self.read_into(out)
        return out
