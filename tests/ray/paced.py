"""A recogniser that takes its time and no core, as one on another machine does to the server beside it.

While it makes a final text there is a file that says so.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from server.asr import Transcript
from server.tier.deployments import RecognizerDeployment

TEXT_S = 0.35  # whisper on a core of its own


class Paced:
    name = "paced"
    streaming = False

    def open(self, language: str | None, hotwords: Sequence[str]) -> PacedUtterance:
        return PacedUtterance()


class Attached:
    """A streaming recogniser that says which process heard each piece of audio, and how much."""

    name = "attached"
    streaming = True

    def open(self, language: str | None, hotwords: Sequence[str]) -> AttachedUtterance:
        return AttachedUtterance()


class AttachedUtterance:
    def __init__(self) -> None:
        self._text = ""

    def feed(self, audio: np.ndarray) -> str:
        self._text += f"{os.getpid()}:{len(audio)} "
        return self._text

    def finish(self, tail: np.ndarray) -> Transcript:
        return Transcript(self.feed(tail))


class PacedUtterance:
    """Says how many samples it heard."""

    def __init__(self) -> None:
        self._heard = 0

    def feed(self, audio: np.ndarray) -> str:
        time.sleep(TEXT_S)
        self._heard += len(audio)
        return str(self._heard)

    def finish(self, tail: np.ndarray) -> Transcript:
        at_work = Path(os.environ["TIER_AT_WORK"]) / f"{os.getpid()}.at-work"
        at_work.touch()
        text = self.feed(tail)
        at_work.unlink()
        return Transcript(text)


def asr(_: dict[str, Any]) -> Any:
    return RecognizerDeployment.options(name="Recognizer").bind(Paced)


def attached(_: dict[str, Any]) -> Any:
    return RecognizerDeployment.options(name="Recognizer").bind(Attached)
