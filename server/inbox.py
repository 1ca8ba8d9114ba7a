"""What the peer has sent and the engine has not taken yet: written by the event loop, read by the engine.

Each counter has one writer and `deque` is safe for one producer and one consumer, so there is no lock.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from server.events import (
    InputAudioAppend,
    InputAudioClear,
    InputAudioCommit,
    ItemTruncate,
    Playback,
    ResponseCancel,
)
from server.protocol import AudioFrame
from server.session_config import SessionInfo

FULL_MS = 500.0
WARN_QUEUED_MS = 200.0
FULL_MESSAGES = 256

Message = (
    AudioFrame
    | InputAudioAppend
    | InputAudioCommit
    | InputAudioClear
    | Playback
    | ResponseCancel
    | ItemTruncate
    | SessionInfo
)
"""What the engine must see in order; a `session.update` comes as the checked result."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """One message and when it came."""

    message: Message
    audio_ms: float
    at: float  # seconds on the process's monotonic clock


class Inbox:
    """A queue that never refuses: its writer stops reading the socket while it is `full`.

    So it holds 500 ms of audio and one message more, and what is beyond waits in the peer's socket.
    """

    def __init__(self) -> None:
        self._arrivals: deque[Arrival] = deque()
        self._put_ms = 0.0
        self._taken_ms = 0.0

    @property
    def queued_ms(self) -> float:
        """Audio that waits, ms."""
        return self._put_ms - self._taken_ms

    @property
    def full(self) -> bool:
        return self.queued_ms >= FULL_MS or len(self._arrivals) >= FULL_MESSAGES

    def put(self, arrival: Arrival) -> None:
        self._put_ms += arrival.audio_ms
        self._arrivals.append(arrival)

    def take(self) -> Arrival | None:
        """Return the oldest message, or None."""
        if not self._arrivals:
            return None
        arrival = self._arrivals.popleft()
        self._taken_ms += arrival.audio_ms
        return arrival
