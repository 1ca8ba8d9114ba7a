"""Seeded synthetic calls: what the microphone hears while a device plays and a person talks."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import soxr
from scipy.signal import fftconvolve, lfilter

from aec_core.train.loudspeaker import random_loudspeaker
from aec_core.train.pairs import recorded_echo
from aec_core.train.rooms import Room, random_room
from aec_core.train.sources import Sources
from aec_core.types import HOP, SAMPLE_RATE, Wave

_CLOSE = 0.25  # share of the talkers at a headset or with the phone at the mouth: no room is heard
_HISSING = 0.3  # share of the references without a far end that are not all zero


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
    merged: bool = True  # several people, overlaps and gaps; else one, back to back


@dataclass(frozen=True)
class Mixture:
    """Waveforms `(n,)` at 16 kHz on one clock; `near` is the clean, reverberant target."""

    mic: Wave
    ref: Wave
    near: Wave
    echo: Wave
    scene: Scene
    delay_ms: float
    rt60_s: float = float("nan")  # of the room that the talker is in, and a simulated echo


def random_scene(rng: np.random.Generator, merged: bool = True) -> Scene:
    """Draw a scene: 50 % double talk, 24 % far end, 23 % near end alone, 3 % silence."""
    talk = rng.choice([Talk.DOUBLE, Talk.FAR, Talk.NEAR, Talk.SILENCE], p=[0.5, 0.24, 0.23, 0.03])
    change = rng.choice(list(Change), p=[0.46, 0.21, 0.17, 0.16])
    return Scene(Talk(talk), Change(change), system_aec=bool(rng.random() < 0.3), merged=merged)


def make_mixture(scene: Scene, sources: Sources, seconds: float, rng: np.random.Generator) -> Mixture:
    """Render a scene of `seconds` with voices, room, device and noise drawn from `rng`."""
    n = round(seconds * SAMPLE_RATE)
    room = random_room(rng)
    ref, echo, delay_ms = _echo(scene, sources, room, n, rng)
    near = np.zeros(n, np.float32)
    if scene.talk in (Talk.DOUBLE, Talk.NEAR):
        spoken = sources.near(n, rng) if scene.merged else sources.one_talker(n, rng)
        near = spoken if rng.random() < _CLOSE else fftconvolve(spoken, room.near)[:n]
        near = near * 10 ** (rng.uniform(-38, -12) / 20) / active_rms(near)
    echo = _set_level(echo, near, scene, rng)
    noise = sources.noise(n, rng)
    snr = scene.snr_db if scene.snr_db is not None else rng.uniform(10, 40)
    loudest = max(active_rms(near), 0.3 * active_rms(echo), 1e-3)
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
        room.rt60,
    )


def _echo(
    scene: Scene, sources: Sources, room: Room, n: int, rng: np.random.Generator
) -> tuple[Wave, Wave, float]:
    """Return `(ref, echo, delay_ms)`; the level of the echo is the caller's to set."""
    silent = np.zeros(n, np.float32)
    if scene.talk == Talk.SILENCE or (scene.talk == Talk.NEAR and rng.random() < 0.7):
        return _unheard_hiss(silent, rng), silent, 0.0
    pair = sources.recorded(rng)
    ref, recording = (_reference(sources, n, rng), None) if pair is None else recorded_echo(pair, n, rng)
    if scene.talk == Talk.NEAR:  # headphones: played, but never heard
        return ref, silent, 0.0
    delay_ms = scene.delay_ms if scene.delay_ms is not None else _random_delay_ms(rng)
    at_s = scene.change_at_s if scene.change_at_s is not None else rng.uniform(0.25, 0.8) * n / SAMPLE_RATE
    at = round(at_s * SAMPLE_RATE)
    if recording is None:
        played = random_loudspeaker(ref, rng)
        heard = fftconvolve(played, room.echo)[:n]
        if scene.change == Change.PATH:
            heard = _crossfade(heard, fftconvolve(played, room.moved)[:n] * rng.uniform(0.7, 1.4), at)
    else:
        heard = recording
    if scene.change == Change.DRIFT:
        heard = _drifted(heard, n, rng)
    later_ms = _jumped(delay_ms, rng) if scene.change == Change.JUMP else delay_ms
    first, second = _delay(heard, delay_ms, n), _delay(heard, later_ms, n)
    return ref, np.concatenate([first[:at], second[at:]]), delay_ms


