"""The contract of a linear stage, and which one a config names."""

from __future__ import annotations

from typing import Protocol

from aec_core.config import AecConfig
from aec_core.kalman import KalmanFilter
from aec_core.types import Rows, Samples
from aec_core.wrls import WrlsFilter


class LinearFilter(Protocol):
    """Removes the part of the echo that is a filtered reference."""

    @property
    def latency(self) -> int:
        """Samples by which the output lags the input."""
        ...

    @property
    def ref_memory(self) -> int:
        """Samples of past reference that `realign` needs."""
        ...

    def process(self, mic: Samples, ref: Samples, rows: Rows) -> tuple[Samples, Samples]:
        """Return `(error, echo)` of one hop, both `(n, hop)`."""
        ...

    def realign(self, rows: Rows, ref_past: Samples, shift: Samples | None = None) -> None:
        """Continue with the reference at another delay."""
        ...

    def reset(self, slot: int) -> None:
        """Forget everything about one stream."""
        ...


def linear_filter(config: AecConfig, streams: int) -> LinearFilter:
    """Build the linear stage that `config.linear` names."""
    if config.linear == "wrls":
        return WrlsFilter(config.wrls, streams)
    return KalmanFilter(config.kalman, streams)
