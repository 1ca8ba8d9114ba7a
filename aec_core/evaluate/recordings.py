"""Pairs of microphone and reference from real devices, in a folder of the user's."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import soundfile as sf
import soxr

from aec_core.evaluate.systems import System
from aec_core.metrics import erle_db, near_kept_db, power_db, sdr_db
from aec_core.types import SAMPLE_RATE, Samples

Kind = Literal["far", "near", "double"]

_AUDIO = {".wav", ".flac", ".ogg"}
# What is said of the microphone's file, of the reference's and, if there is one, of the clean speech's.
_NAMES = (
    ("_mic", "_lpb", "_near"),
    ("_mic", "_ref", "_near"),
    ("_in", "_ref", "_near"),
    ("d", "x", "s"),  # of textbooks
)
_SYNTHETIC = ("nearend_mic", "farend_speech", "nearend_speech")  # of Microsoft's AEC Challenge
_LATE = 3 * SAMPLE_RATE


@dataclass(frozen=True)
class Recording:
    """One pair, `(n,)` each at 16 kHz; `near` is the clean near end where it is known."""

    name: str
    kind: Kind | None  # None where the file's name does not say
    mic: Samples
    ref: Samples
    near: Samples | None


def find_recordings(folder: Path) -> list[Recording]:
    """Read the pairs of a folder and of those below it, by their names.

    `X_mic` goes with `X_lpb` or `X_ref`, `X_in` with `X_ref`, `d` with `x`; `X_near` is the clean near end.
    Names of the AEC Challenge's synthetic set work too. A name that contains `farend`,
    `nearend` or `doubletalk` says who talks.

    Raises:
        FileNotFoundError: If there is no such folder, or no pair in it.
        ValueError: If a file cannot be read.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder {folder}")
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _AUDIO)
    pairs = [pair for path in files if (pair := _pair(path)) is not None]
    if not pairs:
        raise FileNotFoundError(f"no pair of microphone and reference in {folder}: see docs/data.md")
    return pairs


def _pair(mic: Path) -> Recording | None:
    for heard, played, spoken in _NAMES:
        if mic.stem.endswith(heard):
            ref = mic.with_stem(mic.stem.removesuffix(heard) + played)
            near = mic.with_stem(mic.stem.removesuffix(heard) + spoken)
            if ref.is_file():
                return _recording(mic, ref, near)
    heard, played, spoken = _SYNTHETIC
    if mic.stem.startswith(heard):
        ref, near = (mic.with_stem(mic.stem.replace(heard, name, 1)) for name in (played, spoken))
        if ref.is_file():
            return _recording(mic, ref, near)
    return None


def _recording(mic: Path, ref: Path, near: Path) -> Recording:
    signals = [_read(path) for path in (mic, ref, near) if path.is_file()]
    n = min(map(len, signals))
    signals = [signal[:n] for signal in signals]
    clean = signals[2] if len(signals) > 2 else None
    kind: Kind | None = "double" if clean is not None else _kind(mic.stem)
    return Recording(f"{mic.parent.name}/{mic.stem}", kind, signals[0], signals[1], clean)


def _kind(stem: str) -> Kind | None:
    kinds: dict[str, Kind] = {"farend": "far", "nearend": "near", "doubletalk": "double"}
    found = re.search("farend|nearend|doubletalk", stem.lower())
    return kinds[found.group()] if found else None


def _read(path: Path) -> Samples:
    try:
        audio, rate = sf.read(path, dtype="float32", always_2d=True)
    except (sf.LibsndfileError, OSError) as error:
        raise ValueError(f"cannot read {path}: {error}") from error
    mono = np.asarray(audio.mean(axis=1), np.float32)
    return np.asarray(soxr.resample(mono, rate, SAMPLE_RATE), np.float32) if rate != SAMPLE_RATE else mono


def score_recording(recording: Recording, system: System) -> dict[str, dict[str, float]]:
    """Return by output of a system what became of the recording."""
    cleaned = system(recording.mic[None], recording.ref[None])
    return {name: _scores(recording, out[0]) for name, out in cleaned.items()}


def _scores(recording: Recording, out: Samples) -> dict[str, float]:
    scores: dict[str, float] = {"reduction_db": erle_db(recording.mic, out)}
    if len(out) > _LATE + SAMPLE_RATE:
        scores["reduction_after_3s_db"] = erle_db(recording.mic[_LATE:], out[_LATE:])
    if recording.kind == "near":
        scores["level_change_db"] = power_db(out) - power_db(recording.mic)
    if recording.near is not None:
        scores["sdr_db"] = sdr_db(recording.near, out)
        scores["near_kept_db"] = near_kept_db(recording.near, out)
    return {name: round(value, 3) for name, value in scores.items()}


def score_recordings(
    recordings: list[Recording], systems: list[System], done: Callable[[int], None]
) -> list[dict[str, Any]]:
    """Return one row for each recording: its name, its kind and each system's scores."""
    rows: list[dict[str, Any]] = []
    for recording in recordings:
        scores: dict[str, dict[str, float]] = {}
        for system in systems:
            scores |= score_recording(recording, system)
        rows.append({"name": recording.name, "kind": recording.kind, "systems": scores})
        done(1)
    return rows