def _unheard_hiss(silent: Wave, rng: np.random.Generator) -> Wave:
    """Return a reference in which nothing plays: digital silence, or in some the noise of a sound card."""
    if rng.random() > _HISSING:
        return silent
    return 10 ** (rng.uniform(-75, -50) / 20) * rng.standard_normal(len(silent))


def _reference(sources: Sources, n: int, rng: np.random.Generator) -> Wave:
    ref = sources.far(n, rng)
    ref *= 10 ** (rng.uniform(-34, -12) / 20) / active_rms(ref)
    return np.clip(ref, -1, 1)


def _drifted(heard: Wave, n: int, rng: np.random.Generator) -> Wave:
    ppm = rng.choice([-1, 1]) * rng.uniform(20, 100)
    heard = soxr.resample(heard, SAMPLE_RATE, SAMPLE_RATE * (1 + ppm * 1e-6))[:n]
    return np.pad(heard, (0, n - len(heard)))


def _random_delay_ms(rng: np.random.Generator) -> float:
    return float(
        rng.choice([rng.uniform(0, 60), rng.uniform(60, 300), rng.uniform(300, 580)], p=[0.3, 0.45, 0.25])
    )


def _jumped(ms: float, rng: np.random.Generator) -> float:
    """Jump by 20-200 ms, to the side that stays within 0-600 ms."""
    step = float(rng.uniform(20, 200))
    if ms < step:
        return ms + step
    return ms - step if ms + step > 600 or rng.random() < 0.5 else ms + step


def _delay(x: Wave, ms: float, n: int) -> Wave:
    return np.concatenate([np.zeros(round(ms * SAMPLE_RATE / 1000), np.float32), x])[:n]


def _crossfade(before: Wave, after: Wave, at: int, width: int = 800) -> Wave:
    fade = np.clip((np.arange(len(before)) - at) / width, 0, 1)
    return before * (1 - fade) + after * fade


def _set_level(echo: Wave, near: Wave, scene: Scene, rng: np.random.Generator) -> Wave:
    if not echo.any():
        return echo
    if scene.talk == Talk.FAR:
        return echo * 10 ** (rng.uniform(-42, -8) / 20) / active_rms(echo)
    ser = scene.ser_db if scene.ser_db is not None else rng.uniform(-25, 15)
    return echo * active_rms(near) / active_rms(echo) * 10 ** (-ser / 20)


def _system_aec(mic: Wave, echo: Wave, near: Wave, rng: np.random.Generator) -> Wave:
    """Leave what a phone's own canceller leaves: less echo, and a gate that also eats the talker.

    Its filter takes a share of the echo that changes as it adapts; its gate closes where the far end
    leads, with a random depth and lag.
    """
    frames = len(mic) // HOP
    seconds = max(2, len(mic) // SAMPLE_RATE + 1)
    share = np.interp(np.arange(frames), np.linspace(0, frames, seconds), rng.uniform(0.2, 0.95, seconds))
    far, own = (np.sqrt(np.mean(x[: frames * HOP].reshape(frames, HOP) ** 2, axis=1)) for x in (echo, near))
    depth = 10 ** (-rng.uniform(3, 15) / 20)
    wanted = np.where(far > rng.uniform(1, 4) * own + 1e-4, depth, 1.0)
    keep = rng.uniform(0.5, 0.9)
    gate = lfilter([1 - keep], [1, -keep], wanted, zi=[keep])[0]
    at = np.arange(len(mic))
    share, gate = (np.interp(at, np.arange(frames) * HOP, x) for x in (share, gate))
    return (mic - share * echo) * gate


def active_rms(x: Wave) -> float:
    """RMS over the 20 ms frames within 30 dB of the loudest one."""
    power = np.mean(x[: len(x) // 320 * 320].reshape(-1, 320) ** 2, axis=1)
    loud = power > 1e-3 * power.max()
    return float(np.sqrt(power[loud].mean())) + 1e-9 if loud.any() else 1e-9
