"""Says back what it understood."""

from __future__ import annotations

from server.agents.character import Plain
from server.agents.piece import Piece
from server.agents.speaker import Speaker
from server.agents.texts import HEARD


class Parrot(Plain):
    """With a voice that says any text it repeats the words; else it says that it heard some."""

    def __init__(self, speaker: Speaker, free: bool) -> None:
        super().__init__(speaker)
        self._free = free

    def answer(self, text: str | None) -> None:
        known = text is not None and self._free
        self._speaker.say([Piece(f"You said: {text}" if known else HEARD)])
