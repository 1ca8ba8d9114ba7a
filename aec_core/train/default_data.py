"""Something to train and measure on where there is nothing: shipped voices, computed noises and music."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import soundfile as sf
from numpy.typing import NDArray
from scipy.signal import butter, lfilter, sosfilt

from aec_core.train.manifest import borrow_speech, write_manifest
from aec_core.types import SAMPLE_RATE

HOURS = 0.5  # of mixtures: seven minutes of voices carry no more

_CLIPS = Path(__file__).with_name("clips")
_SECONDS = 20
_N = _SECONDS * SAMPLE_RATE
_SPLITS = ("train", "valid", "test")

_Audio = NDArray[np.float64]


def default_manifest(cache: Path) -> Path:
    """Write `CACHE/default/manifest.csv` and what it lists beside the shipped clips, and return its path.

    Voices, noises and music are disjoint between the splits `train`, `valid` and `test`.
    """
    folder = (cache / "default").resolve()
    folder.mkdir(parents=True, exist_ok=True)
    with (_CLIPS / "manifest.csv").open(newline="", encoding="utf-8") as file:
        lines = [{**line, "path": str(_CLIPS / line["path"])} for line in csv.DictReader(file)]
    for number, split in enumerate(_SPLITS):
        for which, (name, make) in enumerate(_MADE.items()):
            path = folder / f"{split}-{name}.flac"
            if not path.exists():
                _write(path, make(np.random.default_rng([number, which])))
            kind = "music" if name == "music" else "noise"
            lines.append({"path": path.name, "kind": kind, "corpus": "made", "speaker": name, "split": split})
    write_manifest(folder / "manifest.csv", lines)
    return folder / "manifest.csv"


def complete(manifests: Sequence[Path], cache: Path) -> tuple[Path, ...]:
    """Return manifests that can be mixed: the default one for none, and people for recorded echoes.

    A manifest of echoes alone takes near ends and noises from the others, or else from the default one.

    Raises:
        FileNotFoundError: If there is no such manifest.
        ValueError: If one is no manifest.
    """
    for manifest in manifests:
        if not manifest.is_file():
            raise FileNotFoundError(f"no manifest at {manifest}")
    if not manifests:
        return (default_manifest(cache),)
    whole: list[Path] = []
    for number, manifest in enumerate(manifests):
        others = [*manifests[:number], *manifests[number + 1 :]] or [default_manifest(cache)]
        whole.append(borrow_speech(manifest, others, cache / "borrowed"))
    return tuple(whole)


def _write(path: Path, audio: _Audio) -> None:
    partial = path.with_suffix(".partial")
    sf.write(partial, 0.5 * audio / np.abs(audio).max(), SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    partial.replace(path)


def _band(audio: _Audio, low_hz: float, high_hz: float) -> _Audio:
    sos = butter(2, (low_hz, high_hz), "bandpass", fs=SAMPLE_RATE, output="sos")
    return np.asarray(sosfilt(sos, audio))


def _harmonics(hz: float, count: int, rng: np.random.Generator) -> _Audio:
    phase = 2 * np.pi * hz * np.arange(_N) / SAMPLE_RATE
    return sum((np.sin(k * phase + rng.uniform(0, 6)) / k for k in range(1, count + 1)), np.zeros(_N))


def _car(rng: np.random.Generator) -> _Audio:
    """Rumble that falls with frequency, and slow changes of the load."""
    rumble = np.asarray(lfilter([1], [1, -0.99], rng.standard_normal(_N)))
    load = 1 + 0.5 * np.sin(2 * np.pi * rng.uniform(0.1, 0.3) * np.arange(_N) / SAMPLE_RATE)
    return load * _band(rumble, 40, 4000)


def _fan(rng: np.random.Generator) -> _Audio:
    """Moving air with the tones of the blades."""
    air = _band(rng.standard_normal(_N), 100, rng.uniform(1500, 4000))
    return air + 0.15 * _harmonics(rng.uniform(90, 180), 6, rng)


def _hum(rng: np.random.Generator) -> _Audio:
    """Mains, never quite at their frequency, under hiss."""
    return _harmonics(
        float(rng.choice([50, 60])) + rng.uniform(-0.1, 0.1), 12, rng
    ) + 0.3 * rng.standard_normal(_N)


def _keys(rng: np.random.Generator) -> _Audio:
    """Typing: short bursts at uneven times over a little hiss."""
    strokes = np.zeros(_N)
    at = 0
    while at < _N:
        strokes[at] = rng.uniform(0.3, 1)
        at += int(rng.uniform(0.06, 0.4) * SAMPLE_RATE)
    envelope = np.asarray(lfilter([1], [1, -np.exp(-1 / (0.008 * SAMPLE_RATE))], strokes))
    return envelope * _band(rng.standard_normal(_N), 800, 6000) + 0.003 * rng.standard_normal(_N)


def _rain(rng: np.random.Generator) -> _Audio:
    """Drops, thousands a second."""
    drops = rng.standard_normal(_N) * (rng.random(_N) < rng.uniform(0.02, 0.1))
    return _band(drops, 500, 7000)


def _music(rng: np.random.Generator) -> _Audio:
    """Hold music: broken chords of a plucked instrument over a bass."""
    out = np.zeros(_N)
    beat = int(rng.uniform(0.2, 0.35) * SAMPLE_RATE)
    roots = rng.choice([0, 5, 7, 9, 2], 8)
    for number, start in enumerate(range(0, _N - 4 * beat, beat)):
        root = 48 + roots[number // 8 % 8]
        note = root + int(rng.choice([0, 12, 16, 19, 24])) if number % 8 else root - 12
        hz = 440 * 2 ** ((note - 69) / 12)
        t = np.arange(4 * beat) / SAMPLE_RATE
        tone = sum((np.sin(2 * np.pi * k * hz * t) / k**1.5 for k in range(1, 9)), np.zeros(4 * beat))
        out[start : start + 4 * beat] += tone * np.exp(-t / 0.35) * np.minimum(1, t / 0.004)
    return out


_MADE: dict[str, Callable[[np.random.Generator], _Audio]] = {
    "car": _car,
    "fan": _fan,
    "hum": _hum,
    "keys": _keys,
    "rain": _rain,
    "music": _music,
}
