"""Who talks in a dialogue: speakers of a manifest and the sentences that they say."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from aec_core.evaluate.spoken import speech_bounds
from aec_core.train.manifest import NEAR, Row, UnusableError, read_audio, read_rows
from aec_core.train.sources import Clip
from aec_core.types import SAMPLE_RATE, Samples

_SHORTEST_S, _LONGEST_S = 1.0, 8.0
_BETWEEN = re.compile(r"(?<=[.!?。！？])\s+")
_ENDS = (".", "!", "?", "。", "！", "？")
_FRAME = 320
_QUIET = 1e-4  # of the loudest frame's power: nobody speaks
_BREATH_S = 0.08  # the least silence between two sentences


@dataclass(frozen=True)
class Saying:
    """Something said: audio `(n,)` cut to its speech, and its words."""

    audio: Samples
    text: str

    @property
    def whole(self) -> bool:
        """It ends as sentences do, so that a listener can tell that it is over."""
        return self.text.rstrip("\"'”’») ").endswith(_ENDS)


@dataclass(frozen=True)
class Talker:
    """One speaker."""

    name: str
    language: str
    sayings: tuple[Saying, ...]

    @property
    def english(self) -> bool:
        """The recogniser that installs from packages knows the language; nothing said counts as English."""
        return (self.language or "en").lower().startswith("en")

    @property
    def whole(self) -> tuple[Saying, ...]:
        """What is said in whole sentences."""
        return tuple(saying for saying in self.sayings if saying.whole)


@dataclass(frozen=True)
class Voices:
    """Who may talk, and what else a room holds."""

    talkers: tuple[Talker, ...]
    noises: tuple[Clip, ...]


def load_voices(manifest: Path, split: str, also: Collection[str] = ()) -> Voices:
    """Read the speakers of a split whose words a manifest tells, and its noises.

    A clip of several sentences is cut at the silences between them.

    Args:
        manifest: As `docs/data.md` describes it.
        split: Whose speakers talk.
        also: Corpora or speakers that talk, too, whatever their split.

    Raises:
        ValueError: If it is no manifest, or has fewer than two such speakers.
    """
    said: dict[tuple[str, str], list[Saying]] = {}
    noises: list[Clip] = []
    for row in read_rows(manifest, split, also):
        try:
            if row.kind == "noise":
                noises.append(Clip(read_audio(row.path), row.corpus, row.speaker))
            elif row.kind in NEAR and row.transcript:
                said.setdefault((f"{row.corpus}/{row.speaker}", row.language), []).extend(_sayings(row))
        except UnusableError:
            continue
    talkers = [Talker(name, language, tuple(all_)) for (name, language), all_ in said.items() if all_]
    if len(talkers) < 2:
        raise ValueError(
            f"{manifest} has {len(talkers)} speakers with transcripts in split {split}: "
            "a person and an agent are two"
        )
    return Voices(tuple(talkers), tuple(noises))


def _sayings(row: Row) -> list[Saying]:
    audio = read_audio(row.path).astype(np.float32) / np.float32(32768)
    texts = _BETWEEN.split(row.transcript.strip())
    pieces = _split(audio, len(texts))
    if len(pieces) != len(texts):
        pieces, texts = [audio], [row.transcript.strip()]
    cut = [piece[slice(*speech_bounds(piece))] for piece in pieces]
    return [
        Saying(piece, text)
        for piece, text in zip(cut, texts, strict=True)
        if _SHORTEST_S <= len(piece) / SAMPLE_RATE <= _LONGEST_S
    ]


def _split(audio: Samples, parts: int) -> list[Samples]:
    """Cut at the longest silences inside; fewer parts come back if there are not enough."""
    first, last = speech_bounds(audio)
    frames = audio[first:last]
    power = np.mean(frames[: len(frames) // _FRAME * _FRAME].reshape(-1, _FRAME) ** 2, axis=1)
    quiet = np.concatenate([[0], (power < _QUIET * power.max()).astype(np.int8), [0]])
    edges = np.flatnonzero(np.diff(quiet)).reshape(-1, 2)
    edges = edges[np.argsort(edges[:, 0] - edges[:, 1])][: parts - 1]
    long = edges[edges[:, 1] - edges[:, 0] >= _BREATH_S * SAMPLE_RATE / _FRAME]
    at = first + _FRAME * np.sort(long.sum(axis=1) // 2)
    return np.split(audio, at)
