"""Trains the rows of the paper's tables, and of our own experiments, at equal steps with several seeds."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from aec_core.config import AecConfig
from aec_core.train import loop
from aec_core.train.batches import Batches, SpecAugment
from aec_core.train.memory import keep_freed_memory
from aec_core.train.recipes import PAPERS_ROWS, STAGES_OF, Recipe, find_recipe
from aec_core.train.run import data_sets, export, make_data, run_under_bar
from aec_core.train.signals import terminated_as_interrupted


@dataclass(frozen=True)
class AblationOptions:
    """What `duplex ablate` asks for."""

    out: Path
    manifests: tuple[Path, ...] = ()  # none: the clips that are shipped
    data_hours: tuple[float, ...] = ()
    rows: tuple[str, ...] = tuple(PAPERS_ROWS)
    seeds: tuple[int, ...] = (1, 2, 3)
    steps: int = 600
    batch: int = 16
    cache: Path = Path("cache")
    workers: int = 2
    threads: int = 1
    device: str = "cpu"
    precision: loop.Precision = "fp32"


@dataclass(frozen=True)
class _Run:
    """One checkpoint to be trained."""

    row: str
    recipe: Recipe
    seed: int

    def name(self, stage: int | None = None) -> str:
        """Return a file name's stem, `da-pl-1`, of a middle stage `da-pl-stage1-1`."""
        words = re.sub(r"[^a-z0-9]+", "-", self.row.lower()).strip("-")
        return "-".join([words, *([f"stage{stage}"] if stage else []), str(self.seed)])


def ablate(options: AblationOptions, told: Callable[[str], None] = lambda _: None) -> list[Path]:
    """Train every row with every seed and return the checkpoints, those of table III's stages among them.

    A checkpoint says its `row`, `seed`, `steps`, `mask` ("single" or "two") and, of a middle stage, its
    `stage` in the metadata. Finished ones are skipped, and an interrupted one goes on where it was.

    Raises:
        FileNotFoundError: If there is no such manifest.
        ValueError: If there is no such row, an option is out of range, or an unfinished run is of others.
    """
    runs = [_Run(row, find_recipe(row), seed) for seed in options.seeds for row in options.rows]
    torch.set_num_threads(options.threads)
    keep_freed_memory()
    with terminated_as_interrupted():
        shards = {
            augmented: _shards(options, augmented)
            for augmented in sorted({run.recipe.augmented for run in runs})
        }
        for number, run in enumerate(runs, 1):
            if (options.out / f"{run.name()}.safetensors").exists():
                told(f"{run.name()} is there")
                continue
            _train(options, run, shards[run.recipe.augmented], f"{run.name()} ({number} of {len(runs)})")
    return sorted(options.out.glob("*.safetensors"))


def _shards(options: AblationOptions, augmented: bool) -> list[Path]:
    sets = data_sets(options.manifests, options.data_hours, options.cache, seed=1, augmented=augmented)
    return make_data(sets, AecConfig(), options.cache, options.workers)


def _train(options: AblationOptions, run: _Run, shards: list[Path], title: str) -> None:
    config = loop.TrainConfig(
        steps=options.steps,
        batch=options.batch,
        stages=run.recipe.stages,
        loss=run.recipe.loss,
        specaugment=SpecAugment() if run.recipe.augmented else None,
        precision=options.precision,
        seed=run.seed,
        device=options.device,
    )
    folder = options.out / "unfinished" / run.name()
    batches = Batches(shards, config.batch, config.frames, np.random.default_rng(run.seed))
    trainer = loop.Trainer(config, batches, folder)
    run_under_bar(trainer, title)
    _export(options, run, trainer)
    shutil.rmtree(folder)


def _export(options: AblationOptions, run: _Run, trainer: loop.Trainer) -> None:
    """Write the row's checkpoint last: where it is, all of the run is."""
    notes = {
        "row": run.row,
        "seed": str(run.seed),
        "steps": str(trainer.step),
        "mask": "single" if run.recipe.single_mask else "two",
    }
    middle = range(1, len(run.recipe.stages)) if run.row == STAGES_OF else range(0)
    for stage in middle:
        path = options.out / f"{run.name(stage)}.safetensors"
        export(path, trainer.weights(stage - 1), AecConfig(), {**notes, "stage": str(stage)})
    export(options.out / f"{run.name()}.safetensors", trainer.weights(), AecConfig(), notes)
