"""The two cleaned channels that the server sends back, put together by sample index."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from client.wire import Frame

Int16 = NDArray[np.int16]


class CleanedAudio:
    """Places kind 17 frames on the mic clock; what never came stays silent.

    The server numbers its frames by the mic sample they describe, so that sample `n` of the result is
    sample `n` of the microphone, whatever the canceller's latency.

    Args:
        keep: Keep everything that is added, 64 kB a second; otherwise only count.
    """

    def __init__(self, keep: bool = True) -> None:
        self._keep = keep
        self._frames: list[Frame] = []
        self._start = 0  # of the session
        self.end = 0  # one past the last mic sample that came back

    def restart(self, start: int) -> None:
        """Another session goes on from sample `start` of the microphone, at 16 kHz."""
        self._start = start
        self.end = max(self.end, start)

    def add(self, frame: Frame) -> None:
        if frame.mic_start < self._start:  # silence from before its beginning
            return
        if self._keep:
            self._frames.append(frame)
        self.end = max(self.end, frame.mic_start + len(frame.audio))

    def arrays(self, samples: int) -> tuple[Int16, Int16]:
        """Return `(vad, asr)`, each `(samples,)`."""
        out = np.zeros((samples, 2), np.int16)
        for frame in self._frames:
            room = max(samples - frame.mic_start, 0)
            piece = frame.audio[:room]
            out[frame.mic_start : frame.mic_start + len(piece)] = piece
        return out[:, 0].copy(), out[:, 1].copy()
