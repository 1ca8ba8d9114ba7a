"""One item of an agent: which words lie where in its sound, and how much of it was heard."""

from __future__ import annotations

from dataclasses import dataclass, field

from server.agents.piece import heard_text, joined


@dataclass(slots=True)
class Said:
    """What was sent of one item.

    Attributes:
        response_id: The response that the item belongs to.
        item_id: Its name.
        sent: Samples that were sent.
        heard: Samples that were heard, once the item is over; None while it is spoken.
    """

    response_id: str
    item_id: str
    sent: int = 0
    heard: int | None = None
    _marks: list[tuple[str, int, int]] = field(default_factory=list[tuple[str, int, int]])

    def begin(self, text: str, samples: int) -> str:
        """Note that a piece of so many samples begins with the next one; return what it adds to the text."""
        before = self.text
        self._marks.append((text, self.sent, samples))
        return joined(before, text)[len(before) :]

    @property
    def text(self) -> str:
        """The words that were heard, or were sent while the item is spoken."""
        end = self.sent if self.heard is None else self.heard
        words = ""
        for text, start, samples in self._marks:
            if end > start:
                words = joined(words, heard_text(text, (end - start) / samples))
        return words.strip()
