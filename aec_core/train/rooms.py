"""Room impulse responses of a device on a table and a person in front of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pyroomacoustics as pra

from aec_core.types import SAMPLE_RATE, Samples

_FADE = 400  # samples over which noise takes over
_MAX_ORDER = 15  # reflections by image sources; what is left of the decay is shaped noise


@dataclass(frozen=True)
class Room:
    """Impulse responses of one room, each starting at its direct sound."""

    echo: Samples  # loudspeaker to microphone
    moved: Samples  # the same after a hand or the device moved
    near: Samples  # talker to microphone
    rt60: float


def random_room(rng: np.random.Generator) -> Room:
    """Draw a shoebox of 2.5-8 m with RT60 0.1-0.8 s (paper, section III-A)."""
    rt60 = float(rng.uniform(0.1, 0.8))
    size = np.array([rng.uniform(2.5, 8), rng.uniform(2.5, 8), rng.uniform(2.3, 3.5)])
    absorption = min(0.161 * size.prod() / (rt60 * _surface(size)), 0.95)
    room = pra.ShoeBox(size, fs=SAMPLE_RATE, materials=pra.Material(absorption), max_order=_MAX_ORDER)
    mic = rng.uniform(0.6, size - 0.6)
    room.add_microphone(mic)
    distance = rng.choice([rng.uniform(0.04, 0.2), rng.uniform(0.2, 1.0)], p=[0.75, 0.25])
    echo = _around(mic, distance, size, rng)
    room.add_source(echo)
    room.add_source(_around(echo, rng.uniform(0.01, 0.08), size, rng))
    room.add_source(_around(mic, rng.uniform(0.25, 1.5), size, rng))
    room.compute_rir()
    complete = _complete(size)
    echo_ir, moved_ir, near_ir = (
        _finish(np.asarray(ir), complete, rt60, rng) for ir in cast(Any, room.rir)[0]
    )
    return Room(echo_ir, moved_ir, near_ir, rt60)


def _complete(size: np.ndarray) -> int:
    """Samples before image sources of the next order could arrive, nearly: later ones thin out."""
    return int(0.8 * _MAX_ORDER * size.min() / 343 * SAMPLE_RATE)


def _surface(size: np.ndarray) -> float:
    a, b, c = size
    return 2 * (a * b + b * c + a * c)


def _around(point: np.ndarray, distance: float, size: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    direction = rng.standard_normal(3)
    return np.clip(point + distance * direction / np.linalg.norm(direction), 0.05, size - 0.05)


def _finish(ir: np.ndarray, complete: int, rt60: float, rng: np.random.Generator) -> Samples:
    """Cut the flight time, continue the decay with noise, scale the direct sound to one.

    Up to sample `complete` the image sources are dense; a decay that hardly outlasts them needs no noise.
    """
    direct = int(np.abs(ir).argmax())
    ir = ir[max(direct - 8, 0) :]
    length = int(rt60 * SAMPLE_RATE)
    out = np.zeros(length + 64)
    out[: len(ir)] = ir[: len(out)]
    join = complete - _FADE
    if _FADE < join < length - _FADE:
        level = np.sqrt(np.mean(out[join - _FADE : join] ** 2))
        decay = 10 ** (-3 * np.arange(len(out) - join) / length)
        tail = level * decay * rng.standard_normal(len(out) - join)
        fade = np.linspace(0, 1, _FADE)
        out[join:complete] = out[join:complete] * np.sqrt(1 - fade) + tail[:_FADE] * np.sqrt(fade)
        out[complete:] = tail[_FADE:]
    return (out / (np.abs(out).max() + 1e-9)).astype(np.float32)
