"""Every model of the service, loaded once and shared by all sessions."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from time import perf_counter

from threadpoolctl import threadpool_limits

from aec_core import HopCanceller
from server.agents.company import Company, gather
from server.asr import RecognitionService, Recognizer, load_recognizer
from server.session_config import Backends
from server.settings import Settings
from server.tier.recognizer import TierRecognizer
from server.tier.turn import TierTurn
from server.turn import SmartTurn, TurnService
from server.vad import SileroBank

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Models:
    """What the engine and the listeners need."""

    core: HopCanceller
    suppressor: str  # its checkpoint, for people
    speech: SileroBank
    turns: TurnService
    recognition: RecognitionService | None
    company: Company

    @property
    def backends(self) -> Backends:
        """Which models are live, for people."""
        asr = self.recognition.recognizer.name if self.recognition else "none"
        aec = f"{self.core.config.linear} + DFSMN, {self.suppressor}"
        return Backends(
            asr=asr,
            vad="silero 6.2 + echo gate",
            turn="smart-turn 3.2",
            aec=aec,
            voice=self.company.voice,
        )

    def close(self) -> None:
        """End the workers."""
        self.turns.close()
        self.company.close()
        if self.recognition is not None:
            self.recognition.close()


def load_models(settings: Settings) -> Models:
    """Load what the settings name; takes seconds, so keep it off the event loop.

    Raises:
        RecognizerError: If a recogniser that was asked for by name cannot be had.
        VoiceError: The same of the agents' voice.
        WeightsError: If a packaged model is missing or changed.
        FileNotFoundError: If the canceller's weights are missing.
        ValueError: If the agents' settings do not fit together, or the canceller's weights are not a
            checkpoint of `duplex train`.
    """
    if settings.asr_engine != "local" and settings.asr != "none":
        return assemble_models(settings, TierRecognizer(settings.asr_engine))
    recognizer = load_recognizer(
        settings.asr,
        settings.asr_model,
        second_pass=settings.asr_second_pass,
        punctuation=settings.asr_punctuation,
        hub=settings.asr_hub,
        threads=settings.asr_threads,
        load_s=settings.asr_load_s,
    )
    return assemble_models(settings, recognizer)


def assemble_models(settings: Settings, recognizer: Recognizer | None) -> Models:
    """Put the models around a recogniser, for as many sessions as the settings allow."""
    # Threads only cost on arrays as small as ours: measured 2.5 times slower at 32 streams.
    threadpool_limits(1)
    began = perf_counter()
    models = Models(
        core=HopCanceller.pretrained(streams=settings.max_sessions, path=settings.aec_model),
        suppressor=settings.aec_model.name if settings.aec_model else "shipped weights",
        speech=SileroBank(settings.max_sessions),
        turns=_turns(settings.turn_engine),
        recognition=RecognitionService(recognizer) if recognizer is not None else None,
        company=gather(settings, recognizer is not None),
    )
    logger.info("models loaded in %.1f s: %s", perf_counter() - began, models.backends)
    return models


def _turns(engine: str) -> TurnService:
    if engine == "local":
        return TurnService(SmartTurn())
    return TurnService(TierTurn(engine, SmartTurn()), threads=4)  # the tier takes them side by side
