"""From manifests to a checkpoint: make data, train, export."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from aec_core.checkpoint import load_checkpoint, pretrained_path, save_checkpoint
from aec_core.config import AecConfig
from aec_core.train import default_data, loop
from aec_core.train.batches import Batches, SpecAugment
from aec_core.train.dataset import DataConfig, prepare
from aec_core.train.memory import keep_freed_memory
from aec_core.train.plots import draw_curves
from aec_core.train.recipes import SHIPPED, find_recipe
from aec_core.train.signals import interrupts_waiting, terminated_as_interrupted
from aec_core.train.validation import Figures, Judge, held_out_calls

logger = logging.getLogger(__name__)

_DATA_HOURS = 12.0


@dataclass(frozen=True)
class TrainOptions:
    """What `duplex train` asks for."""

    manifests: tuple[Path, ...] = ()  # each a data set of its own; none: the clips that are shipped
    hours: float | None = None  # of training: one hour if there are no steps either
    steps: int | None = None
    data_hours: tuple[float, ...] = ()  # of mixtures of each manifest
    recipe: str = SHIPPED
    out: Path = Path("runs/latest")
    cache: Path = Path("cache")
    init: str | None = None  # a checkpoint, or "pretrained"
    workers: int = 2
    threads: int = 1
    seed: int = 1
    device: str = "cpu"
    precision: loop.Precision = "fp32"
    validate_minutes: float = 10.0  # of training between looks; 0: never
    patience: int | None = None  # looks without gain that end the run


def train(options: TrainOptions) -> Path:
    """Train and return the exported checkpoint, `OUT/model.safetensors`.

    Interrupted or terminated, it keeps what is done: the same call goes on from there.

    Raises:
        FileNotFoundError: If there is no such manifest or initial checkpoint.
        ValueError: If the manifest has no usable speech, the initial checkpoint is none, an option is out
            of range, or the folder has a run of other settings.
        OSError: If what was trained cannot be exported. The run's own checkpoint is there.
    """
    config, aec = _config(options), AecConfig()
    initial = None if options.init is None else _load(options.init)
    augmented = find_recipe(options.recipe).augmented
    sets = data_sets(options.manifests, options.data_hours, options.cache, options.seed, augmented)
    torch.set_num_threads(options.threads)
    keep_freed_memory()
    with terminated_as_interrupted():
        paths = make_data(sets, aec, options.cache, options.workers)
        batches = Batches(paths, config.batch, config.frames, np.random.default_rng(options.seed))
        trainer = loop.Trainer(config, batches, options.out, _validation(options, sets[0].manifest, aec))
        if initial is not None:
            trainer.start_from(initial)
        try:
            run_under_bar(trainer, "training")
        finally:
            notes = {"recipe": options.recipe, "steps": str(trainer.step), "seconds": f"{trainer.spent:.0f}"}
            export(options.out / "model.safetensors", trainer.weights(), aec, notes)
            draw_curves(options.out)
    return options.out / "model.safetensors"


def _config(options: TrainOptions) -> loop.TrainConfig:
    recipe = find_recipe(options.recipe)
    return loop.TrainConfig(
        hours=1.0 if options.hours is None and options.steps is None else options.hours,
        steps=options.steps,
        stages=recipe.stages,
        loss=recipe.loss,
        specaugment=SpecAugment() if recipe.augmented else None,
        precision=options.precision,
        seed=options.seed,
        device=options.device,
    )


def data_sets(
    manifests: Sequence[Path], hours: Sequence[float], cache: Path, seed: int, augmented: bool
) -> list[DataConfig]:
    """Return a training set for each manifest, or of what is shipped if there is none.

    Raises:
        FileNotFoundError: If there is no such manifest.
        ValueError: If a manifest is none, or there are not as many hours as manifests, or one of them.
    """
    whole = default_data.complete(manifests, cache)
    usual = _DATA_HOURS if manifests else default_data.HOURS
    each = tuple(hours or (usual,)) * (len(whole) if len(hours) < 2 else 1)
    if len(each) != len(whole):
        raise ValueError(f"{len(whole)} manifests need as many hours of data, got {len(each)}")
    pairs = enumerate(zip(whole, each, strict=True))
    return [
        DataConfig(path, "train", long, seed=seed + index, augmented=augmented)
        for index, (path, long) in pairs
    ]


def make_data(sets: Sequence[DataConfig], aec: AecConfig, cache: Path, workers: int) -> list[Path]:
    """Make what the cache lacks of the sets, under a progress bar, and return all shards."""
    paths: list[Path] = []
    with progress_bar("{task.completed}/{task.total} shards") as bar:
        for data in sets:
            task = bar.add_task(f"mixtures of {data.manifest.parent.name}", total=data.shards)
            paths += prepare(data, aec, cache, workers, partial(_advance, bar, task))
    return paths


def export(path: Path, weights: loop.Arrays, aec: AecConfig, notes: dict[str, str]) -> None:
    """Write a checkpoint, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial_path = path.with_suffix(".partial")
    save_checkpoint(partial_path, weights, aec, {**notes, "made": time.strftime("%Y-%m-%d")})
    partial_path.replace(path)


def _validation(options: TrainOptions, manifest: Path, aec: AecConfig) -> loop.Validation | None:
    if not options.validate_minutes:
        return None
    try:
        judge = Judge(held_out_calls(manifest), aec)
    except ValueError as error:
        logger.warning("no validation: %s", error)
        return None

    def keep(weights: loop.Arrays, figures: Figures) -> None:
        notes = {name: f"{value:.3f}" for name, value in figures.items()}
        try:
            export(options.out / "best.safetensors", weights, aec, {"recipe": options.recipe, **notes})
        except OSError as error:
            logger.error("the best weights could not be written: %s", error)

    def look(weights: loop.Arrays) -> Figures:
        figures = judge(weights)
        draw_curves(options.out)
        return figures

    return loop.Validation(look, keep, options.validate_minutes, options.patience)


def progress_bar(text: str) -> Progress:
    """Return a bar that ends in `text`, a template of rich."""
    columns = TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn()
    return Progress(*columns, TextColumn(text))


def run_under_bar(trainer: loop.Trainer, title: str) -> None:
    """Train to the end of the budget, and show how far that is and what the terms are."""
    with progress_bar("{task.fields[terms]}") as bar, interrupts_waiting() as interrupt:
        task = bar.add_task(title, total=1.0, terms="")
        bar.update(task, completed=trainer.share)

        def report(step: loop.Progress) -> None:
            bar.update(task, completed=step.share, terms=_describe(step))
            interrupt()

        trainer.run(report)


def _describe(step: loop.Progress) -> str:
    terms = " ".join(f"{name} {value:.2f}" for name, value in step.terms.items())
    return f"step {step.step}, {step.frames / 180_000:.1f} h heard, {terms}"


def _advance(bar: Progress, task: TaskID, done: int, total: int) -> None:
    bar.update(task, completed=done, total=total)


def _load(init: str) -> loop.Arrays:
    return load_checkpoint(pretrained_path() if init == "pretrained" else Path(init))[0]
