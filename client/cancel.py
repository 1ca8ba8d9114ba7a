"""Cancel the echo of a pair of files through the streaming canceller."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np

from aec_core import SAMPLE_RATE, EchoCanceller
from client.audio import AudioFileError, Samples, check_target, load_pair, save

Stage = Literal["full", "linear"]
Linear = Literal["kalman", "wrls"]
Report = Callable[[int, int], None]
"""Called with the samples done and the samples to do."""

CHUNK = SAMPLE_RATE


def cancel_files(
    mic: Path, ref: Path, out: Path, *, beta: float, linear: Linear, stage: Stage, report: Report
) -> str | None:
    """Write the cleaned microphone as mono 16 kHz, as long as `mic` and aligned with it.

    Returns:
        A warning if the files did not have equal lengths.

    Raises:
        AudioFileError: If a file cannot be read, or `out` is one of the inputs or cannot be written.
    """
    if out.resolve() in (mic.resolve(), ref.resolve()):
        raise AudioFileError(f"{out}: is also an input and would be overwritten")
    check_target(out)
    mic_audio, ref_audio, warning = load_pair(mic, ref, SAMPLE_RATE)
    aec = EchoCanceller.pretrained(linear=linear)
    aec.set_betas(vad=beta, asr=beta)
    save(out, cancel(aec, mic_audio, ref_audio, stage, report), SAMPLE_RATE)
    return warning


def cancel(aec: EchoCanceller, mic: Samples, ref: Samples, stage: Stage, report: Report) -> Samples:
    """Run one stream to its end and take the latency out.

    Args:
        aec: A fresh canceller of one stream.
        mic: Microphone at 16 kHz, shape `(n,)`.
        ref: Reference, shape `(n,)`.
        stage: `full`, or `linear` for what the linear stage alone leaves.
        report: Told about the progress after each chunk.

    Returns:
        The near end, shape `(n,)`, sample for sample on the clock of `mic`.
    """
    flush = np.zeros(aec.latency, np.float32)
    long_mic, long_ref = np.concatenate([mic, flush]), np.concatenate([ref, flush])
    pieces: list[Samples] = []
    for start in range(0, len(long_mic), CHUNK):
        stop = min(start + CHUNK, len(long_mic))
        out = aec.process(long_mic[start:stop], long_ref[start:stop])
        pieces.append(out.asr if stage == "full" else out.linear)
        report(min(stop, len(mic)), len(mic))
    return np.concatenate(pieces)[aec.latency :]
