"""The `session` object: what a client may set, with its defaults, and how the server describes it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from server.errors import ProtocolError

Rate = Literal[16000, 24000, 48000]
Beta = Annotated[float, Field(ge=0, le=2)]
AgentName = Literal["none", "narrator", "parrot", "openai"]


class Part(BaseModel):
    """A frozen part of a message: an unknown field, a NaN or a text where a number is due is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class AudioFormat(Part):
    type: Literal["audio/pcm"] = "audio/pcm"
    rate: Rate = 24000


class SemanticVadConfig(Part):
    type: Literal["semantic_vad"] = "semantic_vad"
    eagerness: Literal["low", "medium", "high", "auto"] = "auto"


class ServerVadConfig(Part):
    type: Literal["server_vad"] = "server_vad"
    threshold: float = Field(default=0.5, gt=0, lt=1)
    prefix_padding_ms: int = Field(default=300, ge=0, le=2000)
    silence_duration_ms: int = Field(default=500, ge=100, le=10_000)


TurnDetectionConfig = Annotated[SemanticVadConfig | ServerVadConfig, Field(discriminator="type")]


class TranscriptionConfig(Part):
    """How speech becomes text; `model` None takes what the server runs."""

    model: str | None = Field(default=None, max_length=200)
    language: str | None = Field(default=None, max_length=20)
    prompt: str | None = Field(default=None, max_length=2000)


class InputConfig(Part):
    """What comes in. None for `turn_detection`: turns end at `commit`; for `transcription`: no text."""

    format: AudioFormat = AudioFormat()
    turn_detection: TurnDetectionConfig | None = SemanticVadConfig()
    transcription: TranscriptionConfig | None = TranscriptionConfig()


class AudioConfig(Part):
    input: InputConfig = InputConfig()


class AecConfig(Part):
    """The canceller: `beta_vad` and `beta_asr` trade echo left against speech lost, in the post-filter."""

    beta_vad: Beta = 0.6
    beta_asr: Beta = 0.2
    enabled: bool = True


Words = Annotated[tuple[Annotated[str, Field(max_length=100)], ...], Field(strict=False, max_length=100)]


class DuplexConfig(Part):
    """What OpenAI's sessions have no word for.

    Attributes:
        stats_hz: Statistics a second; 0 is none.
        hotwords: Words that are likely.
        backchannels: Words that do not interrupt the agent; None takes those of the language.
        trace: Send what the listener saw and decided, hop by hop.
    """

    cleaned_audio: bool = False
    stats_hz: float = Field(default=5.0, ge=0, le=50)
    agent: AgentName = "none"
    hotwords: Words = ()
    backchannels: Words | None = None
    trace: bool = False


class SessionConfig(Part):
    """All that a client may set, and what holds until it does."""

    type: Literal["transcription", "realtime"] = "transcription"
    audio: AudioConfig = AudioConfig()
    aec: AecConfig = AecConfig()
    duplex: DuplexConfig = DuplexConfig()

    @property
    def rate(self) -> int:
        """Sample rate of the audio on the wire, Hz."""
        return self.audio.input.format.rate


class Backends(Part):
    """Which models are live, by name and version."""

    asr: str
    vad: str
    turn: str
    aec: str
    voice: str = "none"


class Limits(Part):
    """What the server holds a client to."""

    min_frame_ms: float = 10
    max_frame_ms: float = 100
    max_message_bytes: int = 262_144
    max_queued_ms: float = 500
    warn_queued_ms: float = 200
    max_behind_ms: float = 5000
    resume_ms: float = 30_000
    idle_ms: float = 60_000
    max_session_ms: float = 3_600_000


class SessionInfo(SessionConfig):
    """A session as the server describes it: the settings that hold, and what the client needs to know.

    Attributes:
        latency_samples: By how much the cleaned audio lags the microphone, at 16 kHz.
        resumed: The filters and the sample clocks are those of the dropped session.
        next_seq: First audio frame that the server has not seen.
    """

    id: str
    object: Literal["realtime.session"] = "realtime.session"
    protocol_version: int = 1
    resume_token: str
    backends: Backends
    limits: Limits = Limits()
    latency_samples: int
    resumed: bool = False
    next_seq: int = 0


def update_session(
    config: SessionConfig, change: dict[str, Any], agents: Collection[str] = ("none",)
) -> SessionConfig:
    """Return the configuration with a partial one laid over it; what is not named stays.

    Args:
        config: What holds now.
        change: The `session` object of `session.update`.
        agents: Which of them this server has.

    Raises:
        ProtocolError: If a field is unknown or a value is not allowed; nothing has changed then.
    """
    try:
        updated = SessionConfig.model_validate(_laid_over(config.model_dump(), change))
    except ValidationError as error:
        raise refusal(error, "session") from None
    if updated.duplex.agent not in agents:
        raise ProtocolError(
            f"agent {updated.duplex.agent!r} is not available on this server: {', '.join(agents)} are",
            "unsupported",
            param="session.duplex.agent",
        )
    return updated


def refusal(error: ValidationError, *prefix: str, skip: int = 0) -> ProtocolError:
    """Turn the first fault that validation found into the answer for the peer.

    Args:
        error: What pydantic found.
        prefix: Where in the peer's message the validated part stands.
        skip: Leading parts of pydantic's location that are no part of the message: the tag of a union.
    """
    fault = error.errors(include_url=False, include_input=False)[0]
    inner = [str(part)[:80] for part in fault["loc"][skip:] if part not in ("semantic_vad", "server_vad")]
    param = ".".join([*prefix, *inner])
    codes = {"extra_forbidden": "unknown_parameter", "missing": "missing_required_parameter"}
    words = {"extra_forbidden": "unknown parameter", "missing": "missing parameter"}
    fault_type = fault["type"]
    message = (
        f"{words[fault_type]} {param}"
        if fault_type in words
        else f"{param}: {fault['msg'].removeprefix('Value error, ')}"
    )
    return ProtocolError(message, codes.get(fault_type, "invalid_value"), param=param or None)


def _laid_over(base: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in change.items():
        old = merged.get(key)
        if isinstance(old, dict) and isinstance(value, dict) and _same_type(old, value):
            value = _laid_over(old, value)
        merged[key] = value
    return merged


def _same_type(old: dict[str, Any], new: dict[str, Any]) -> bool:
    """Say whether both are the same member of a union: a server_vad keeps nothing of a semantic_vad."""
    return new.get("type", old.get("type")) == old.get("type")
