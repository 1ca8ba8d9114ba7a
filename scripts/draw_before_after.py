"""Draw docs/images/before-after.png: the shipped recording before and after, beside the person alone.

Run `.venv/bin/python scripts/draw_before_after.py` after the weights change; needs the `evaluate` extra.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np

from aec_core import SAMPLE_RATE, EchoCanceller
from client.audio import Samples, load_mono
from client.cancel import cancel
from client.recording import shipped

ROOT = Path(__file__).parent.parent


def draw(axes: plt.Axes, audio: Samples, title: str) -> None:
    """Show a spectrogram from -100 to -20 dB."""
    floor = 1e-7 * np.random.default_rng(0).standard_normal(len(audio))  # digital silence has no logarithm
    axes.specgram(audio + floor, NFFT=512, noverlap=384, Fs=SAMPLE_RATE, vmin=-110, vmax=-40, cmap="magma")
    axes.set_title(title, loc="left", fontsize=10)
    axes.set_ylabel("kHz", fontsize=8)
    axes.set_yticks([0, 4000, 8000], ["0", "4", "8"])


def main() -> None:
    """Write the picture."""
    recording = shipped()
    near = load_mono(ROOT / "client/recordings/near.flac", SAMPLE_RATE)
    clean = cancel(EchoCanceller.pretrained(), recording.mic, recording.ref, "full", lambda *_: None)
    figure, rows = plt.subplots(3, 1, figsize=(9, 5), sharex=True, layout="constrained")
    draw(rows[0], recording.mic, "The microphone: agent and person")
    draw(rows[1], clean, "After echo cancellation (beta 0.2)")
    draw(rows[2], near, "The person alone")
    rows[2].set_xlabel("seconds", fontsize=8)
    figure.savefig(ROOT / "docs/images/before-after.png", dpi=72)


if __name__ == "__main__":
    main()
