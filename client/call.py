"""A call, simulated: what a microphone hears of a person and of the loudspeaker in one room."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.signal import fftconvolve

from client.audio import load_mono

SAMPLE_RATE = 16_000

Samples = NDArray[np.float32]
Sound = Path | str | Samples
"""A sound file of any rate, or mono float samples at 16 kHz, `(n,)`."""


@dataclass(frozen=True)
class Call:
    """What a client would send, float32 at 16 kHz, all `(n,)`.

    Attributes:
        mic: What the microphone hears.
        ref: What the loudspeaker plays.
        near: The person alone, for comparison.
    """

    mic: Samples
    ref: Samples
    near: Samples


def call(
    near: Sound | None,
    agent: Sound | None,
    *,
    near_at_s: float = 0.0,
    delay_ms: float = 120.0,
    echo_db: float = -6.0,
    reverb_s: float = 0.0,
    noise_dbfs: float | None = None,
    seed: int = 0,
) -> Call:
    """Let a person speak while an agent is played on a loudspeaker beside the microphone.

    Args:
        near: The person; None for nobody.
        agent: The agent; None for silence.
        near_at_s: When the person's recording begins.
        delay_ms: From the loudspeaker's samples to the microphone's, 0 to 1000.
        echo_db: How much louder the agent arrives at the microphone than it is in `ref`.
        reverb_s: Time in which the room's sound falls by 60 dB; 0 is no room.
        noise_dbfs: White noise in the microphone; None for none.
        seed: Of the room and the noise.

    Returns:
        The call, as long as both take. What is louder than full scale is clipped, as by a microphone.

    Raises:
        ValueError: If a number is out of range.
        AudioFileError: If a file cannot be read.
    """
    if not 0 <= delay_ms <= 1000:
        raise ValueError(f"an echo comes after 0 to 1000 ms, not {delay_ms:g}")
    if not 0 <= reverb_s <= 3:
        raise ValueError(f"a room's sound falls in 0 to 3 s, not {reverb_s:g}")
    if near_at_s < 0:
        raise ValueError(f"the person begins at 0 s or later, not {near_at_s:g}")
    rng = np.random.default_rng(seed)
    person = np.pad(_load(near), (round(near_at_s * SAMPLE_RATE), 0))
    played = _load(agent)
    path = 10 ** (echo_db / 20) * _room(reverb_s, rng)
    late = np.zeros(round(delay_ms * SAMPLE_RATE / 1000), np.float32)
    echo = np.concatenate([late, fftconvolve(played, path)]) if len(played) else played
    length = max(len(person), len(echo))
    person, echo, played = (_fill(each, length) for each in (person, echo, played))
    noise = 0.0 if noise_dbfs is None else 10 ** (noise_dbfs / 20) * rng.standard_normal(length)
    mic = np.clip(person + echo + noise, -1, 1).astype(np.float32)
    return Call(mic, played, person)


def _load(sound: Sound | None) -> Samples:
    if sound is None:
        return np.zeros(0, np.float32)
    if isinstance(sound, Path | str):
        return load_mono(Path(sound), SAMPLE_RATE)
    if sound.ndim != 1 or not np.issubdtype(sound.dtype, np.floating) or not np.isfinite(sound).all():
        raise ValueError("samples are mono, finite floats in [-1, 1], or the name of a file")
    return sound.astype(np.float32, copy=False)


def _room(reverb_s: float, rng: np.random.Generator) -> Samples:
    """Return an impulse response of energy 1: the direct sound, and a tail of noise that dies away."""
    if not reverb_s:
        return np.ones(1, np.float32)
    t = np.arange(round(reverb_s * SAMPLE_RATE)) / SAMPLE_RATE
    tail = 0.05 * rng.standard_normal(len(t)) * 10 ** (-3 * t / reverb_s)
    tail[0] = 1
    return (tail / np.linalg.norm(tail)).astype(np.float32)


def _fill(audio: Samples, length: int) -> Samples:
    return np.pad(audio, (0, length - len(audio))).astype(np.float32, copy=False)
