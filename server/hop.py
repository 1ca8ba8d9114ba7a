"""The canceller's outputs, cut into what each session takes of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aec_core import Cleaned
from aec_core.types import HOP, Mask, Samples
from server.pcm import Pcm, to_pcm


@dataclass(frozen=True, slots=True)
class CleanHop:
    """One hop of one session after the canceller; all arrays are on one clock.

    Attributes:
        start: Index of the first *input* sample that the arrays describe, on the 16 kHz microphone
            clock; negative while the canceller's latency fills.
        mic: Microphone, `(320,)`.
        ref: Reference as played, `(320,)`.
        pcm: Cleaned with beta 0.6, for the detector, and with beta 0.2, for the recogniser, `(320, 2)`.
        mic_power: Mean square of the microphone.
        ref_power: … of the reference.
        echo_power: … of the linear estimate of the echo.
        vad_power: … of what was cleaned for the detector.
        speech: P(speech) on that.
        delay_ms: Delay of the echo behind the reference, NaN before the first lock.
        erle_db: What the canceller believes that it removes.
    """

    start: int
    mic: Samples
    ref: Samples
    pcm: Pcm
    mic_power: float
    ref_power: float
    echo_power: float
    vad_power: float
    speech: float
    delay_ms: float
    erle_db: float


def cut(
    cleaned: Cleaned,
    starts: NDArray[np.int64],
    speech: NDArray[np.float32],
    delay_ms: NDArray[np.float64],
    erle_db: NDArray[np.float32],
    active: Mask,
) -> Iterator[tuple[int, CleanHop]]:
    """Give the slot and the hop of each active stream; what all of them need is computed at once.

    Args:
        cleaned: Of `S` streams.
        starts: First sample of each hop, `(S,)`.
        speech: P(speech), `(S,)`.
        delay_ms: `(S,)`.
        erle_db: `(S,)`.
        active: Who had a hop, `(S,)`.
    """
    pcm = to_pcm(np.stack([cleaned.vad, cleaned.asr], axis=-1))
    mic_power, ref_power = _powers(cleaned.mic), _powers(cleaned.ref)
    echo_power, vad_power = _powers(cleaned.echo), _powers(cleaned.vad)
    for slot in np.flatnonzero(active).tolist():
        yield (
            slot,
            CleanHop(
                start=int(starts[slot]),
                mic=cleaned.mic[slot],
                ref=cleaned.ref[slot],
                pcm=pcm[slot],
                mic_power=mic_power[slot],
                ref_power=ref_power[slot],
                echo_power=echo_power[slot],
                vad_power=vad_power[slot],
                speech=float(speech[slot]),
                delay_ms=float(delay_ms[slot]),
                erle_db=float(erle_db[slot]),
            ),
        )


def _powers(signal: Samples) -> list[float]:
    return (np.einsum("ns,ns->n", signal, signal) / HOP).tolist()
