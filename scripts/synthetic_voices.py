"""What flite and espeak-ng say, and in whose voice: shared by the scripts beside it."""

from __future__ import annotations

import random
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

WHO = (
    "the driver|my neighbour|a young doctor|our guide|the whole team|her brother|the old captain|"
    "every visitor"
)
DID = "found|promised|repaired|carried|measured|forgot|described|ordered|explained|counted|painted|watched"
WHAT = (
    "a yellow jacket|the broken engine|seven wooden boxes|another cup of tea|the northern bridge|"
    "fresh vegetables|an unusual question|three thousand letters|the shortest road|a cheap umbrella|"
    "their favourite song|the answer"
)
WHEN = (
    "on Thursday evening|before the storm|at quarter to eleven|in the middle of August|"
    "while we were sleeping|during the journey|after a long discussion|as soon as possible|"
    "with great pleasure|without any noise"
)
PARTS = [part.split("|") for part in (WHO, DID, WHAT, WHEN)]
FLITE = ("slt", "awb", "rms", "kal16")


def sentences(rng: random.Random, count: int) -> str:
    """Draw sentences that are grammatical and mean little."""
    words = [" ".join(rng.choice(part) for part in PARTS) for _ in range(count)]
    return ". ".join(text[0].upper() + text[1:] for text in words) + "."


def speak(voice: str, text: str, rng: random.Random) -> NDArray[np.float64]:
    """Say it with a voice of flite, or else of espeak-ng, at a pace and pitch drawn from `rng`; 16 kHz."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "said.wav"
        if voice in FLITE:
            command = ["flite", "-voice", voice, "--setf", f"duration_stretch={rng.uniform(0.85, 1.2):.2f}"]
            subprocess.run([*command, "-t", text, "-o", str(path)], check=True)
        else:
            pace = ["-s", str(rng.randint(130, 190)), "-p", str(rng.randint(30, 70))]
            subprocess.run(["espeak-ng", "-v", voice, *pace, "-w", str(path), text], check=True)
        audio, rate = soundfile.read(path, always_2d=True)
    return np.asarray(soxr.resample(audio.mean(axis=1), rate, 16_000))
