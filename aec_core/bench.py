"""What the canceller costs: microseconds a frame for each stage, and streams together on one core.

Times are CPU times of this process, so that other work on the machine counts less. Run it with
`OMP_NUM_THREADS=1` set before NumPy is imported, as `duplex bench` does.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Generator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aec_core import canceller
from aec_core.bench_peers import peer_rtfs
from aec_core.canceller import HopCanceller
from aec_core.types import HOP, SAMPLE_RATE, Samples

Report = dict[str, Any]
"""`{"streams": {"1": {"rtf", "stages_us"}, …}, "peers": {NAME: {"rtf"}}}`."""

SEED = 7
DELAY_MS = 120
WARM_UP_HOPS = 50
REPEATS = 3


def run_bench(counts: Sequence[int], seconds: float) -> Report:
    """Time the canceller for each number of streams, then the peers on one stream of the same audio.

    Args:
        counts: Numbers of streams to process together.
        seconds: Audio for each measurement.

    Returns:
        Figures are for each stream: RTF is CPU seconds for a second of audio, stages are in
        microseconds for a frame of 20 ms. `total` is measured without the clocks of the stages, so
        that the stages add up to a little more.
    """
    mic, ref = echo_pair(seconds + WARM_UP_HOPS * HOP / SAMPLE_RATE)
    streams = {str(count): _measure(count, mic, ref) for count in counts}
    return {"streams": streams, "peers": peer_rtfs(mic, ref)}


def echo_pair(seconds: float) -> tuple[Samples, Samples]:
    """Make speech-like noise and its echo with double talk, so that every stage has work; shape `(n,)`."""
    rng, samples = np.random.default_rng(SEED), round(seconds * SAMPLE_RATE)
    ref = _babble(rng, samples)
    path = rng.standard_normal(1600) * np.exp(-np.arange(1600) / 300) / 20
    echo = np.convolve(ref, path)[:samples]
    late = np.concatenate([np.zeros(DELAY_MS * SAMPLE_RATE // 1000), echo])[:samples]
    mic = late + 0.3 * _babble(rng, samples) + 1e-4 * rng.standard_normal(samples)
    return mic.astype(np.float32), ref.astype(np.float32)


def _babble(rng: np.random.Generator, samples: int) -> NDArray[np.float64]:
    """Noise in syllables of a quarter second, a third of them silent."""
    gains = rng.uniform(-0.5, 1, samples // 4000 + 1).clip(0)
    return 0.1 * np.repeat(gains, 4000)[:samples] * rng.standard_normal(samples)


def _measure(count: int, mic: Samples, ref: Samples) -> dict[str, Any]:
    frame_us = min(_frame_us(HopCanceller.pretrained(streams=count), mic, ref) for _ in range(REPEATS))
    stages = min((_stages_us(count, mic, ref) for _ in range(REPEATS)), key=lambda us: sum(us.values()))
    stages["total"] = frame_us
    return {
        "rtf": frame_us / count * 1e-6 * SAMPLE_RATE / HOP,
        "stages_us": {stage: round(us / count, 2) for stage, us in stages.items()},
    }


def _stages_us(count: int, mic: Samples, ref: Samples) -> dict[str, float]:
    """Return the mean cost of each stage for a frame of all streams; `rest` is what no stage accounts for."""
    core, clock = HopCanceller.pretrained(streams=count), StageClock()
    with clock.watching(core):
        frame_us = _frame_us(core, mic, ref, on_warm=clock.clear)
    hops = len(mic) // HOP - WARM_UP_HOPS
    stages = {stage: ns / 1000 / hops for stage, ns in clock.ns.items()}
    return {**stages, "rest": max(frame_us - sum(stages.values()), 0.0)}


def _frame_us(
    core: HopCanceller, mic: Samples, ref: Samples, on_warm: Callable[[], None] = lambda: None
) -> float:
    """Return the mean cost of a frame of all streams together, after a warm-up."""
    mics, refs = (np.tile(_hops(audio), (1, core.streams, 1)) for audio in (mic, ref))
    began = 0
    for hop in range(len(mics)):
        if hop == WARM_UP_HOPS:
            on_warm()
            began = time.process_time_ns()
        core.process(mics[hop], refs[hop])
    return (time.process_time_ns() - began) / 1000 / (len(mics) - WARM_UP_HOPS)


def _hops(audio: Samples) -> Samples:
    """Cut into whole hops of one stream, `(hops, 1, hop)`."""
    whole = len(audio) - len(audio) % HOP
    return audio[:whole].reshape(-1, 1, HOP)


class StageClock:
    """Adds up the CPU time of each stage of one canceller."""

    def __init__(self) -> None:
        self.ns: dict[str, int] = {}

    def clear(self) -> None:
        self.ns = dict.fromkeys(self.ns, 0)

    @contextlib.contextmanager
    def watching(self, core: HopCanceller) -> Generator[None]:
        """Time the stages of `core` while the block runs; no other canceller may run then."""
        places: list[tuple[Any, str, str]] = [
            (core.front_end.aligner, "process", "delay"),
            (core.front_end.linear, "process", "linear"),
            (core.analysis, "process", "stft"),
            (canceller, "log_mel", "features"),
            (core.suppressor, "process", "network"),
            (canceller, "wiener_gains", "post_filter"),
            (core.synthesis, "process", "synthesis"),
        ]
        plain = [(owner, name, getattr(owner, name)) for owner, name, _ in places]
        for owner, name, stage in places:
            setattr(owner, name, self._timed(getattr(owner, name), stage))
        try:
            yield
        finally:
            for owner, name, call in plain:
                setattr(owner, name, call)

    def _timed(self, call: Callable[..., Any], stage: str) -> Callable[..., Any]:
        self.ns[stage] = 0

        def timed(*args: Any) -> Any:
            began = time.process_time_ns()
            result = call(*args)
            self.ns[stage] += time.process_time_ns() - began
            return result

        return timed
