"""Speech, music and noise to mix: read once from a manifest, kept in memory as int16."""

from __future__ import annotations

import csv
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile as sf
from numpy.typing import NDArray

from aec_core.types import SAMPLE_RATE, Wave

logger = logging.getLogger(__name__)

# Of near-end speech, by what a corpus' name begins with; any other only plays, unless there is none of these.
_NEAR_SHARE = {"librispeech": 0.45, "rhasspy": 0.25, "vctk": 0.05, "gcompris": 0.15, "audio_cmn": 0.1}
_COLUMNS = frozenset({"path", "kind", "corpus", "speaker", "split"})
_NEAR = {"speech", "near"}
_FAR = {"speech", "far", "music"}
_KINDS = _NEAR | _FAR | {"noise"}
_MIN_DYNAMICS_DB = 22.0  # 95th minus 5th percentile of frame level: a noisy recording is no target


@dataclass(frozen=True)
class Clip:
    """One utterance or stretch of noise, int16 at 16 kHz."""

    audio: NDArray[np.int16]
    corpus: str
    speaker: str


class Sources:
    """Draws near-end speech, far-end programme and noise of any length."""

    def __init__(self, near: list[Clip], far: list[Clip], noise: list[Clip]) -> None:
        if not near or not far:
            raise ValueError("no usable speech: need at least one near-end and one far-end clip")
        self._near, self._far, self._noise = _grouped(near), far, noise

    def near(self, n: int, rng: np.random.Generator) -> Wave:
        """Merge utterances of one to three people, with overlaps and gaps of -1 to +3 s."""
        out = np.zeros(n, np.float32)
        people = [self._person(rng) for _ in range(rng.integers(1, 4))]
        at = int(rng.uniform(-0.5, 2.5) * SAMPLE_RATE)
        while at < n:
            clip = people[rng.integers(len(people))](rng)
            _add(out, clip * 10 ** (rng.uniform(-4, 4) / 20), at)
            at += max(len(clip) + int(rng.uniform(-1, 3) * SAMPLE_RATE), SAMPLE_RATE // 2)
        if not out.any():
            _add(out, people[0](rng), 0)
        return out

    def one_talker(self, n: int, rng: np.random.Generator) -> Wave:
        """One person's utterances back to back, nothing merged: `near` without the paper's augmentation."""
        out = np.zeros(n, np.float32)
        person = self._person(rng)
        at = int(rng.uniform(0, 0.5) * min(n, SAMPLE_RATE))
        while at < n:
            clip = person(rng)
            _add(out, clip, at)
            at += len(clip)
        return out

    def far(self, n: int, rng: np.random.Generator) -> Wave:
        """One continuous programme: an agent's speech with small pauses, or now and then music."""
        out = np.zeros(n, np.float32)
        first = self._far[rng.integers(len(self._far))]
        same = [clip for clip in self._far if clip.speaker == first.speaker][:50]
        at = int(rng.uniform(-1.0, 0.5) * SAMPLE_RATE)
        while at < n:
            clip = _levelled(same[rng.integers(len(same))], n, rng)
            _add(out, clip, at)
            at += len(clip) + int(rng.exponential(0.4) * SAMPLE_RATE)
        if not out.any():
            _add(out, _levelled(first, n, rng), 0)
        return out

    def noise(self, n: int, rng: np.random.Generator) -> Wave:
        """Recorded noise, or white and pink noise in a third of the draws."""
        if not self._noise or rng.random() < 0.35:
            white = np.fft.rfft(rng.standard_normal(n))
            tilt = np.maximum(np.arange(len(white)), 1.0) ** -rng.uniform(0, 0.7)
            return np.fft.irfft(white * tilt, n=n).astype(np.float32)
        clip = self._noise[rng.integers(len(self._noise))].audio.astype(np.float32) / 32768
        repeats = -(-n // len(clip)) + 1
        start = int(rng.integers(len(clip)))
        return np.tile(clip, repeats)[start : start + n].copy()

    def _person(self, rng: np.random.Generator) -> Callable[[np.random.Generator], Wave]:
        corpora = list(self._near)
        share = np.array([_NEAR_SHARE.get(name, 0.1) for name in corpora])
        speakers = self._near[corpora[rng.choice(len(corpora), p=share / share.sum())]]
        clips = speakers[rng.integers(len(speakers))]
        return lambda rng: _levelled(clips[rng.integers(len(clips))], 10 * SAMPLE_RATE, rng)


def load_sources(manifest: Path, split: str) -> Sources:
    """Read all clips of a split that a manifest lists (`docs/data.md` describes its columns).

    Files that are missing, unreadable, not mono at 16 kHz, shorter than 250 ms or silent are
    skipped, counted and logged.

    Raises:
        ValueError: If the manifest lacks a column, or no usable speech is left.
    """
    far: list[Clip] = []
    near: list[Clip] = []
    clean: list[Clip] = []
    noise: list[Clip] = []
    rows = [row for row in _rows(manifest) if row["split"] == split and row["kind"] in _KINDS]
    skipped = 0
    for row in rows:
        clip = _read(manifest.parent / row["path"], row)
        if clip is None:
            skipped += 1
            continue
        if row["kind"] == "noise":
            noise.append(clip)
        if row["kind"] in _FAR:
            far.append(clip)
        if row["kind"] in _NEAR:
            near.append(clip)
            if _dynamics_db(row) >= _MIN_DYNAMICS_DB:
                clean.append(clip)
    if skipped:
        logger.warning("%d of %d clips of split %s were skipped", skipped, len(rows), split)
    known = [clip for clip in clean if clip.corpus in _NEAR_SHARE]
    return Sources(known or clean or near, far, noise)


def _rows(manifest: Path) -> list[dict[str, str]]:
    with manifest.open(newline="") as file:
        reader = csv.DictReader(file, restval="")
        missing = _COLUMNS.difference(reader.fieldnames or ())
        if missing:
            raise ValueError(f"{manifest} lacks the columns {', '.join(sorted(missing))}")
        return list(reader)


def _dynamics_db(row: dict[str, str]) -> float:
    """Return what the manifest says, or a good value where it says nothing."""
    try:
        return float(row.get("dyn_dB") or 99)
    except ValueError as error:
        raise ValueError(f"dyn_dB of {row['path']} is {row['dyn_dB']!r}, must be a number") from error


def _read(path: Path, row: dict[str, str]) -> Clip | None:
    try:
        audio, rate = sf.read(path, dtype="int16")
    except (sf.LibsndfileError, OSError) as error:
        logger.warning("%s: %s", path, error)
        return None
    if rate != SAMPLE_RATE or audio.ndim != 1 or len(audio) < SAMPLE_RATE // 4 or np.abs(audio).max() < 200:
        return None
    name = row["corpus"]
    corpus = "audio_cmn" if name.startswith("audio_cmn") else name.split("_")[0]
    return Clip(np.asarray(audio, np.int16), corpus, f"{name}/{row['speaker'] or path.name}")


def _grouped(clips: list[Clip]) -> dict[str, list[list[Clip]]]:
    speakers: dict[tuple[str, str], list[Clip]] = {}
    for clip in clips:
        speakers.setdefault((clip.corpus, clip.speaker), []).append(clip)
    corpora: dict[str, list[list[Clip]]] = {}
    for (corpus, _), own in speakers.items():
        corpora.setdefault(corpus, []).append(own)
    return corpora


def _levelled(clip: Clip, most: int, rng: np.random.Generator) -> Wave:
    """Return at most `most` samples at an RMS of 0.1."""
    audio = clip.audio
    if len(audio) > most:
        start = int(rng.integers(len(audio) - most))
        audio = audio[start : start + most]
    x = audio.astype(np.float32) / 32768
    return 0.1 * x / (np.sqrt(np.mean(x**2)) + 1e-6)


def _add(out: Wave, clip: Wave, at: int) -> None:
    start, stop = max(at, 0), min(at + len(clip), len(out))
    if stop > start:
        out[start:stop] += clip[start - at : stop - at]
