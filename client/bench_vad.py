"""What the service's voice activity detector costs beside the canceller."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from aec_core.bench import echo_pair
from aec_core.types import HOP
from server.vad import SileroBank

_HOPS = 160  # a whole number of the detector's frames
_REPEATS = 3


def add_vad(report: dict[str, Any]) -> None:
    """Add `vad` to the stages of each number of streams; `total` and the RTF are the canceller's alone."""
    for count, figures in report["streams"].items():
        best_us = min(_hop_us(int(count)) for _ in range(_REPEATS))
        figures["stages_us"]["vad"] = round(best_us / int(count), 2)


def _hop_us(streams: int) -> float:
    bank, active = SileroBank(streams), np.ones(streams, np.bool_)
    audio = echo_pair(_HOPS * HOP / 16_000)[0].reshape(-1, 1, HOP).repeat(streams, axis=1)
    began = time.process_time_ns()
    for hop in audio:
        bank.process(hop, active)
    return (time.process_time_ns() - began) / 1000 / len(audio)
