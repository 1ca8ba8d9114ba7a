"""Which turns of the person are still due an answer."""

from __future__ import annotations

from math import inf
from typing import Any

Event = dict[str, Any]

_TRANSCRIPTION = "conversation.item.input_audio_transcription."


class Turns:
    """Follows the events of a session.

    A turn is open from `speech_started` (`committed`, where only commits end turns) until its transcript;
    without a recogniser, until it has stopped.

    Args:
        transcribes: There are transcripts; see `transcribes`.

    Attributes:
        open: The items of the open turns, and at which ms of the microphone each began.
    """

    def __init__(self, transcribes: bool = True) -> None:
        self.open: dict[str, float] = {}
        opening, self._closing = {"input_audio_buffer.speech_started"}, {"input_audio_buffer.speech_stopped"}
        if transcribes:
            opening |= {"input_audio_buffer.committed"}
            self._closing = {_TRANSCRIPTION + "completed", _TRANSCRIPTION + "failed"}
        self._opening = opening

    def take(self, event: Event) -> None:
        """Take an event of the session."""
        if event["type"] in self._opening:
            self.open.setdefault(event["item_id"], event.get("audio_start_ms", inf))
        elif event["type"] in self._closing:
            self.open.pop(event["item_id"], None)
        elif event["type"] == "session.replaced":
            self.open.clear()  # nobody is left to answer


def transcribes(session: Event) -> bool:
    """Say whether a session, as the server describes it, has transcripts."""
    wanted = session.get("audio", {}).get("input", {}).get("transcription", {}) is not None
    return wanted and str(session.get("backends", {}).get("asr", "")) not in ("", "none")
