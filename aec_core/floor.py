"""The least that a stage could cost: its multiplications and its bytes at the rates of this machine.

What lies between a floor and the measured time is overhead of small arrays, caches and the interpreter.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from math import log2

import numpy as np

from aec_core.config import DelayConfig, KalmanConfig, ms_to_hops
from aec_core.dfsmn import HIDDEN, LAYERS, TAPS, parameters
from aec_core.features import FEATURES, MELS
from aec_core.stft import BINS, N_FFT
from aec_core.types import HOP

_FLOAT, _COMPLEX = 4, 8  # bytes


@dataclass(frozen=True)
class Machine:
    """What one core reaches: multiply-adds of a large matrix product, bytes of a copy beyond the caches."""

    mac_s: float
    byte_s: float


@dataclass(frozen=True)
class Work:
    """Of one stream and frame, and what all streams share of it."""

    macs: float
    bytes: float
    shared_bytes: float = 0.0

    def floor_us(self, streams: int, machine: Machine) -> float:
        """Return microseconds a stream and frame, as if arithmetic and memory overlapped."""
        moved = self.bytes + self.shared_bytes / streams
        return 1e6 * max(self.macs / machine.mac_s, moved / machine.byte_s)


def floors_us(streams: int, machine: Machine) -> dict[str, float]:
    """Return the floor of each stage that has one worth counting, microseconds a stream and frame."""
    return {stage: round(work.floor_us(streams, machine), 2) for stage, work in _stages().items()}


def measure_machine() -> Machine:
    """Time a matrix product and a copy, best of ten."""
    square = np.ones((512, 512), np.float32)
    source, target = np.ones(16 << 20, np.float32), np.zeros(16 << 20, np.float32)
    product, copied = np.empty_like(square), 2 * source.nbytes  # read and written
    mac_s = 512**3 / _best_s(lambda: np.matmul(square, square, out=product))
    return Machine(mac_s, copied / _best_s(lambda: np.copyto(target, source)))


def _best_s(call: Callable[[], object]) -> float:
    times: list[float] = []
    for _ in range(10):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return min(times)


def fft_macs(n: int) -> float:
    """Multiply-adds of a real transform: 2.5 n log2 n operations, two of them in one."""
    return 1.25 * n * log2(n)


def _stages() -> dict[str, Work]:
    delay, partitions = DelayConfig(), KalmanConfig().partitions
    look = (ms_to_hops(delay.mic_window_ms) + ms_to_hops(delay.max_delay_ms)) * HOP // 2
    path = partitions * BINS
    # Path, reference and variance are read and written once; 4 real multiply-adds a complex product.
    linear_macs = (5 + 2 * partitions) * fft_macs(N_FFT) + path * (5 * 4 + 8)
    memory = LAYERS * (TAPS - 1) * HIDDEN
    weights = parameters() - LAYERS * TAPS * HIDDEN
    return {
        "delay": Work(3 * fft_macs(look) / delay.update_hops, 4 * look * _FLOAT / delay.update_hops),
        "linear": Work(linear_macs, 2 * path * (2 * _COMPLEX + 2 * _FLOAT)),
        "stft": Work(3 * (fft_macs(N_FFT) + N_FFT), 3 * (2 * N_FFT * _FLOAT + BINS * _COMPLEX)),
        "features": Work(FEATURES * BINS, 3 * BINS * _COMPLEX, BINS * MELS * _FLOAT),
        "network": Work(weights + memory, 2 * memory * _FLOAT, parameters() * _FLOAT),
        "synthesis": Work(2 * (fft_macs(N_FFT) + N_FFT), 2 * (2 * N_FFT * _FLOAT + BINS * _COMPLEX)),
    }
