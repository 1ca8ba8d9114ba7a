"""The JSON events of `/v1/realtime`, client to server and server to client.

Names and shapes are OpenAI's where they have the thing; what is ours begins with `duplex.`. Times are
milliseconds on the microphone's sample clock. docs/protocol.md shows an example of each.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from server.agent_events import (
    ItemTruncated,
    OutputAudioDelta,
    ResponseCreated,
    ResponseDone,
    TranscriptDelta,
)
from server.pcm import Base64Pcm
from server.server_event import FromServer
from server.session_config import Part, SessionInfo
from server.trace import Trace

ReferenceState = Literal["ok", "silent", "missing", "swapped"]
Id = Annotated[str, Field(max_length=200)]
Ms = Annotated[float, Field(ge=0, le=2**53)]


class _FromClient(Part):
    event_id: Id | None = None


class SessionUpdate(_FromClient):
    """Partial settings; `session_config.update_session` lays them over those that hold."""

    type: Literal["session.update"] = "session.update"
    session: dict[str, Any]


class InputAudioAppend(_FromClient):
    type: Literal["input_audio_buffer.append"] = "input_audio_buffer.append"
    audio: Base64Pcm
    reference: Base64Pcm | None = None


class InputAudioCommit(_FromClient):
    type: Literal["input_audio_buffer.commit"] = "input_audio_buffer.commit"


class InputAudioClear(_FromClient):
    type: Literal["input_audio_buffer.clear"] = "input_audio_buffer.clear"


class ResponseCancel(_FromClient):
    type: Literal["response.cancel"] = "response.cancel"
    response_id: Id | None = None


class ItemTruncate(_FromClient):
    type: Literal["conversation.item.truncate"] = "conversation.item.truncate"
    item_id: Id
    content_index: int = Field(default=0, ge=0)
    audio_end_ms: Ms


class Playback(_FromClient):
    """What the client's loudspeaker plays now."""

    type: Literal["duplex.playback"] = "duplex.playback"
    playing: bool
    item_id: Id | None = None
    played_ms: Ms | None = None


class Resume(_FromClient):
    """Take up a dropped session; `next_seq` is the first frame that the client can replay.

    What was sent after `last_event_id`, the last that the client has, is sent again.
    """

    type: Literal["duplex.resume"] = "duplex.resume"
    session: Id
    token: Id
    next_seq: int = Field(ge=0, le=0xFFFF_FFFF)
    last_event_id: Id | None = None


class Ping(_FromClient):
    type: Literal["duplex.ping"] = "duplex.ping"


ClientEvent = Annotated[
    SessionUpdate
    | InputAudioAppend
    | InputAudioCommit
    | InputAudioClear
    | ResponseCancel
    | ItemTruncate
    | Playback
    | Resume
    | Ping,
    Field(discriminator="type"),
]


class SessionCreated(FromServer):
    type: Literal["session.created"] = "session.created"
    session: SessionInfo


class SessionUpdated(FromServer):
    type: Literal["session.updated"] = "session.updated"
    session: SessionInfo


class ErrorBody(Part):
    """`event_id` is the client's name for the event at fault."""

    type: Literal["invalid_request_error", "server_error", "warning"] = "invalid_request_error"
    code: str
    message: str
    param: str | None = None
    event_id: str | None = None


class ErrorEvent(FromServer):
    type: Literal["error"] = "error"
    error: ErrorBody


class Ack(FromServer):
    """All frames before `next_seq` are processed and need not be replayed."""

    type: Literal["duplex.ack"] = "duplex.ack"
    next_seq: int


class Pong(FromServer):
    """`ping_id` is the `event_id` of the ping."""

    type: Literal["duplex.pong"] = "duplex.pong"
    ping_id: str | None = None


class AudioGap(FromServer):
    """Audio is missing, came twice or came too late; microphone and reference are treated alike.

    Attributes:
        lost_ms: Audio that never came.
        filled_ms: Silence put in its place; less than `lost_ms` after a long gap.
        dropped_ms: Audio that came and was not used.
        reset: The filters start afresh.
        channel: What is concerned; both where they travel together.
    """

    type: Literal["duplex.gap"] = "duplex.gap"
    at_ms: float
    lost_ms: float = 0.0
    filled_ms: float = 0.0
    dropped_ms: float = 0.0
    reason: Literal["lost", "repeated", "late", "discontinuity", "overflow"]
    reset: bool = False
    channel: Literal["both", "mic", "reference"] = "both"


