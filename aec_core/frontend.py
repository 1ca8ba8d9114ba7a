"""Everything before the network: delay, alignment and the linear stage, as training hears it too."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aec_core.config import AecConfig
from aec_core.delay import Aligner
from aec_core.linear import linear_filter
from aec_core.ring import HopRing
from aec_core.types import HOP, Rows, Samples


@dataclass(frozen=True)
class Linear:
    """One hop of each stream behind the linear stage, `(n, hop)` each and all on one clock."""

    mic: Samples
    error: Samples
    ref: Samples  # aligned

    @property
    def echo(self) -> Samples:
        """The echo estimate of the linear stage."""
        return self.mic - self.error


class FrontEnd:
    """Aligns the reference of each stream and cancels what is linear in its echo."""

    def __init__(self, config: AecConfig, streams: int, lead: NDArray[np.intp] | int = 0) -> None:
        """`lead` advances the aligned reference of each stream (`Aligner`); serving has none."""
        self.linear = linear_filter(config, streams)
        self.aligner = Aligner(config.delay, streams, self.linear.ref_memory, lead)
        self.latency = self.linear.latency
        self._ref = HopRing(streams, 1 - -self.latency // HOP, HOP)

    @property
    def delay(self) -> NDArray[np.intp]:
        """Confirmed delay of each stream in samples; -1 until the first lock."""
        return self.aligner.delay

    def process(self, mic: Samples, ref: Samples, rows: Rows) -> Linear:
        """Take one hop of each, `(n, hop)`; the answer lags by `latency` samples."""
        aligned, moved = self.aligner.process(mic, ref, rows)
        if len(moved.jumped):
            past = self.aligner.past(self.linear.ref_memory, moved.jumped)
            self.linear.realign(moved.jumped, past)
        if len(moved.drifted):
            past = self.aligner.past(self.linear.ref_memory, moved.drifted)
            self.linear.realign(moved.drifted, past, moved.shift)
        error, echo = self.linear.process(mic, aligned, rows)
        if not self.latency:
            return Linear(mic, error, aligned)
        self._ref.push(aligned, rows)
        return Linear(error + echo, error, self._ref.last(HOP, rows, self.latency))

    def reset(self, slot: int) -> None:
        for part in (self.aligner, self.linear, self._ref):
            part.reset(slot)
