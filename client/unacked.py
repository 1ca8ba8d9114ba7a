"""What was sent and may not have arrived: kept until the server says so, to be sent again if it must."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import replace

from client.wire import Flag, Frame, Kind

HELD_S = 3  # of the microphone: the server acknowledges once a second
MAX_MESSAGES = 2048

Message = Frame | str
"""An audio frame, or the text of a JSON event."""


class Unacked:
    """Messages in the order in which they were sent.

    An event has the place of the frame that follows it. Whether one that was sent just before the first
    missing frame had arrived cannot be known: it is sent again, which is harmless for all of ours.

    Args:
        rate: Of the audio, Hz.
    """

    def __init__(self, rate: int) -> None:
        self._held = HELD_S * rate
        self._messages: deque[tuple[int, Message]] = deque()
        self._mic = 0  # samples of it

    @property
    def full(self) -> bool:
        """So much waits for an acknowledgement that nothing should be added."""
        return self._mic >= self._held

    def first(self, otherwise: int) -> int:
        """Return the number of the first message that is kept."""
        return self._messages[0][0] if self._messages else otherwise

    def start(self, otherwise: int) -> int:
        """Return the first sample of the microphone that is kept."""
        frames = (each for _, each in self._messages if isinstance(each, Frame) and _mic(each))
        return next((frame.mic_start for frame in frames), otherwise)

    def add(self, seq: int, message: Message) -> None:
        """Keep a message; `seq` is its own number, or that of the frame after it."""
        self._messages.append((seq, message))
        self._mic += _mic(message)
        # Only who sends no microphone comes here, for nothing of that is ever acknowledged.
        while len(self._messages) > MAX_MESSAGES:
            self._drop()

    def acknowledge(self, next_seq: int) -> None:
        """Forget the frames before `next_seq`, and the events before those."""
        while self._messages and self._messages[0][0] < next_seq:
            self._drop()

    def missing(self, next_seq: int) -> Iterator[Message]:
        """Yield what the server may not have, its first missing frame being `next_seq`; frames are marked."""
        for seq, message in list(self._messages):
            if seq >= next_seq:
                yield _replayed(message)

    def _drop(self) -> None:
        _, message = self._messages.popleft()
        self._mic -= _mic(message)


def _mic(message: Message) -> int:
    return len(message.audio) if isinstance(message, Frame) and message.kind != Kind.REF else 0


def _replayed(message: Message) -> Message:
    return message if isinstance(message, str) else replace(message, flags=message.flags | Flag.REPLAYED)
