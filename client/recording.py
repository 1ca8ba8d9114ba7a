"""The recording that ships with the package: a person talking over an agent on a loudspeaker."""

from __future__ import annotations

import importlib.resources
import json
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from client.audio import load_mono

SAMPLE_RATE = 16_000


@dataclass(frozen=True)
class Sentence:
    """Something that the person says, with its bounds in ms on the microphone's clock."""

    text: str
    start_ms: float
    end_ms: float


@dataclass(frozen=True)
class Recording:
    """Microphone and reference, float32 at 16 kHz, and what the person says in them."""

    mic: NDArray[np.float32]
    ref: NDArray[np.float32]
    sentences: tuple[Sentence, ...]


def shipped() -> Recording:
    """Load the recording.

    Raises:
        AudioFileError: If the installation lacks it.
    """
    folder = importlib.resources.files("client.recordings")
    with (
        importlib.resources.as_file(folder / "mic.wav") as mic,
        importlib.resources.as_file(folder / "ref.wav") as ref,
    ):
        audio = load_mono(mic, SAMPLE_RATE), load_mono(ref, SAMPLE_RATE)
    facts = json.loads((folder / "transcript.json").read_text(encoding="utf-8"))
    to_ms = 1000 / facts["sample_rate"]
    person = facts["person"]
    sentences = tuple(Sentence(p["text"], p["start"] * to_ms, p["end"] * to_ms) for p in person)
    return Recording(*audio, sentences)
