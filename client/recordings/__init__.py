"""The shipped recording: a person talks twice over an agent that keeps on talking."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

DIRECTORY = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Sentence:
    """What the person says and where, in samples of the microphone at 16 kHz."""

    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Recording:
    """The files of a recorded conversation and what was said in it."""

    mic: Path
    ref: Path
    near: Path
    person: tuple[Sentence, ...]
    agent: str


def shipped() -> Recording:
    """Return the recording that comes with the package."""
    facts = json.loads((DIRECTORY / "transcript.json").read_text(encoding="utf-8"))
    return Recording(
        mic=DIRECTORY / "mic.wav",
        ref=DIRECTORY / "ref.wav",
        near=DIRECTORY / "near.flac",
        person=tuple(Sentence(**sentence) for sentence in facts["person"]),
        agent=facts["agent"]["text"],
    )
