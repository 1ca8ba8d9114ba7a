"""Speech recognition: the contract, the worker that sessions share, and the backends by name."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Literal

from server.asr.contract import Recognizer, RecognizerError, Transcript, Utterance, Word
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

PARAFORMER_HUB_ID = "paraformer-zh-streaming"

logger = logging.getLogger(__name__)


def load_recognizer(
    name: Literal["auto", "whisper", "paraformer", "none"],
    model: str | None = None,
    *,
    second_pass: str | None = None,
    punctuation: str | None = None,
) -> Recognizer | None:
    """Load a backend by name.

    Args:
        name: `auto` is Paraformer if `model` is a local directory, else Whisper if its packages
            are installed, else none.
        model: Local directory or hub id of the streaming Paraformer.
        second_pass: The same of an offline Paraformer for the final text.
        punctuation: The same of a punctuation model for the final text.

    Returns:
        The recogniser, None for none.

    Raises:
        RecognizerError: If a backend that was asked for by name cannot be loaded.
        ValueError: If there is no backend of that name.
    """
    if name == "auto":
        return _best(model, second_pass, punctuation)
    if name == "none":
        return None
    if name == "whisper":
        return _whisper()
    if name == "paraformer":
        return _paraformer(model or PARAFORMER_HUB_ID, second_pass, punctuation)
    raise ValueError(f"unknown recogniser {name!r}, expected auto, whisper, paraformer or none")


def _best(model: str | None, second_pass: str | None, punctuation: str | None) -> Recognizer | None:
    if model is not None and Path(model).is_dir():
        return _paraformer(model, second_pass, punctuation)
    if model is not None:
        logger.warning(
            "%s is not a local directory: choose paraformer by name to load it from the hub", model
        )
    try:
        return _whisper()
    except RecognizerError as error:
        logger.warning("no speech recognition, there will be no transcripts: %s", error)
        return None


def _whisper() -> Recognizer:
    from server.asr.whisper import WhisperRecognizer

    return WhisperRecognizer()


def _paraformer(model: str, second_pass: str | None, punctuation: str | None) -> Recognizer:
    from server.asr.paraformer import ParaformerModels, ParaformerRecognizer

    return ParaformerRecognizer(ParaformerModels(model, second_pass, punctuation))
