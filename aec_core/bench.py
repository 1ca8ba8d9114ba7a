"""What the canceller costs: microseconds a frame for each stage, and streams together on one core.

Times are CPU times of this process, so that other work on the machine counts less. Run it with
`OMP_NUM_THREADS=1` set before NumPy is imported, as `duplex bench` does.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Generator, Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from aec_core import canceller
from aec_core.bench_peers import peer_rtfs
from aec_core.canceller import HopCanceller
from aec_core.floor import floors_us, measure_machine
from aec_core.types import HOP, SAMPLE_RATE, Samples

Report = dict[str, Any]
"""`{"streams": {"1": {"rtf", "stages_us", "floor_us"}, …}, "peers": {NAME: {"rtf"}}, …}`."""

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
        that the stages add up to a little more. `floor_us` is what the arithmetic and the memory traffic
        of a stage would take at the rates that this machine reaches (`aec_core.floor`).
    """
    mic, ref = echo_pair(seconds + WARM_UP_HOPS * HOP / SAMPLE_RATE)
    machine = measure_machine()
    streams = {
        str(count): _measure(count, mic, ref) | {"floor_us": floors_us(count, machine)} for count in counts
    }
    memory = array_bytes(HopCanceller.pretrained(streams=2)) - array_bytes(HopCanceller.pretrained())
    return {
        "streams": streams,
        "peers": peer_rtfs(mic, ref),
        "memory_per_stream_kb": round(memory / 1024),
        "machine": {"gmac_s": round(machine.mac_s / 1e9, 1), "gbyte_s": round(machine.byte_s / 1e9, 1)},
    }


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


def array_bytes(owner: object) -> int:
    """Add up the arrays that an object of this package holds, those of its parts among them."""
    if isinstance(owner, np.ndarray):
        return owner.nbytes if owner.base is None else 0
    if isinstance(owner, list):
        return sum(map(array_bytes, cast(list[object], owner)))
    if type(owner).__module__.startswith("aec_core."):
        return sum(map(array_bytes, vars(owner).values()))
    return 0


class StageClock:
    """Adds up the CPU time of each stage of one canceller, without that of stages inside it."""

    def __init__(self) -> None:
        self.ns: dict[str, int] = {}
        self._inside = 0  # time of the stages that the running one called

    def clear(self) -> None:
        self.ns = dict.fromkeys(self.ns, 0)

    @contextlib.contextmanager
    def watching(self, core: HopCanceller) -> Generator[None]:
        """Time the stages of `core` while the block runs; no other canceller may run then."""
        places: list[tuple[Any, str, str]] = [
            (core.front_end.aligner.estimator, "process", "delay"),
            (core.front_end.aligner, "process", "alignment"),
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
            outer, self._inside = self._inside, 0
            began = time.process_time_ns()
            result = call(*args)
            took = time.process_time_ns() - began
            self.ns[stage] += took - self._inside
            self._inside = outer + took
            return result

        return timed
