"""What the canceller believes about each stream: how much echo is gone, and who speaks."""

from __future__ import annotations

import numpy as np

from aec_core.types import HOP, SAMPLE_RATE, Rows, Samples

_AUDIBLE = np.float32(10 ** (-55 / 10))  # power of a reference, and of speech over it
_SPEECH = np.float32(10 ** (-60 / 10))
_KEPT = np.float32(0.1)  # share of the mic's power that must be left to call it double talk
_SHORT = np.float32(np.exp(-HOP / (0.1 * SAMPLE_RATE)))
_LONG = np.float32(np.exp(-HOP / (1.0 * SAMPLE_RATE)))
_TINY = np.float32(1e-10)


class Belief:
    """Running ERLE and double talk of each stream."""

    def __init__(self, streams: int) -> None:
        self._power = np.zeros((streams, 3), np.float32)  # mic, ref, out over 0.1 s
        self._echo = np.zeros((streams, 2), np.float32)  # mic, out over 1 s of far-end single talk
        self.double_talk = np.zeros(streams, np.bool_)

    @property
    def erle_db(self) -> Samples:
        """ERLE in dB, `(S,)`; 0 before anything was heard of the far end."""
        mic, out = (self._echo + _TINY).T
        return 10 * np.log10(mic / out)

    def update(self, mic: Samples, ref: Samples, out: Samples, rows: Rows) -> None:
        """Take one hop of mic, reference and cleaned output, `(n, hop)` each."""
        now = np.stack([np.einsum("ns,ns->n", x, x) for x in (mic, ref, out)], axis=-1) / np.float32(HOP)
        power = _SHORT * self._power[rows] + (1 - _SHORT) * now
        self._power[rows] = power
        playing = power[:, 1] > _AUDIBLE
        talking = (power[:, 2] > _SPEECH) & (power[:, 2] > _KEPT * power[:, 0])
        self.double_talk[rows] = playing & talking
        echo = self._echo[rows]
        heard = _LONG * echo + (1 - _LONG) * power[:, ::2]
        self._echo[rows] = np.where((playing & ~talking)[:, None], heard, echo)

    def reset(self, slot: int) -> None:
        for state in (self._power, self._echo, self.double_talk):
            state[slot] = 0
