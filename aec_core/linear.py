"""The contract of a linear stage, and which one a config names."""

from __future__ import annotations

from typing import Protocol

from aec_core.config import AecConfig
from aec_core.kalman import KalmanFilter
from aec_core.types import Rows, Samples
from aec_core.wrls import WrlsFilter


class LinearFilter(Protocol):
    """Removes the part of the echo that is a filtered reference, for `S` streams."""

    @property
    def latency(self) -> int:
        """Samples by which the output lags the input."""
        ...

    @property
    def ref_memory(self) -> int:
        """Samples of past reference that `realign` needs."""
        ...

    def process(self, mic: Samples, ref: Samples, rows: Rows) -> tuple[Samples, Samples]:
        """Cancel the linear echo of one hop, then adapt.

        Args:
            mic: Microphone, `(n, hop)`.
            ref: Reference, delayed to `mic`, `(n, hop)`.
            rows: The `n` streams that these belong to.

        Returns:
            `(error, echo)`, both `(n, hop)` and `latency` samples behind `mic`; `error + echo` is the
            microphone of that time.
        """
        ...

    def realign(self, rows: Rows, ref_past: Samples, shift: Samples | None = None) -> None:
        """Continue with the reference at another delay.

        Args:
            rows: Streams whose delay moved.
            ref_past: Their last `ref_memory` samples at the new delay, `(n, ref_memory)`.
            shift: Samples by which the echo moves later inside the filter, `(n,)`; None after a
                jump of the device's delay, when the path keeps its place under the new delay.
        """
        ...

    def reset(self, slot: int) -> None:
        """Forget everything about one stream."""
        ...


def linear_filter(config: AecConfig, streams: int) -> LinearFilter:
    """Build the linear stage that `config.linear` names."""
    if config.linear == "wrls":
        return WrlsFilter(config.wrls, streams)
    return KalmanFilter(config.kalman, streams)
