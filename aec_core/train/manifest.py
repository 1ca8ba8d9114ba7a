"""Manifests: what a CSV lists, which of it can be used, and why the rest cannot."""

from __future__ import annotations

import csv
import hashlib
import logging
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile as sf
from numpy.typing import NDArray

from aec_core.types import SAMPLE_RATE

logger = logging.getLogger(__name__)

NEAR = frozenset({"speech", "near"})
FAR = frozenset({"speech", "far", "music"})
ECHO = "echo"
KINDS = NEAR | FAR | {"noise", ECHO}

_COLUMNS: tuple[str, ...] = ("path", "kind", "corpus", "speaker", "split")
_OPTIONAL: tuple[str, ...] = ("ref", "dyn_dB", "language", "transcript")
_QUIETEST_PEAK = 200 / 32768
_SHORTEST_S = 0.25
_FULL_SCALE = 0.998
_CLIPPED_SHARE = 1e-3  # of samples at full scale: more of them are distortion that a target must not have
_NAMED = 3  # files that a summary names for each reason


class UnusableError(ValueError):
    """A file cannot be used; the message is the reason, the same for all files that share it."""


@dataclass(frozen=True)
class Row:
    """One usable kind of line; `path` and `ref` are resolved against the manifest."""

    path: Path
    kind: str
    corpus: str
    speaker: str
    dynamics_db: float  # 95th minus 5th percentile of frame level
    ref: Path | None = None  # what the loudspeaker played, of an echo
    language: str = ""
    transcript: str = ""


@dataclass(frozen=True)
class Skipped:
    """A file that was left out."""

    path: Path
    reason: str


def read_rows(manifest: Path, split: str, also: Collection[str] = ()) -> list[Row]:
    """Read the lines of a split whose kind is known (`docs/data.md` describes the columns).

    Lines of kind `echo` count only where the manifest has a column `ref`. Corpora and speakers that
    `also` names count whatever their split.

    Raises:
        ValueError: If it is no CSV, lacks a column, or `dyn_dB` is not a number.
    """
    lines = [
        line
        for line in _lines(manifest)
        if line["kind"] in KINDS and (line["split"] == split or {line["corpus"], line["speaker"]} & set(also))
    ]
    return [_row(manifest.parent, line) for line in lines if line["kind"] != ECHO or "ref" in line]


def _lines(manifest: Path) -> list[dict[str, str]]:
    try:
        # Spreadsheets begin a file with a byte order mark.
        with manifest.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, restval="", restkey="_")
            missing = [name for name in _COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                raise ValueError(f"{manifest} lacks the columns {', '.join(missing)}")
            return list(reader)
    except (csv.Error, UnicodeDecodeError) as error:
        raise ValueError(f"{manifest} is no CSV file in UTF-8: {error}") from error


def _row(folder: Path, line: dict[str, str]) -> Row:
    try:
        dynamics = float(line.get("dyn_dB") or 99)  # a good value where the manifest says nothing
    except ValueError as error:
        raise ValueError(f"dyn_dB of {line['path']} is {line['dyn_dB']!r}, must be a number") from error
    ref = folder / line["ref"] if line.get("ref") else None
    said = line.get("language") or "", line.get("transcript") or ""
    return Row(folder / line["path"], line["kind"], line["corpus"], line["speaker"], dynamics, ref, *said)


def read_audio(path: Path) -> NDArray[np.int16]:
    """Read a file as int16 `(n,)`.

    Raises:
        UnusableError: If it is missing, unreadable, not mono at 16 kHz, shorter than 250 ms, silent or
            holds values that are no numbers.
    """
    if not path.is_file():
        raise UnusableError("missing")
    try:
        with sf.SoundFile(path) as file:
            if file.samplerate != SAMPLE_RATE:
                raise UnusableError("not at 16 kHz")
            if file.channels != 1:
                raise UnusableError("not mono")
            audio = np.asarray(file.read(dtype="float32"))
    except (sf.LibsndfileError, OSError) as error:
        raise UnusableError("unreadable") from error
    if len(audio) < _SHORTEST_S * SAMPLE_RATE:
        raise UnusableError("shorter than 250 ms")
    if not np.isfinite(audio).all():
        raise UnusableError("not a number in it")
    if np.abs(audio).max() < _QUIETEST_PEAK:
        raise UnusableError("silent")
    return np.clip(np.round(audio * 32768), -32768, 32767).astype(np.int16)


def refuse_clipped(audio: NDArray[np.int16]) -> None:
    """Raise `UnusableError` if more than 0.1 % of the samples are at full scale."""
    if np.mean(np.abs(audio.astype(np.int32)) >= _FULL_SCALE * 32767) > _CLIPPED_SHARE:
        raise UnusableError("clipped")


def summary(skipped: Sequence[Skipped]) -> str:
    """Return what was skipped in one line: counts by reason, most frequent first, with some names."""
    reasons: dict[str, list[str]] = defaultdict(list)
    for each in skipped:
        reasons[each.reason].append(each.path.name)
    return "; ".join(
        f"{len(names)} {reason} ({', '.join(names[:_NAMED])}{', …' if len(names) > _NAMED else ''})"
        for reason, names in sorted(reasons.items(), key=lambda item: -len(item[1]))
    )


def write_skipped(path: Path, skipped: Sequence[Skipped]) -> None:
    """Write the whole list as CSV."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "reason"))
        writer.writerows((each.path, each.reason) for each in skipped)


def write_manifest(path: Path, lines: Sequence[dict[str, str]]) -> None:
    """Write lines as a manifest, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    with partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, (*_COLUMNS, *_OPTIONAL), restval="", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(lines)
    partial.replace(path)


def borrow_speech(manifest: Path, others: Sequence[Path], folder: Path) -> Path:
    """Return a manifest in which recorded echoes have people to be mixed with.

    A manifest that lists echoes and no speech takes near ends and noise from the others: the result is a
    file in `folder`, named by its content. Any other manifest is returned as it is.
    """
    lines = _lines(manifest)
    kinds = {line["kind"] for line in lines}
    if ECHO not in kinds or kinds & NEAR or not others:
        return manifest
    lines = [_moved(line, manifest.parent) for line in lines]
    for other in others:
        for line in _lines(other):
            if line["kind"] in NEAR:
                lines.append({**_moved(line, other.parent), "kind": "near"})
            elif line["kind"] == "noise":
                lines.append(_moved(line, other.parent))
    digest = hashlib.sha256(repr(lines).encode()).hexdigest()[:16]
    path = folder / f"{manifest.stem}-{digest}.csv"
    write_manifest(path, lines)
    return path


def _moved(line: dict[str, str], folder: Path) -> dict[str, str]:
    paths = {name: str((folder / line[name]).resolve()) for name in ("path", "ref") if line.get(name)}
    return {**line, **paths}
