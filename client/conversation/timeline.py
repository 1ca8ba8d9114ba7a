"""What a session said about a dialogue, put together by item."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from aec_core.types import SAMPLE_RATE
from client.conversation.session import Noticed
from server.endpointer import SemanticVad
from server.events import (
    BargeIn,
    SpeechStarted,
    SpeechStopped,
    TranscriptionCompleted,
    TranscriptionDelta,
)

_MS = SAMPLE_RATE // 1000
_PADDING = SemanticVad().prefix_padding_ms * _MS


@dataclass
class Item:
    """One turn as the service saw it; all times in samples, `…_at` when the server said so.

    Attributes:
        onset: Where its speech begins, without the padding before it.
        end: Where its speech ends; None for an item that never stopped.
        reason: Why it was taken to be over.
        text: Its transcript; empty without.
    """

    started_at: int
    onset: int
    stopped_at: int | None = None
    end: int | None = None
    reason: str = ""
    first_text_at: int | None = None
    commit_at: int | None = None
    text: str = ""

    def open_at(self, at: int) -> bool:
        """Say whether it had started and not stopped."""
        return self.started_at <= at and (self.stopped_at is None or self.stopped_at > at)


def items(noticed: Iterable[Noticed]) -> list[Item]:
    """Return the items in the order of their start."""
    found: dict[str, Item] = {}
    for each in noticed:
        event, at = each.event, each.at
        match event:
            case SpeechStarted():
                start = round(event.audio_start_ms * _MS)
                found[event.item_id] = Item(at, min(start + _PADDING, at))
            case SpeechStopped():
                item = found[event.item_id]
                item.stopped_at, item.reason = at, event.duplex.reason
                item.end = round((event.audio_end_ms - event.duplex.silence_ms) * _MS)
            case BargeIn(stage="commit", item_id=str() as item_id):
                found[item_id].commit_at = at
            case TranscriptionDelta():
                item = found[event.item_id]
                if item.first_text_at is None and event.text:
                    item.first_text_at = at
            case TranscriptionCompleted():
                found[event.item_id].text = event.transcript
            case _:
                pass
    return list(found.values())


def stops(found: Iterable[Item]) -> Iterator[Item]:
    """Yield the items that the service itself took to be over: not those that the end of the call ended."""
    return (item for item in found if item.stopped_at is not None and item.reason != "commit")
