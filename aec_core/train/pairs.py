"""Echoes that a real device recorded: what its loudspeaker was given, and what its microphone heard."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aec_core.train.manifest import UnusableError, read_audio
from aec_core.types import SAMPLE_RATE, Wave

_FARTHEST_S = 10.0  # between the starts of the two recordings
_SEARCHED_S = 60.0  # of a recording
_HEADROOM = SAMPLE_RATE // 200  # 5 ms that the echo stays behind: the strongest arrival may not be the first
_SHARPEST = 20.0  # peak over RMS of the correlation: real pairs have 49 to 200, mismatched ones 5 to 26
_BLOCK = SAMPLE_RATE // 10
_ACTIVE_DB = -40.0  # of a block, below the loudest
_ACTIVE_SHARE = 0.25  # of the blocks of a crop


@dataclass(frozen=True)
class EchoPair:
    """Far-end single talk of a device, int16 at 16 kHz, of equal length and aligned to 5 ms."""

    echo: NDArray[np.int16]  # the microphone's
    ref: NDArray[np.int16]
    lag_s: float  # by which the echo came later in the files
    unequal_s: float  # by which the files differed in length


def read_pair(mic: Path, ref: Path | None) -> EchoPair:
    """Read a recording and its reference, and bring them on one clock.

    The recorder and the player need not have started together: up to ten seconds are made up for.

    Raises:
        UnusableError: If a file cannot be used, or the echo of the reference is not in the recording.
    """
    if ref is None:
        raise UnusableError("echo without a reference")
    heard = read_audio(mic)
    try:
        played = read_audio(ref)
    except UnusableError as error:
        raise UnusableError(f"reference {error}") from error
    n = min(len(heard), len(played))
    lag = _lag(heard[:n], played[:n])
    echo, aligned = _shift(heard, played, lag - _HEADROOM)
    unequal_s = abs(len(heard) - len(played)) / SAMPLE_RATE
    if len(echo) < SAMPLE_RATE:
        raise UnusableError("less than a second of echo with its reference")
    return EchoPair(echo, aligned, lag / SAMPLE_RATE, unequal_s)


def recorded_echo(pair: EchoPair, n: int, rng: np.random.Generator) -> tuple[Wave, Wave]:
    """Cut `(ref, echo)`, each `(n,)`, out of a pair, where the reference speaks.

    The echo follows within 10 ms: its delay is the caller's to add. Its level is as recorded, as is the
    reference's but for up to 6 dB. A pair shorter than `n` has silence before and after.
    """
    length = min(n, len(pair.ref))
    start = _start(pair.ref, length, rng)
    at = int(rng.integers(n - length + 1))
    ref, echo = np.zeros(n, np.float32), np.zeros(n, np.float32)
    ref[at : at + length] = pair.ref[start : start + length] / np.float32(32768)
    echo[at : at + length] = pair.echo[start : start + length] / np.float32(32768)
    # A clipped reference would no longer be what was played.
    gain = min(10 ** (rng.uniform(-6, 6) / 20), 1 / np.abs(ref).max())
    return np.float32(gain) * ref, echo


def _shift(
    heard: NDArray[np.int16], played: NDArray[np.int16], lag: int
) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """Drop `lag` samples of what was heard, or `-lag` of what was played, and what one has alone."""
    heard, played = heard[max(lag, 0) :], played[max(-lag, 0) :]
    n = min(len(heard), len(played))
    return heard[:n], played[:n]


def _lag(heard: NDArray[np.int16], played: NDArray[np.int16]) -> int:
    """Return by how many samples `heard` is later, from the phase of the cross spectrum."""
    n = min(len(heard), round(_SEARCHED_S * SAMPLE_RATE))
    size = 1 << (2 * n - 1).bit_length()
    cross = np.fft.rfft(heard[:n] / 32768, size) * np.fft.rfft(played[:n] / 32768, size).conj()
    correlation = np.fft.irfft(cross / (np.abs(cross) + 1e-12), size)
    far = min(n, round(_FARTHEST_S * SAMPLE_RATE))
    near_zero = np.concatenate([correlation[-far:], correlation[:far]])
    peak = int(np.abs(near_zero).argmax())
    if abs(near_zero[peak]) < _SHARPEST * near_zero.std():
        raise UnusableError("no echo of its reference")
    return peak - far


def _start(ref: NDArray[np.int16], length: int, rng: np.random.Generator) -> int:
    """Draw where to cut; a crop of pauses alone would have no echo to speak of."""
    blocks = ref[: len(ref) // _BLOCK * _BLOCK].reshape(-1, _BLOCK).astype(np.float32)
    power = np.mean(blocks**2, axis=1)
    active = np.concatenate([[0], np.cumsum(power > power.max() * 10 ** (_ACTIVE_DB / 10))])
    wide = min(max(length // _BLOCK, 1), len(power))
    share = (active[wide:] - active[:-wide]) / wide
    good = np.flatnonzero(share >= min(_ACTIVE_SHARE, share.max()))
    jitter = int(rng.integers(_BLOCK))
    return int(min(good[rng.integers(len(good))] * _BLOCK + jitter, len(ref) - length))
