"""Reads a long text aloud until somebody interrupts, and goes on where it stopped."""

from __future__ import annotations

import re
from collections.abc import Sequence

from server.agents.character import Plain
from server.agents.piece import Piece
from server.agents.speaker import FRAME_MS, Speaker
from server.agents.texts import GO_ON, STOPPED
from server.events import ErrorEvent

AGAIN_MS = 3000  # silence before it reads the text once more

_STOP = re.compile(r"\b(stop|quiet|enough|shut up|silence|pause)\b|停|安静|闭嘴|别说", re.IGNORECASE)
_NOT_STOP = re.compile(r"\b(don'?t|do not|never|without) (stop|pause)", re.IGNORECASE)
_GO_ON = re.compile(r"\b(go on|continue|carry on|keep|again|read|resume|yes)\b|继续|接着", re.IGNORECASE)
_OWN = (GO_ON, STOPPED)


class Narrator(Plain):
    """Answers an interruption in a few words and goes on; "stop" keeps it quiet until "go on"."""

    def __init__(self, speaker: Speaker, texts: Sequence[str]) -> None:
        super().__init__(speaker)
        self._texts = [Piece(text) for text in texts]
        self._stopped = False
        self._quiet_ms = 0

    def begin(self) -> None:
        self._speaker.say(self._texts)

    def interrupted(self, rest: Sequence[Piece]) -> None:
        own = {text for each in _OWN for text in _ends(each)}
        self._rest = [piece for piece in rest if piece.text not in own] or self._texts

    def answer(self, text: str | None) -> None:
        if text is not None and _STOP.search(text) and not _NOT_STOP.search(text):
            self._stopped = True
            self._speaker.say([Piece(STOPPED)])
        elif not self._stopped or (text is not None and _GO_ON.search(text)):
            self._stopped = False
            self._speaker.say([Piece(GO_ON), *(self._rest or self._texts)])
            self._rest = []

    def resume(self) -> None:
        if not self._stopped:
            super().resume()

    def hop(self) -> list[ErrorEvent]:
        """Begin again some time after the end."""
        waiting = self._speaker.busy or self._stopped or bool(self._rest)
        self._quiet_ms = 0 if waiting else self._quiet_ms + FRAME_MS
        if self._quiet_ms >= AGAIN_MS:
            self.begin()
        return []


def _ends(text: str) -> list[str]:
    words = text.split()
    return [" ".join(words[start:]) for start in range(len(words))]
