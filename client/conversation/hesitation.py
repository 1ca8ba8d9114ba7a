"""How people hold the floor: the last sound before a pause is drawn out."""

from __future__ import annotations

from typing import Any

import numpy as np

from aec_core.types import SAMPLE_RATE, Samples

PAUSE_S = (0.3, 1.5)
_HELD_S = 0.35  # what is drawn out
_FACTOR = (1.6, 2.2)
_WHERE = (0.3, 0.75)  # of the sentence
_FADE = SAMPLE_RATE // 100
_FRAME = SAMPLE_RATE // 100
_NEAR = 15  # frames to either side of a random place in which the quietest is taken
_AROUND = 6  # frames whose mean power must be low: a gap between words, not a zero crossing
_LEAST_S = 1.6  # a shorter sentence has no middle


def can_hesitate(audio: Samples) -> bool:
    """Say whether there is room for a pause in a sentence, `(n,)`."""
    return len(audio) >= _LEAST_S * SAMPLE_RATE


def hesitate(audio: Samples, rng: np.random.Generator) -> tuple[Samples, tuple[int, int]]:
    """Put a pause of 0.3-1.5 s into a sentence.

    It comes between two words anywhere in the middle, not where a clause ends: people search for a word,
    too. The 350 ms before it last 1.6 to 2.2 times as long.

    Args:
        audio: A sentence, `(n,)`, of 1.6 s or more.
        rng: Draws how long.

    Returns:
        The longer sentence, and where its pause begins and ends, in samples.
    """
    import librosa  # an extra

    at = _between_words(audio, rng)
    held: Any = librosa.effects.time_stretch(
        audio[at - round(_HELD_S * SAMPLE_RATE) : at], rate=1 / rng.uniform(*_FACTOR)
    )
    before = np.concatenate([audio[: at - round(_HELD_S * SAMPLE_RATE)], held]).astype(np.float32)
    after = audio[at:].copy()
    ramp = np.linspace(0, 1, _FADE, dtype=np.float32)
    before[-_FADE:] *= ramp[::-1]
    after[:_FADE] *= ramp
    pause = round(rng.uniform(*PAUSE_S) * SAMPLE_RATE)
    start = len(before)
    return np.concatenate([before, np.zeros(pause, np.float32), after]), (start, start + pause)


def _between_words(audio: Samples, rng: np.random.Generator) -> int:
    """Return the sample around which 60 ms are quietest, within 150 ms of a random place in the middle."""
    power = np.mean(audio[: len(audio) // _FRAME * _FRAME].reshape(-1, _FRAME) ** 2, axis=1)
    smooth = np.convolve(power, np.ones(_AROUND), mode="same")
    first = max(round(_WHERE[0] * len(power)), round(_HELD_S * SAMPLE_RATE) // _FRAME + _AROUND)
    last = round(_WHERE[1] * len(power))
    place = int(rng.integers(first, last))
    low, high = max(place - _NEAR, first), min(place + _NEAR, last)
    return (low + int(smooth[low:high].argmin())) * _FRAME
