"""Audio files as mono float32 at one rate, or a clear reason why not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

Samples = NDArray[np.float32]


class AudioFileError(Exception):
    """A file that cannot be used; the message names it and says why."""


def load_mono(path: Path, rate: int) -> Samples:
    """Read a file, average its channels and resample it.

    Returns:
        Samples in about [-1, 1], shape `(n,)`.

    Raises:
        AudioFileError: If it is missing, unreadable, empty or not finite.
    """
    if not path.is_file():
        raise AudioFileError(f"{path}: no such file")
    try:
        audio, file_rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, OSError) as error:
        raise AudioFileError(f"{path}: not a readable audio file ({error})") from error
    if not len(audio):
        raise AudioFileError(f"{path}: holds no samples")
    if not np.isfinite(audio).all():
        raise AudioFileError(f"{path}: holds NaN or infinite samples")
    mono = audio.mean(axis=1, dtype=np.float32)
    return mono if file_rate == rate else soxr.resample(mono, file_rate, rate).astype(np.float32, copy=False)


def load_pair(mic: Path, ref: Path, rate: int) -> tuple[Samples, Samples, str | None]:
    """Read a microphone and its reference; the reference is cut or filled to the microphone's length.

    Returns:
        `(mic, ref, warning)`, the arrays equally long.

    Raises:
        AudioFileError: If either cannot be used.
    """
    mic_audio, ref_audio = load_mono(mic, rate), load_mono(ref, rate)
    surplus = len(ref_audio) - len(mic_audio)
    if surplus == 0:
        return mic_audio, ref_audio, None
    by, done = ("longer", "cut") if surplus > 0 else ("shorter", "filled up with silence")
    warning = f"{ref.name} is {abs(surplus) / rate:.2f} s {by} than {mic.name}: {done}"
    return mic_audio, np.pad(ref_audio, (0, max(-surplus, 0)))[: len(mic_audio)], warning


def check_target(path: Path) -> None:
    """Make sure, before the work, that `save` will be able to write there.

    Raises:
        AudioFileError: If the directory is missing or the file's ending names no format of 16-bit PCM.
    """
    if not path.parent.is_dir():
        raise AudioFileError(f"{path.parent}: no such directory")
    ending = path.suffix[1:].upper()
    if ending not in soundfile.available_formats() or not soundfile.check_format(ending, "PCM_16"):
        raise AudioFileError(f"{path}: cannot be written as 16-bit PCM: end its name in .wav or .flac")


def save(path: Path, audio: NDArray[np.float32] | NDArray[np.int16], rate: int) -> None:
    """Write 16-bit PCM.

    Raises:
        AudioFileError: If the file cannot be written.
    """
    try:
        soundfile.write(path, audio, rate, subtype="PCM_16")
    except (soundfile.LibsndfileError, OSError, TypeError, ValueError) as error:
        raise AudioFileError(f"{path}: cannot be written ({error})") from error
