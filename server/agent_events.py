"""The events of an agent that the server speaks for: what it says, and how much of it was heard."""

from __future__ import annotations

from typing import Literal

from server.server_event import FromServer
from server.session_config import Part

ResponseStatus = Literal["in_progress", "completed", "cancelled", "failed"]


class Response(Part):
    id: str
    object: Literal["realtime.response"] = "realtime.response"
    status: ResponseStatus
    item_id: str | None = None


class ResponseCreated(FromServer):
    type: Literal["response.created"] = "response.created"
    response: Response


class ResponseDone(FromServer):
    type: Literal["response.done"] = "response.done"
    response: Response


class Within(Part):
    """Where in the item's sound the words lie."""

    start_ms: float
    end_ms: float


class TranscriptDelta(FromServer):
    """What the agent says from now on; the deltas of an item make up its text."""

    type: Literal["response.output_audio_transcript.delta"] = "response.output_audio_transcript.delta"
    response_id: str
    item_id: str
    output_index: int = 0
    content_index: int = 0
    delta: str
    duplex: Within


class OutputAudioDelta(FromServer):
    """The agent's voice, as base64, for a client that sends its own audio so."""

    type: Literal["response.output_audio.delta"] = "response.output_audio.delta"
    response_id: str
    item_id: str
    output_index: int = 0
    content_index: int = 0
    delta: str


class Heard(Part):
    """The words of the item that the person has heard."""

    transcript: str


class ItemTruncated(FromServer):
    type: Literal["conversation.item.truncated"] = "conversation.item.truncated"
    item_id: str
    content_index: int = 0
    audio_end_ms: float
    duplex: Heard | None = None
