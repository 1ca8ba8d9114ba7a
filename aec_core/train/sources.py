"""Speech, music and noise to mix: read once from a manifest, kept in memory as int16."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aec_core.train.manifest import (
    ECHO,
    FAR,
    NEAR,
    Row,
    Skipped,
    UnusableError,
    read_audio,
    read_rows,
    refuse_clipped,
    summary,
    write_skipped,
)
from aec_core.train.pairs import EchoPair, read_pair
from aec_core.types import SAMPLE_RATE, Wave

logger = logging.getLogger(__name__)

# Of near-end speech, by what a corpus' name begins with; any other only plays, unless there is none of these.
_NEAR_SHARE = {"librispeech": 0.45, "rhasspy": 0.25, "vctk": 0.05, "gcompris": 0.15, "audio_cmn": 0.1}
_MIN_DYNAMICS_DB = 22.0  # of a target: a recording with less is noisy
_UNEQUAL_S = 0.1  # between an echo and its reference: worth a word
_RECORDED_SHARE = 0.8  # of echoes, where a manifest has recorded ones and other far ends, too


@dataclass(frozen=True)
class Clip:
    """One utterance or stretch of noise, int16 at 16 kHz."""

    audio: NDArray[np.int16]
    corpus: str
    speaker: str


class Sources:
    """Draws near-end speech, far-end programme, noise of any length, and recorded echoes."""

    def __init__(
        self, near: list[Clip], far: list[Clip], noise: list[Clip], pairs: Sequence[EchoPair] = ()
    ) -> None:
        """Without a far end, what the recorded echoes played serves, and all echoes are recorded."""
        played = [Clip(pair.ref, "echo", f"echo/{at}") for at, pair in enumerate(pairs)]
        self._recorded_share = _RECORDED_SHARE if far else 1.0
        far = far or played
        if not near or not far:
            raise ValueError("no usable speech: need at least one near-end and one far-end clip")
        self._near, self._far, self._noise, self._pairs = _grouped(near), far, noise, pairs

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

    def recorded(self, rng: np.random.Generator) -> EchoPair | None:
        """Draw a recorded echo, or None where one is to be simulated: without recordings, always."""
        if not self._pairs or rng.random() >= self._recorded_share:
            return None
        return self._pairs[int(rng.integers(len(self._pairs)))]

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


def load_sources(manifest: Path, split: str, listing: Path | None = None) -> Sources:
    """Read all clips of a split that a manifest lists (`docs/data.md` describes its columns).

    What cannot be used is skipped and counted by reason in one warning. It is decided here, before
    anything is mixed.

    Args:
        manifest: CSV file.
        split: Which of its speakers.
        listing: Where to write the skipped files with their reasons, if there are any.

    Raises:
        ValueError: If the manifest is none, or no usable speech is left.
    """
    read = _Clips([], [], [], [], [], [])
    rows = read_rows(manifest, split)
    for row in rows:
        try:
            read.add(row)
        except UnusableError as error:
            read.skipped.append(Skipped(row.path, str(error)))
    left_out = f"{len(read.skipped)} of {len(rows)} clips of split {split} were skipped"
    if read.skipped:
        logger.warning("%s: %s", left_out, summary(read.skipped))
    if read.skipped and listing is not None:
        write_skipped(listing, read.skipped)
    if unequal := sum(pair.unequal_s > _UNEQUAL_S for pair in read.pairs):
        logger.warning(
            "%d of %d recorded echoes are unequal to their references in length: both are cut to the shorter",
            unequal,
            len(read.pairs),
        )
    try:
        return read.sources()
    except ValueError as error:
        raise ValueError(f"{manifest}: {error}; {left_out}") from error


@dataclass(frozen=True)
class _Clips:
    """What was read so far, by role."""

    near: list[Clip]
    clean: list[Clip]  # of the near ends: good enough to be a target
    far: list[Clip]
    noise: list[Clip]
    pairs: list[EchoPair]
    skipped: list[Skipped]

    def add(self, row: Row) -> None:
        if row.kind == ECHO:
            self.pairs.append(read_pair(row.path, row.ref))
            return
        clip = _clip(row)
        if row.kind in NEAR:
            refuse_clipped(clip.audio)
            self.near.append(clip)
            if row.dynamics_db >= _MIN_DYNAMICS_DB:
                self.clean.append(clip)
        if row.kind in FAR:
            self.far.append(clip)
        if row.kind == "noise":
            self.noise.append(clip)

    def sources(self) -> Sources:
        known = [clip for clip in self.clean if clip.corpus in _NEAR_SHARE]
        return Sources(known or self.clean or self.near, self.far, self.noise, self.pairs)


def _clip(row: Row) -> Clip:
    name = row.corpus
    corpus = "audio_cmn" if name.startswith("audio_cmn") else name.split("_")[0]
    return Clip(read_audio(row.path), corpus, f"{name}/{row.speaker or row.path.name}")


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
