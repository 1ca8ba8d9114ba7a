"""Is a peer keeping up with its own clock?

A live client stamps frames with its clock as it records them. When the network or the server is too
slow the frames wait in socket buffers, and arrive later and later on that clock. A client that plays a
file as fast as it can is never late: its audio runs ahead of its clock.
"""

from __future__ import annotations

_WRAP = 1 << 32
AHEAD_MS = 1000.0  # audio that runs ahead of its sender's clock by so much is not live
STEADY_MS = 100.0  # … and up to here it comes as a microphone gives it


class Pace:
    """Measures by how much the frames of one connection come late.

    Attributes:
        steady: No frame was further ahead of its sender's clock than a device's blocks make it.
    """

    def __init__(self) -> None:
        self._first: tuple[int, float, float] | None = None  # sender ms, audio ms, arrival ms
        self.steady = True
        self._least = 0.0  # smallest transit time seen, relative to the first frame's

    def observe(self, sent_ms: int, audio_ms: float, arrived_ms: float) -> float:
        """Return how late a frame is, in ms, compared with the quickest one.

        Args:
            sent_ms: The sender's clock in the header, wrapping at 32 bits.
            audio_ms: Position of the frame on the sample clock.
            arrived_ms: Our own monotonic clock.
        """
        if self._first is None:
            self._first = (sent_ms, audio_ms, arrived_ms)
        sent0, audio0, arrived0 = self._first
        by_sender = (sent_ms - sent0 + _WRAP // 2) % _WRAP - _WRAP // 2
        transit = (arrived_ms - arrived0) - by_sender
        self._least = min(self._least, transit)
        ahead = audio_ms - audio0 - by_sender
        self.steady = self.steady and ahead <= STEADY_MS
        return transit - self._least if ahead <= AHEAD_MS else 0.0
