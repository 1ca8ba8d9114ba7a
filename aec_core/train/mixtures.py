"""Seeded synthetic calls: what the microphone hears while a device plays and a person talks."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import soxr
from scipy.signal import fftconvolve

from aec_core.train.loudspeaker import random_loudspeaker
from aec_core.train.rooms import Room, random_room
from aec_core.train.sources import Sources
from aec_core.types import SAMPLE_RATE, Wave


class Talk(StrEnum):
    """Who speaks in a clip."""

    DOUBLE = "double_talk"
    FAR = "far_end_single_talk"
    NEAR = "near_end_single_talk"
    SILENCE = "silence"


class Change(StrEnum):
    """What happens to the echo path in mid-clip."""

    NONE = "none"
    JUMP = "delay_jump"
    DRIFT = "clock_drift"
    PATH = "path_change"


@dataclass(frozen=True)
class Scene:
    """One call, before any sound is made. Fields left None are drawn at random."""

    talk: Talk
    change: Change = Change.NONE
    ser_db: float | None = None
    delay_ms: float | None = None
    snr_db: float | None = None
    system_aec: bool = False
    change_at_s: float | None = None


@dataclass(frozen=True)
class Mixture:
    """Waveforms `(n,)` at 16 kHz on one clock; `near` is the clean, reverberant target."""

    mic: Wave
    ref: Wave
    near: Wave
    echo: Wave
    scene: Scene
    delay_ms: float


def random_scene(rng: np.random.Generator) -> Scene:
    """Draw a scene with the shares of METHOD 7: 50/25/25 double, far and near, some silence."""
    talk = rng.choice([Talk.DOUBLE, Talk.FAR, Talk.NEAR, Talk.SILENCE], p=[0.5, 0.27, 0.2, 0.03])
    change = rng.choice(list(Change), p=[0.52, 0.18, 0.15, 0.15])
    return Scene(Talk(talk), Change(change), system_aec=bool(rng.random() < 0.2))


def make_mixture(scene: Scene, sources: Sources, seconds: float, rng: np.random.Generator) -> Mixture:
    """Render a scene of `seconds` with voices, room, device and noise drawn from `rng`."""
    n = round(seconds * SAMPLE_RATE)
    room = random_room(rng)
    ref, echo, delay_ms = _echo(scene, sources, room, n, rng)
    near = np.zeros(n, np.float32)
    if scene.talk in (Talk.DOUBLE, Talk.NEAR):
        near = fftconvolve(sources.near(n, rng), room.near)[:n]
        near *= 10 ** (rng.uniform(-38, -16) / 20) / _active_rms(near)
    echo = _set_level(echo, near, scene, rng)
    noise = sources.noise(n, rng)
    snr = scene.snr_db if scene.snr_db is not None else rng.uniform(10, 40)
    loudest = max(_active_rms(near), 0.3 * _active_rms(echo), 1e-3)
    noise *= loudest * 10 ** (-snr / 20) / (np.sqrt(np.mean(noise**2)) + 1e-9)
    mic = echo + near + noise
    if scene.system_aec:
        mic = _system_aec(mic, echo, near, rng)
    limit = 0.98 / max(0.98, np.abs(mic).max()) if rng.random() < 0.9 else 1.0  # the rest clips
    mic = np.clip(limit * mic, -1, 1)
    return Mixture(
        mic.astype(np.float32),
        ref.astype(np.float32),
        (limit * near).astype(np.float32),
        (limit * echo).astype(np.float32),
        scene,
        delay_ms,
    )


def _echo(
    scene: Scene, sources: Sources, room: Room, n: int, rng: np.random.Generator
) -> tuple[Wave, Wave, float]:
    """Return `(ref, echo, delay_ms)`; the echo has the level of the reference."""
    silent = np.zeros(n, np.float32)
    if scene.talk == Talk.SILENCE or (scene.talk == Talk.NEAR and rng.random() < 0.7):
        return silent, silent, 0.0
    ref = sources.far(n, rng)
    ref *= 10 ** (rng.uniform(-34, -12) / 20) / _active_rms(ref)
    ref = np.clip(ref, -1, 1)
    if scene.talk == Talk.NEAR:  # headphones: played, but never heard
        return ref, silent, 0.0
    delay_ms = scene.delay_ms if scene.delay_ms is not None else _random_delay_ms(rng)
    played = random_loudspeaker(ref, rng)
    heard = fftconvolve(played, room.echo)[:n]
    at_s = scene.change_at_s if scene.change_at_s is not None else rng.uniform(0.25, 0.8) * n / SAMPLE_RATE
    at = round(at_s * SAMPLE_RATE)
    later_ms = delay_ms
    if scene.change == Change.PATH:
        heard = _crossfade(heard, fftconvolve(played, room.moved)[:n] * rng.uniform(0.7, 1.4), at)
    elif scene.change == Change.DRIFT:
        ppm = rng.choice([-1, 1]) * rng.uniform(20, 100)
        heard = np.pad(soxr.resample(heard, SAMPLE_RATE, SAMPLE_RATE * (1 + ppm * 1e-6)), (0, 64))[:n]
        heard = np.pad(heard, (0, n - len(heard)))
    elif scene.change == Change.JUMP:
        later_ms = float(np.clip(delay_ms + rng.choice([-1, 1]) * rng.uniform(20, 200), 0, 600))
    first, second = _delay(heard, delay_ms, n), _delay(heard, later_ms, n)
    return ref, np.concatenate([first[:at], second[at:]]), delay_ms


def _random_delay_ms(rng: np.random.Generator) -> float:
    return float(
        rng.choice([rng.uniform(0, 60), rng.uniform(60, 300), rng.uniform(300, 580)], p=[0.3, 0.45, 0.25])
    )


def _delay(x: Wave, ms: float, n: int) -> Wave:
    return np.concatenate([np.zeros(round(ms * SAMPLE_RATE / 1000), np.float32), x])[:n]


def _crossfade(before: Wave, after: Wave, at: int, width: int = 800) -> Wave:
    fade = np.clip((np.arange(len(before)) - at) / width, 0, 1)
    return before * (1 - fade) + after * fade


def _set_level(echo: Wave, near: Wave, scene: Scene, rng: np.random.Generator) -> Wave:
    if not echo.any():
        return echo
    if scene.talk == Talk.FAR:
        return echo * 10 ** (rng.uniform(-42, -8) / 20) / _active_rms(echo)
    ser = scene.ser_db if scene.ser_db is not None else rng.uniform(-25, 15)
    return echo * _active_rms(near) / _active_rms(echo) * 10 ** (-ser / 20)


def _system_aec(mic: Wave, echo: Wave, near: Wave, rng: np.random.Generator) -> Wave:
    """Leave what a phone's own canceller leaves: less echo, and a gate that also eats the talker."""
    mic = mic - rng.uniform(0.3, 0.9) * echo
    step = 320
    frames = len(mic) // step
    far = np.sqrt(np.mean(echo[: frames * step].reshape(frames, step) ** 2, axis=1))
    own = np.sqrt(np.mean(near[: frames * step].reshape(frames, step) ** 2, axis=1))
    depth = 10 ** (-rng.uniform(3, 25) / 20)
    wanted = np.where(far > rng.uniform(0.5, 2) * own + 1e-4, depth, 1.0)
    gain = np.empty(frames)
    now, keep = 1.0, rng.uniform(0.5, 0.9)
    for i, target in enumerate(wanted):
        now = keep * now + (1 - keep) * target
        gain[i] = now
    smooth = np.interp(np.arange(len(mic)), np.arange(frames) * step, gain)
    return mic * smooth


def _active_rms(x: Wave) -> float:
    """RMS over the 20 ms frames within 30 dB of the loudest one."""
    power = np.mean(x[: len(x) // 320 * 320].reshape(-1, 320) ** 2, axis=1)
    loud = power > 1e-3 * power.max()
    return float(np.sqrt(power[loud].mean())) + 1e-9 if loud.any() else 1e-9
