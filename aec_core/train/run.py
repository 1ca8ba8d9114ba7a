"""From a manifest to a checkpoint: make data, train, export."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from aec_core.checkpoint import load_checkpoint, pretrained_path, save_checkpoint
from aec_core.config import AecConfig
from aec_core.train import loop
from aec_core.train.batches import Batches
from aec_core.train.dataset import DataConfig, prepare
from aec_core.train.memory import keep_freed_memory


@dataclass(frozen=True)
class TrainOptions:
    """What `duplex train` asks for."""

    manifests: tuple[Path, ...]  # each a data set of its own
    hours: float  # of training
    data_hours: tuple[float, ...] = (12.0,)  # of mixtures of each manifest
    out: Path = Path("runs/latest")
    cache: Path = Path("cache")
    init: str | None = None  # a checkpoint, or "pretrained"
    workers: int = 2
    threads: int = 1
    seed: int = 1
    device: str = "cpu"
    precision: loop.Precision = "fp32"


def train(options: TrainOptions) -> Path:
    """Train and return the exported checkpoint, `OUT/model.safetensors`.

    Interrupted, it keeps what is done: the same call goes on from there.

    Raises:
        FileNotFoundError: If there is no such manifest or initial checkpoint.
        ValueError: If the manifest has no usable speech, the initial checkpoint is none, or an option
            is out of range.
    """
    sets = _data_sets(options)
    torch.set_num_threads(options.threads)
    initial = _initial_weights(options.init)
    aec = AecConfig()
    config = loop.TrainConfig(
        options.hours, seed=options.seed, device=options.device, precision=options.precision
    )
    keep_freed_memory()
    with _bar("{task.completed}/{task.total} shards") as bar:
        paths: list[Path] = []
        for data in sets:
            task = bar.add_task(f"mixtures of {data.manifest.parent.name}", total=data.shards)
            paths += prepare(data, aec, options.cache, options.workers, partial(_advance, bar, task))
    batches = Batches(paths, config.batch, config.frames, np.random.default_rng(options.seed))
    trainer = loop.Trainer(config, batches, options.out)
    if initial is not None:
        trainer.start_from(initial)
    try:
        with _bar("{task.fields[terms]}") as bar:
            task = bar.add_task("training", total=1.0, terms="")
            trainer.run(lambda step: bar.update(task, completed=step.share, terms=_describe(step)))
    finally:
        path = options.out / "model.safetensors"
        notes = {
            "steps": str(trainer.step),
            "seconds": f"{trainer.spent:.0f}",
            "made": time.strftime("%Y-%m-%d"),
        }
        save_checkpoint(path, trainer.weights(), aec, notes)
    return path


def _data_sets(options: TrainOptions) -> list[DataConfig]:
    for manifest in options.manifests:
        if not manifest.is_file():
            raise FileNotFoundError(f"no manifest at {manifest}")
    hours = options.data_hours * (len(options.manifests) if len(options.data_hours) == 1 else 1)
    if len(hours) != len(options.manifests):
        raise ValueError(f"{len(options.manifests)} manifests need as many hours of data, got {len(hours)}")
    pairs = enumerate(zip(options.manifests, hours, strict=True))
    return [DataConfig(path, "train", each, seed=options.seed + index) for index, (path, each) in pairs]


def _advance(bar: Progress, task: TaskID, done: int, total: int) -> None:
    bar.update(task, completed=done, total=total)


def _initial_weights(init: str | None) -> dict[str, NDArray[np.float32]] | None:
    if init is None:
        return None
    return load_checkpoint(pretrained_path() if init == "pretrained" else Path(init))[0]


def _describe(step: loop.Progress) -> str:
    terms = " ".join(f"{name} {value:.2f}" for name, value in step.terms.items())
    return f"step {step.step}, {step.frames / 180_000:.1f} h heard, {terms}"


def _bar(text: str) -> Progress:
    columns = TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn()
    return Progress(*columns, TextColumn(text))
