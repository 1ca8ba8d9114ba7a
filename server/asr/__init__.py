"""Speech recognition: the contract, the worker that sessions share, and the backends by name."""

from __future__ import annotations

import logging
from typing import Literal

from server.asr.choice import ParaformerModels, choose
from server.asr.contract import Recognizer, RecognizerError, Transcript, Utterance, Word
from server.asr.hub import Hub
from server.asr.recognition import Failed, Limits, Partial, Recognition
from server.asr.service import RecognitionService

__all__ = [
    "Failed",
    "Limits",
    "Partial",
    "Recognition",
    "RecognitionService",
    "Recognizer",
    "RecognizerError",
    "Transcript",
    "Utterance",
    "Word",
    "load_recognizer",
]

logger = logging.getLogger(__name__)


def load_recognizer(
    name: Literal["auto", "whisper", "paraformer", "none"],
    model: str | None = None,
    *,
    second_pass: str | None = None,
    punctuation: str | None = None,
    hub: Hub = "modelscope",
    threads: int = 1,
    load_s: float = 300,
) -> Recognizer | None:
    """Load a backend by name.

    Args:
        name: `auto` is Paraformer if `model` is given and can be had, else Whisper if its packages
            are installed, else none.
        model: Local directory or hub id of the streaming Paraformer; see `choose`, as for the next two.
        second_pass: The same of an offline Paraformer for the final text.
        punctuation: The same of a punctuation model for the final text.
        hub: Where ids come from.
        threads: CPU threads of Paraformer.
        load_s: It is given up if it is not there after so long, a download included.

    Returns:
        The recogniser, None for none.

    Raises:
        RecognizerError: If a backend that was asked for by name cannot be loaded.
        ValueError: If there is no backend of that name.
    """
    if name == "none":
        return None
    if name == "whisper":
        return _whisper()
    if name not in ("auto", "paraformer"):
        raise ValueError(f"unknown recogniser {name!r}, expected auto, whisper, paraformer or none")
    if name == "auto" and model is None:  # nobody asked for a gigabyte from the hub
        return _fallback()
    try:
        return _paraformer(choose(model, second_pass, punctuation, hub, threads), load_s)
    except RecognizerError as error:
        if name == "paraformer":
            raise
        logger.warning("no paraformer: %s", error)
        return _fallback()


def _fallback() -> Recognizer | None:
    try:
        return _whisper()
    except RecognizerError as error:
        logger.warning("no speech recognition, there will be no transcripts: %s", error)
        return None


def _whisper() -> Recognizer:
    from server.asr.whisper import WhisperRecognizer

    return WhisperRecognizer()


def _paraformer(models: ParaformerModels, load_s: float) -> Recognizer:
    from server.asr.process import Patience, ProcessRecognizer

    models.check()
    if models.second_pass is None:
        logger.info("paraformer without a second pass: final texts have no times")
    return ProcessRecognizer(models, Patience(load=load_s))
