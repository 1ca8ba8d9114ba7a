"""What a client may choose of how its session is listened to."""

from __future__ import annotations

from dataclasses import dataclass, field

from server.endpointer import SemanticVad, ServerVad, TurnDetection
from server.floor import default_backchannels
from server.session_config import ServerVadConfig, SessionConfig


@dataclass(frozen=True, slots=True)
class ListenerSettings:
    """What a client may choose.

    Attributes:
        detection: How turns are found; None: a turn is what lies between two commits.
        transcribe: Turns are given to the recogniser.
        language: ISO-639-1 code, None for what the recogniser prefers.
        hotwords: Words that are likely.
        backchannels: What a listener says without wanting to speak.
        trace: What is seen and decided is told, hop by hop.
    """

    detection: TurnDetection | None = field(default_factory=SemanticVad)
    transcribe: bool = True
    language: str | None = None
    hotwords: tuple[str, ...] = ()
    backchannels: tuple[str, ...] = default_backchannels(None)
    trace: bool = False

    @classmethod
    def of(cls, config: SessionConfig) -> ListenerSettings:
        """Pick out of a session's configuration what the listener needs."""
        chosen, transcription = config.audio.input.turn_detection, config.audio.input.transcription
        detection: TurnDetection | None = None
        if isinstance(chosen, ServerVadConfig):
            detection = ServerVad(chosen.threshold, chosen.prefix_padding_ms, chosen.silence_duration_ms)
        elif chosen is not None:
            detection = SemanticVad(chosen.eagerness)
        language = transcription.language if transcription else None
        chosen_words = config.duplex.backchannels
        backchannels = default_backchannels(language) if chosen_words is None else chosen_words
        return cls(
            detection,
            transcription is not None,
            language,
            config.duplex.hotwords,
            backchannels,
            config.duplex.trace,
        )
