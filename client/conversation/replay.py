"""Puts another canceller's output in the place of ours, for the service to listen to."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from aec_core import HOP, Cleaned
from aec_core.types import Mask, Samples


class Replay:
    """What a canceller made of each call, hop by hop and as late as ours.

    What it took away serves as its estimate of the echo: the gate of the service gets from every
    canceller what it gets from ours.
    """

    latency = HOP

    def __init__(self, calls: Sequence[tuple[Samples, Samples, Samples]]) -> None:
        """Take `(mic, ref, cleaned)` of each stream, `(n,)` each and in time with the microphone."""
        self.streams = len(calls)
        longest = max(len(mic) for mic, _, _ in calls)
        self._signals = np.zeros((3, self.streams, HOP + longest), np.float32)  # silence while it fills
        for slot, signals in enumerate(calls):
            for kind, signal in enumerate(signals):
                self._signals[kind, slot, HOP : HOP + len(signal)] = signal
        self._at = np.zeros(self.streams, np.intp)

    @property
    def delay_ms(self) -> NDArray[np.float64]:
        return np.full(self.streams, np.nan)

    @property
    def erle_db(self) -> NDArray[np.float32]:
        return np.zeros(self.streams, np.float32)

    @property
    def double_talk(self) -> Mask:
        return np.zeros(self.streams, np.bool_)

    def process(self, mic: Samples, ref: Samples, active: Mask | None = None) -> Cleaned:
        """Return the next hop of each active stream, `(S, hop)`; the input is known already."""
        out = np.zeros((3, self.streams, HOP), np.float32)
        for slot in range(self.streams) if active is None else map(int, np.flatnonzero(active)):
            at = int(self._at[slot])
            out[:, slot] = self._signals[:, slot, at : at + HOP]
            self._at[slot] = at + HOP
        heard, played, cleaned = out
        return Cleaned(mic=heard, ref=played, echo=heard - cleaned, vad=cleaned, asr=cleaned)

    def set_betas(self, slot: int, vad: float, asr: float) -> None:
        """Change nothing: there is no such choice."""

    def reset(self, slot: int) -> None:
        """Begin the call of a slot again."""
        self._at[slot] = 0
