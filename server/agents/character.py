"""What a character of an agent is: it decides what to say, and when."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from server.agents.piece import Piece
from server.agents.speaker import Speaker
from server.events import ErrorEvent


class Character(Protocol):
    """Decides what a speaker says. Synchronous; what takes long is asked for, and collected by `hop`."""

    def begin(self) -> None:
        """The session has begun."""
        ...

    def interrupted(self, rest: Sequence[Piece]) -> None:
        """It was silenced by a person, or the client; `rest` was not heard."""
        ...

    def resume(self) -> None:
        """The interruption was none: nobody said anything."""
        ...

    def answer(self, text: str | None) -> None:
        """A person has said something, and is done; None where nobody knows what it was."""
        ...

    def hop(self) -> list[ErrorEvent]:
        """Let 20 ms pass; return what went wrong."""
        ...

    def close(self) -> None:
        """Give up what is on its way; what is begun anew is begun by a person."""
        ...


class Plain:
    """A character that says what it has at once and goes on with it after an interruption that was none."""

    def __init__(self, speaker: Speaker) -> None:
        self._speaker = speaker
        self._rest: list[Piece] = []

    def begin(self) -> None: ...

    def interrupted(self, rest: Sequence[Piece]) -> None:
        self._rest = list(rest)

    def resume(self) -> None:
        self._speaker.say(self._rest)
        self._rest = []

    def answer(self, text: str | None) -> None: ...

    def hop(self) -> list[ErrorEvent]:
        return []

    def close(self) -> None: ...
