"""Training data: mixtures passed through the serving front end, kept as shards on disk.

A shard is one batch of clips: what the network will see (features) and what its masks are judged
on (linear error and clean near end), all on one clock.
"""

from __future__ import annotations

import hashlib
import json
import logging
import multiprocessing
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aec_core.config import AecConfig
from aec_core.features import FEATURES, log_mel
from aec_core.frontend import FrontEnd
from aec_core.stft import Analysis
from aec_core.train.mixtures import make_mixture, random_scene
from aec_core.train.sources import Sources, load_sources
from aec_core.types import HOP, Samples

CLIPS = 24  # of one shard: they pass the front end together
RECIPE = 5  # goes into the cache key: raise it when a mixture is made in another way


@dataclass(frozen=True)
class DataConfig:
    """What decides the content of a data set."""

    manifest: Path
    split: str
    hours: float
    seconds: float = 10.0  # of a clip
    seed: int = 1
    augmented: bool = True  # merged talkers and an advanced reference (paper, section III-A)

    def __post_init__(self) -> None:
        if self.hours <= 0 or self.seconds < 1:
            raise ValueError(
                f"need hours > 0 and clips of at least a second, got {self.hours}, {self.seconds}"
            )

    @property
    def shards(self) -> int:
        """Number of shards, at least one."""
        return max(1, round(self.hours * 3600 / (CLIPS * self.seconds)))


@dataclass(frozen=True)
class Shard:
    """Clips on disk, memory-mapped; float16."""

    features: NDArray[np.float16]  # (clips, frames, 240)
    error: NDArray[np.float16]  # (clips, frames * hop): behind the linear stage
    near: NDArray[np.float16]  # (clips, frames * hop): the target

    @classmethod
    def open(cls, folder: Path) -> Shard:
        return cls(
            *(np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("features", "error", "near"))
        )

    def save(self, folder: Path) -> None:
        """Write under a temporary name first, so that a shard on disk is always whole."""
        partial = folder.with_suffix(".partial")
        partial.mkdir(parents=True, exist_ok=True)
        for name in ("features", "error", "near"):
            np.save(partial / f"{name}.npy", getattr(self, name))
        partial.rename(folder)


def prepare(
    data: DataConfig, aec: AecConfig, cache: Path, workers: int, progress: Callable[[int, int], None]
) -> list[Path]:
    """Make the shards that the cache lacks and return all of them.

    Args:
        data: What to make.
        aec: Settings of the front end that the mixtures pass.
        cache: Folder for data sets; each has a folder named by the hash of its settings.
        workers: Processes that make shards; interrupted work is taken up where it stopped.
        progress: Called with the number of shards that are there, and of all.

    Raises:
        ValueError: If the manifest is none, or no usable speech is left. What it lists and cannot be
            used is logged by reason, and in `skipped.csv` beside the shards.
    """
    folder = cache / _key(data, aec)
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{index:05d}" for index in range(data.shards)]
    missing = [path for path in paths if not path.exists()]
    progress(len(paths) - len(missing), len(paths))
    if not missing:
        return paths
    # Once before the workers do: one that cannot start would be started again for ever.
    load_sources(data.manifest, data.split, folder / "skipped.csv")
    context = multiprocessing.get_context("spawn")
    with context.Pool(workers, _start_worker, (data, aec)) as pool:
        for done, _ in enumerate(pool.imap_unordered(_make_shard, missing), 1):
            progress(len(paths) - len(missing) + done, len(paths))
    return paths


def make_shard(sources: Sources, data: DataConfig, aec: AecConfig, index: int) -> Shard:
    """Make one shard; the same arguments give the same clips."""
    rng = np.random.default_rng([data.seed, index])
    scenes = [random_scene(rng, merged=data.augmented) for _ in range(CLIPS)]
    clips = [make_mixture(scene, sources, data.seconds, rng) for scene in scenes]
    mic, ref, near = (np.stack([getattr(clip, name) for clip in clips]) for name in ("mic", "ref", "near"))
    lead = rng.integers(0, HOP, CLIPS) if data.augmented else 0
    features, error, latency = pass_front_end(mic, ref, FrontEnd(aec, CLIPS, lead))
    near = np.pad(near, ((0, 0), (latency, 0)))[:, : error.shape[1]]
    return Shard(features.astype(np.float16), error.astype(np.float16), near.astype(np.float16))


def pass_front_end(mic: Samples, ref: Samples, front_end: FrontEnd) -> tuple[Samples, Samples, int]:
    """Run clips `(clips, n)` through a new front end with as many streams.

    Returns:
        `(features (clips, frames, 240), linear error (clips, frames * hop), latency)`.
    """
    analysis = Analysis(len(mic), channels=3)
    frames, everyone = mic.shape[1] // HOP, slice(None)
    features = np.empty((len(mic), frames, FEATURES), np.float32)
    error = np.empty((len(mic), frames * HOP), np.float32)
    for frame in range(frames):
        at = slice(frame * HOP, (frame + 1) * HOP)
        heard = front_end.process(mic[:, at], ref[:, at], everyone)
        error[:, at] = heard.error
        spectra = analysis.process(np.stack([heard.mic, heard.error, heard.ref], axis=1), everyone)
        features[:, frame] = log_mel(spectra)
    return features, error, front_end.latency


_worker: tuple[Sources, DataConfig, AecConfig] | None = None  # what a worker process was started with


def _start_worker(data: DataConfig, aec: AecConfig) -> None:
    global _worker
    logging.getLogger("aec_core.train").setLevel(logging.ERROR)  # what is skipped was said by `prepare`
    _worker = load_sources(data.manifest, data.split), data, aec


def _make_shard(folder: Path) -> None:
    if _worker is None:
        raise RuntimeError("the worker process was not started with its sources")
    sources, data, aec = _worker
    make_shard(sources, data, aec, int(folder.name)).save(folder)


def _key(data: DataConfig, aec: AecConfig) -> str:
    settings = {
        "recipe": RECIPE,
        "manifest": hashlib.sha256(data.manifest.read_bytes()).hexdigest(),
        "data": [data.split, data.seconds, data.seed, data.augmented],
        "aec": {**asdict(aec), "beta_vad": None, "beta_asr": None},
    }
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
    return f"{data.split}-{digest[:16]}"