class Reference(FromServer):
    """`ok` only once reference audio has really arrived; `drift_ppm` for clocks of their own."""

    type: Literal["duplex.reference"] = "duplex.reference"
    state: ReferenceState
    at_ms: float = 0.0
    drift_ppm: float | None = None
    message: str | None = None


class AecStats(FromServer):
    """`late` and `lost` count frames since the session began."""

    type: Literal["duplex.aec.stats"] = "duplex.aec.stats"
    at_ms: float = 0.0
    delay_ms: float | None
    erle_db: float | None
    mic_dbfs: float
    ref_dbfs: float
    out_dbfs: float
    double_talk: bool
    late: int
    lost: int


class Draining(FromServer):
    """The server restarts: finish and come back within `deadline_ms`."""

    type: Literal["duplex.draining"] = "duplex.draining"
    deadline_ms: float


class DuringPlayback(Part):
    during_playback: bool


class StopReason(Part):
    """Why the turn is believed to be over; `p_turn` is the turn model's probability, if it was asked."""

    reason: str
    silence_ms: float
    p_turn: float | None = None


class SpeechStarted(FromServer):
    type: Literal["input_audio_buffer.speech_started"] = "input_audio_buffer.speech_started"
    audio_start_ms: float
    item_id: str
    duplex: DuringPlayback


class SpeechStopped(FromServer):
    type: Literal["input_audio_buffer.speech_stopped"] = "input_audio_buffer.speech_stopped"
    audio_end_ms: float
    item_id: str
    duplex: StopReason


class InputAudioCommitted(FromServer):
    type: Literal["input_audio_buffer.committed"] = "input_audio_buffer.committed"
    item_id: str
    previous_item_id: str | None = None


class InputAudioCleared(FromServer):
    type: Literal["input_audio_buffer.cleared"] = "input_audio_buffer.cleared"


class BargeIn(FromServer):
    """The person takes the floor: `duck` the agent's voice, then `commit` to stopping it.

    `audio_ms` is how long the person has spoken, `reason` what decided: that, or words.
    """

    type: Literal["duplex.barge_in"] = "duplex.barge_in"
    stage: Literal["duck", "commit"]
    reason: Literal["speech", "words"] = "speech"
    audio_ms: float
    item_id: str | None = None


class FalseInterruption(FromServer):
    """What ducked the agent was nothing: it may go on."""

    type: Literal["duplex.false_interruption"] = "duplex.false_interruption"
    reason: Literal["silence", "no_words", "backchannel", "cleared"] = "silence"
    audio_ms: float = 0.0
    item_id: str | None = None


class TranscriptionDelta(FromServer):
    """`text` is the whole partial transcript and may revise; `delta` is what it adds."""

    type: Literal["conversation.item.input_audio_transcription.delta"] = (
        "conversation.item.input_audio_transcription.delta"
    )
    item_id: str
    content_index: int = 0
    delta: str
    text: str
    start_ms: float
    end_ms: float
    stable: bool = False


class Word(Part):
    word: str
    start_ms: float
    end_ms: float


class TranscriptionCompleted(FromServer):
    """The truth about the turn; `words` is empty where the recogniser has no times."""

    type: Literal["conversation.item.input_audio_transcription.completed"] = (
        "conversation.item.input_audio_transcription.completed"
    )
    item_id: str
    content_index: int = 0
    transcript: str
    words: tuple[Word, ...] = ()


class TranscriptionFailed(FromServer):
    type: Literal["conversation.item.input_audio_transcription.failed"] = (
        "conversation.item.input_audio_transcription.failed"
    )
    item_id: str
    content_index: int = 0
    error: ErrorBody


ServerEvent = Annotated[
    SessionCreated
    | SessionUpdated
    | ErrorEvent
    | Ack
    | Pong
    | AudioGap
    | Reference
    | AecStats
    | Draining
    | SpeechStarted
    | SpeechStopped
    | InputAudioCommitted
    | InputAudioCleared
    | BargeIn
    | FalseInterruption
    | Trace
    | TranscriptionDelta
    | TranscriptionCompleted
    | TranscriptionFailed
    | ResponseCreated
    | ResponseDone
    | TranscriptDelta
    | OutputAudioDelta
    | ItemTruncated,
    Field(discriminator="type"),
]
