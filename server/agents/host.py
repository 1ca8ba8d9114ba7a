"""What a session lends its agent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from server.agents.said import Said
from server.outbox import Item
from server.pcm import Pcm


@dataclass(frozen=True, slots=True)
class Host:
    """The session, as an agent needs it.

    Attributes:
        new_response: Names a response and its item.
        carry: Makes a message of the next frame of a response.
        says: Told the words of each sentence when its sound begins to be sent.
        harmless: Says of words that were heard over the agent that they want nothing.
    """

    new_response: Callable[[], Said]
    carry: Callable[[Said, Pcm], Item]
    says: Callable[[str], None] = lambda text: None
    harmless: Callable[[str], bool] = lambda text: not text
