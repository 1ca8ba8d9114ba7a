"""The events that a session's peer was sent last, for the case that the network lost them."""

from __future__ import annotations

from collections import deque

from server.events import AecStats, ServerEvent

KEPT = 256
_PREFIX = "event_"


class Sent:
    """The last 256 events with their numbers, which go on over all connections of a session.

    Attributes:
        number: Of the last one.
    """

    def __init__(self) -> None:
        self.number = 0
        self._events: deque[tuple[int, ServerEvent]] = deque(maxlen=KEPT)

    def add(self, number: int, event: ServerEvent) -> None:
        """Note what was sent under `event_id(number)`."""
        self.number = number
        if not isinstance(event, AecStats):  # old ones help nobody
            self._events.append((number, event))

    def take_after(self, last_event_id: str | None) -> list[ServerEvent]:
        """Forget, and return in order, what was sent after an event; nothing where the peer names none."""
        known = (last_event_id or "").removeprefix(_PREFIX)
        if not known.isdecimal():
            return []
        last = int(known)
        missed = [event for number, event in self._events if number > last]
        self._events = deque(((n, event) for n, event in self._events if n <= last), maxlen=KEPT)
        return missed


def event_id(number: int) -> str:
    """Return the name of an event on the wire."""
    return f"{_PREFIX}{number}"
