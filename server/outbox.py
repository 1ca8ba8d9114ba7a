"""What a session has to say and the peer has not read yet; lives on the event loop.

While the peer reads slowly, partial results of one utterance become one and only the newest statistics
stay; everything else is kept in order. A full outbox stops the reading of the peer's socket, so a peer
that does not listen is not heard either, and nothing final is ever dropped.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass

from server.events import AecStats, ServerEvent, TranscriptionDelta

FULL_ITEMS = 512
LIMIT_ITEMS = 8192


@dataclass(frozen=True, slots=True)
class Close:
    """The session ends; what is before it in the queue is still sent."""

    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class Moved:
    """The connection goes on with the outbox of another session."""


Item = ServerEvent | bytes | Close | Moved


class Outbox:
    """Ordered, bounded, coalescing."""

    def __init__(self) -> None:
        self._items: deque[list[Item]] = deque()  # each in a cell of its own, so that it can be replaced
        self._open: dict[str, list[Item]] = {}  # cells that newer results may still join
        self._ready = asyncio.Event()
        self.coalesced = 0

    def __len__(self) -> int:
        return len(self._items)

    @property
    def full(self) -> bool:
        """Nothing more should be provoked until the peer has read."""
        return len(self._items) >= FULL_ITEMS

    def put(self, item: Item) -> None:
        """Add one item, or merge it into one that waits.

        Raises:
            OverflowError: If the peer lets more wait than can ever be due to it.
        """
        key = _merge_key(item)
        cell = self._open.get(key) if key else None
        if cell is not None:
            cell[0] = _merged(cell[0], item)
            self.coalesced += 1
            return
        if len(self._items) >= LIMIT_ITEMS:
            raise OverflowError(f"{LIMIT_ITEMS} messages wait for the peer")
        cell = [item]
        self._items.append(cell)
        if key:
            self._open[key] = cell
        self._ready.set()

    async def get(self) -> Item:
        """Wait for the next item and take it."""
        while not self._items:
            self._ready.clear()
            await self._ready.wait()
        item = self._items.popleft()[0]
        if self._open and (key := _merge_key(item)):
            self._open.pop(key, None)
        return item

    def abandon(self, last: Close) -> None:
        """Drop everything for a peer that never reads; only `last` is left."""
        self._items.clear()
        self._open.clear()
        self.put(last)

    def put_back(self, item: Item) -> None:
        """Return an item that could not be sent to the head of the queue."""
        self._items.appendleft([item])
        self._ready.set()


def _merge_key(item: Item) -> str | None:
    if isinstance(item, bytes):
        return None
    if isinstance(item, AecStats):
        return "stats"
    return f"delta {item.item_id}" if isinstance(item, TranscriptionDelta) else None


def _merged(old: Item, new: Item) -> Item:
    """Deltas only append: the text of both is the text of the merged one."""
    if isinstance(old, TranscriptionDelta) and isinstance(new, TranscriptionDelta):
        return new.model_copy(update={"delta": old.delta + new.delta, "start_ms": old.start_ms})
    return new
