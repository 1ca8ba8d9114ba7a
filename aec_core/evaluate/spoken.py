"""Long calls of known utterances over one continuous echo: what recognisers and detectors are scored on."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from aec_core.train.manifest import NEAR, UnusableError, read_audio
from aec_core.train.mixtures import Mixture, Scene, Talk, make_mixture
from aec_core.train.pairs import EchoPair
from aec_core.train.sources import Sources
from aec_core.types import SAMPLE_RATE, Samples, Wave

LEVELS_DB = (0, -10)
"""SER in the place of the paper's loudspeaker volumes, 70 % and 100 %.

It names -20 dB for the latter; there the small recogniser that installs from packages gets no word of any
system's output, so that nothing could be told apart.
"""

UTTERANCES = 5  # of a segment; the paper has ten, but more rooms say more than longer calls
_LONGEST_S = 8.0
_PAUSE_S = (2.0, 4.0)


@dataclass(frozen=True)
class Utterance:
    """Words that were said from sample `start` to `stop`."""

    text: str
    start: int
    stop: int


@dataclass(frozen=True)
class Segment:
    """One long call and what is said in it."""

    level_db: int  # SER
    mixture: Mixture
    spoken: tuple[Utterance, ...]


def load_utterances(manifest: Path, split: str) -> list[tuple[str, Samples]]:
    """Read the English speech of at most 8 s whose words a manifest tells in its column `transcript`.

    The column `language` may be missing: all is English then. Files that cannot be read are left out.
    """
    with manifest.open(newline="", encoding="utf-8-sig") as file:
        lines = [line for line in csv.DictReader(file, restval="") if _is_english_speech(line, split)]
    utterances: list[tuple[str, Samples]] = []
    for line in lines:
        try:
            audio = read_audio(manifest.parent / line["path"])
        except UnusableError:
            continue
        if len(audio) <= _LONGEST_S * SAMPLE_RATE:
            utterances.append((line["transcript"], audio.astype(np.float32) / np.float32(32768)))
    return utterances


def _is_english_speech(line: dict[str, str], split: str) -> bool:
    english = (line.get("language") or "en").startswith("en")
    return line["split"] == split and line["kind"] in NEAR and english and bool(line.get("transcript"))


def make_segments(
    utterances: Sequence[tuple[str, Samples]],
    sources: Sources,
    segments: int,
    seed: int,
    made: Callable[[], None] = lambda: None,
) -> list[Segment]:
    """Make `segments` calls at each level; the same call at another level differs in nothing else."""
    calls: list[Segment] = []
    for number in range(segments if utterances else 0):
        script, spoken = _script(utterances, np.random.default_rng([seed, number]))
        for level in LEVELS_DB:
            scene = Scene(Talk.DOUBLE, ser_db=level, snr_db=30)
            rng = np.random.default_rng([seed, number, 1])
            mixture = make_mixture(scene, Scripted(sources, script), len(script) / SAMPLE_RATE, rng)
            calls.append(Segment(level, mixture, spoken))
            made()
    return calls


def _script(
    utterances: Sequence[tuple[str, Samples]], rng: np.random.Generator
) -> tuple[Samples, tuple[Utterance, ...]]:
    parts: list[Samples] = [_pause(rng)]
    spoken: list[Utterance] = []
    for pick in rng.permutation(len(utterances))[:UTTERANCES]:
        text, audio = utterances[int(pick)]
        first, last = speech_bounds(audio)
        start = sum(map(len, parts))
        level = 0.1 * 10 ** (rng.uniform(-3, 3) / 20) / (np.sqrt(np.mean(audio**2)) + 1e-6)
        parts += [(level * audio).astype(np.float32), _pause(rng)]
        spoken.append(Utterance(text, start + first, start + last))
    return np.concatenate(parts), tuple(spoken)


def _pause(rng: np.random.Generator) -> Samples:
    return np.zeros(round(rng.uniform(*_PAUSE_S) * SAMPLE_RATE), np.float32)


def speech_bounds(audio: Samples) -> tuple[int, int]:
    """Return where speech begins and ends: the outermost 20 ms within 35 dB of the loudest."""
    power = np.mean(audio[: len(audio) // 320 * 320].reshape(-1, 320) ** 2, axis=1)
    loud = np.flatnonzero(power > 10**-3.5 * power.max())
    return int(loud[0]) * 320, int(loud[-1] + 1) * 320


class Scripted(Sources):
    """Sources whose near end says what it is told, and whose echoes are simulated."""

    def __init__(self, sources: Sources, script: Samples) -> None:
        self._sources = sources
        self._script = script

    def near(self, n: int, rng: np.random.Generator) -> Wave:
        return self._script[:n].copy()

    def far(self, n: int, rng: np.random.Generator) -> Wave:
        return self._sources.far(n, rng)

    def noise(self, n: int, rng: np.random.Generator) -> Wave:
        return self._sources.noise(n, rng)

    def recorded(self, rng: np.random.Generator) -> EchoPair | None:
        return None
