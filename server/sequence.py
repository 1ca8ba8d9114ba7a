"""One stream of samples in order, out of frames that may be lost, repeated, late or swapped."""

from __future__ import annotations

from bisect import insort
from collections import deque
from dataclasses import dataclass
from operator import attrgetter
from typing import Literal

import numpy as np

from aec_core.types import Samples
from server.events import AudioGap

HOLD_MS = 100  # of later audio that waits for a missing frame
LONGEST_FILL_MS = 2000  # a longer gap is left open: the filters start afresh


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """Samples that go on where those before ended, unless they are `fresh`.

    Attributes:
        start: Index of the first sample.
        audio: `(channels, n)`.
        fresh: They are the first of all, or follow a gap that is too long to fill.
    """

    start: int
    audio: Samples
    fresh: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """The samples of one frame.

    Attributes:
        start: Index of the first sample.
        audio: `(channels, n)`.
        patient: Frames before it may still be on their way.
        replayed: It may have been heard already, and that is no fault.
        discontinuity: The sender says that it does not follow what came before.
    """

    start: int
    audio: Samples
    patient: bool = True
    replayed: bool = False
    discontinuity: bool = False

    @property
    def length(self) -> int:
        return self.audio.shape[1]

    @property
    def end(self) -> int:
        return self.start + self.length


class Sequencer:
    """Puts the frames of one sample clock in order, and says what is wrong with them.

    It holds at most `HOLD_MS` of audio and one frame; then what is missing counts as lost.

    Args:
        rate: Of the samples, Hz.
        channel: What reports call it.
    """

    def __init__(self, rate: int, channel: Literal["both", "mic", "reference"] = "both") -> None:
        self.channel: Literal["both", "mic", "reference"] = channel
        self._per_ms = rate / 1000
        self._next: int | None = None
        self._held: list[Piece] = []
        self._filled: deque[tuple[int, int]] = deque(maxlen=32)

    @property
    def next(self) -> int:
        """Index of the next sample, 0 before the first."""
        return self._next or 0

    @property
    def held(self) -> int:
        """Samples that wait for earlier ones."""
        return sum(piece.length for piece in self._held)

    def push(self, piece: Piece) -> list[Run | AudioGap]:
        """Take one frame; return, in order, what may be used now and what went wrong."""
        if self._next is None:
            self._next = piece.end
            return [Run(piece.start, piece.audio, fresh=True)]
        if any(piece.start == other.start for other in self._held):
            return self._dropped(piece)
        insort(self._held, piece, key=attrgetter("start"))
        out: list[Run | AudioGap] = []
        while self._held and self._due(self._held[0]):
            out += self._use(self._held.pop(0))
        return out

    def _due(self, piece: Piece) -> bool:
        in_time = piece.start <= self.next or not piece.patient
        return in_time or self.held >= HOLD_MS * self._per_ms

    def _use(self, piece: Piece) -> list[Run | AudioGap]:
        lost = piece.start - self.next
        if piece.end <= self.next:
            return self._dropped(piece)
        if lost < 0:
            trimmed = Run(self.next, piece.audio[:, -lost:])
            reports = self._dropped(piece, -lost)
            self._next = piece.end
            return [*reports, trimmed]
        out = self._bridge(piece, lost) if lost else []
        fresh = lost > LONGEST_FILL_MS * self._per_ms
        self._next = piece.end
        return [*out, Run(piece.start, piece.audio, fresh)]

    def _bridge(self, piece: Piece, lost: int) -> list[Run | AudioGap]:
        """Report a hole before `piece`, and fill it unless it is too long."""
        lost_ms = lost / self._per_ms
        reset = lost_ms > LONGEST_FILL_MS
        report = AudioGap(
            at_ms=self.next / self._per_ms,
            lost_ms=lost_ms,
            filled_ms=0.0 if reset else lost_ms,
            reason="discontinuity" if piece.discontinuity else "lost",
            reset=reset,
            channel=self.channel,
        )
        self._filled.append((self.next, piece.start))
        if reset:
            return [report]
        return [report, Run(self.next, np.zeros((len(piece.audio), lost), np.float32))]

    def _dropped(self, piece: Piece, samples: int | None = None) -> list[Run | AudioGap]:
        if piece.replayed:
            return []
        late = any(start < piece.end and piece.start < end for start, end in self._filled)
        report = AudioGap(
            at_ms=piece.start / self._per_ms,
            dropped_ms=(piece.length if samples is None else samples) / self._per_ms,
            reason="late" if late else "repeated",
            channel=self.channel,
        )
        return [report]
