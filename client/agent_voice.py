"""What an agent of the server says, in the order and at the volume in which it is to be played."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
from numpy.typing import NDArray

Event = dict[str, Any]
Pcm = NDArray[np.int16]

DUCKED = 0.25  # of the volume, while a person may be interrupting
HELD_S = 10  # that a player may leave unplayed; what is older is dropped


class AgentVoice:
    """A queue between the socket and the loudspeaker.

    Give it every event and every frame of the session, take what is played next, and tell the server now
    and then what was played: `report` is the event for it.

    Args:
        rate: Of the session, Hz.
    """

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._pieces: deque[tuple[str, Pcm]] = deque()  # each with its item
        self._item: str | None = None  # that frames belong to
        self._playing: str | None = None  # that was played last
        self._played = 0  # samples of it
        self._sounding = False
        self._volume = 1.0

    @property
    def waiting(self) -> int:
        """Samples that wait to be played."""
        return sum(len(audio) for _, audio in self._pieces)

    @property
    def report(self) -> Event | None:
        """What `duplex.playback` says now; None before the agent has spoken."""
        if self._playing is None:
            return None
        played_ms = round(1000 * self._played / self._rate, 3)
        return {
            "type": "duplex.playback",
            "playing": self._sounding,
            "item_id": self._playing,
            "played_ms": played_ms,
        }

    def hear(self, event: Event) -> None:
        """Take an event of the session."""
        kind = event["type"]
        if kind == "response.created":
            self._item, self._volume = event["response"]["item_id"], 1.0
        elif kind == "duplex.barge_in" and event["stage"] == "duck":
            self._volume = DUCKED
        elif kind == "duplex.barge_in" or (kind == "response.done" and _cut(event)):
            self._pieces.clear()
        elif kind == "duplex.false_interruption":
            self._volume = 1.0
        elif kind == "session.replaced":
            self._pieces.clear()
            self._item = self._playing = None

    def add(self, audio: Pcm) -> None:
        """Take the samples of a frame, `(n,)`."""
        if self._item is None:
            return
        self._pieces.append((self._item, audio))
        while self.waiting > HELD_S * self._rate:
            self._pieces.popleft()

    def take(self, samples: int) -> Pcm:
        """Return what is played next, `(samples,)`; silence where there is nothing."""
        out = np.zeros(samples, np.int16)
        filled = 0
        while self._pieces and filled < samples:
            item, audio = self._pieces.popleft()
            piece, left = np.split(audio, [samples - filled])
            if len(left):
                self._pieces.appendleft((item, left))
            out[filled : filled + len(piece)] = np.rint(piece * self._volume)
            filled += len(piece)
            self._played = len(piece) + (self._played if item == self._playing else 0)
            self._playing = item
        self._sounding = filled > 0
        return out


def _cut(event: Event) -> bool:
    return event["response"].get("status") != "completed"
