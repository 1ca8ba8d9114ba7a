"""The training loop: a time budget, an average of the weights, checkpoints that resume exactly."""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aec_core.train.batches import Batches, mask_reference
from aec_core.train.criterion import Criterion
from aec_core.train.losses import OURS, LossWeights
from aec_core.train.network import Network, export_weights, import_weights
from aec_core.train.stages import PROGRESSIVE, Stage


@dataclass(frozen=True)
class TrainConfig:
    """One training run."""

    hours: float
    batch: int = 16
    frames: int = 240  # of a crop, 20 ms each
    learning_rate: float = 2e-3
    warmup: float = 0.02  # share of the budget
    clip: float = 5.0  # norm of the gradient
    average: float = 0.999  # of the weights that are exported, by step
    checkpoint_minutes: float = 3.0
    stages: tuple[Stage, ...] = PROGRESSIVE
    loss: LossWeights = OURS
    seed: int = 1
    device: str = "cpu"

    def __post_init__(self) -> None:
        if self.hours <= 0 or self.batch < 1 or self.frames < 32:
            raise ValueError("hours, batch and frames must be positive, frames at least 32")


@dataclass(frozen=True)
class Progress:
    """What a step reports."""

    step: int
    share: float  # of the budget that is spent
    frames: int  # heard so far
    terms: dict[str, float]  # running means of the loss terms


class Trainer:
    """Network, its average, optimiser and data of one run."""

    def __init__(
        self,
        config: TrainConfig,
        batches: Batches,
        folder: Path,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Set up a run, or resume the one whose checkpoint is there.

        Args:
            config: Of the run; `hours` counts what earlier runs in this folder spent, too.
            batches: Training data.
            folder: Takes the checkpoint and the log.
            clock: In seconds; what the budget is measured with.
        """
        torch.manual_seed(config.seed)
        self._config, self._batches, self._folder = config, batches, folder
        self._clock = clock
        self._device = torch.device(config.device)
        mean, std = batches.normalisation()
        self.network = Network(mean, std, config.stages).to(self._device)
        self.average = Network(mean, std, config.stages).to(self._device)
        self.average.load_state_dict(self.network.state_dict())
        self._optimiser = torch.optim.AdamW(
            self.network.parameters(), lr=config.learning_rate, weight_decay=1e-4
        )
        self._criterion = Criterion(config.loss, self._device, config.stages)
        self.step, self.spent, self._heard = 0, 0.0, 0
        self._means: dict[str, float] = {}
        folder.mkdir(parents=True, exist_ok=True)
        if self._path.exists():
            self._resume()

    @property
    def _path(self) -> Path:
        return self._folder / "last.pt"

    @property
    def budget(self) -> float:
        """Seconds of training in all."""
        return self._config.hours * 3600

    def weights(self) -> dict[str, NDArray[np.float32]]:
        """Return the averaged weights as serving wants them."""
        return export_weights(self.average)

    def start_from(self, weights: dict[str, NDArray[np.float32]]) -> None:
        """Go on from exported weights, unless a checkpoint was resumed."""
        if self.step == 0:
            import_weights(self.network, weights)
            import_weights(self.average, weights)

    def run(self, report: Callable[[Progress], None]) -> None:
        """Train until the budget is spent; an interrupt leaves a checkpoint behind."""
        saved, batches = self._clock(), iter(self._batches)
        try:
            while self.spent < self.budget:
                features, error, near = next(batches)
                began = self._clock()
                terms = self._train(features, error, near)
                self.spent += self._clock() - began
                report(Progress(self.step, min(self.spent / self.budget, 1.0), self._heard, terms))
                if self._clock() - saved > 60 * self._config.checkpoint_minutes:
                    self.save()
                    saved = self._clock()
        finally:
            self.save()

    def _train(self, features: Tensor, error: Tensor, near: Tensor) -> dict[str, float]:
        features, error, near = (x.to(self._device) for x in (features, error, near))
        for group in self._optimiser.param_groups:
            group["lr"] = self._learning_rate()
        features = mask_reference(features, self.network.mean, self._batches.rng)
        terms = self._criterion(self.network(features), error, near)
        self._optimiser.zero_grad()
        terms["total"].backward()
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), self._config.clip)
        if torch.isfinite(norm):
            self._optimiser.step()
        self.step += 1
        self._heard += features.shape[0] * features.shape[1]
        self._follow()
        return self._smooth({name: float(term.detach()) for name, term in terms.items()})

    def _learning_rate(self) -> float:
        share = min(self.spent / self.budget, 1.0)
        rise = min(1.0, (share + 1e-3) / self._config.warmup)
        return self._config.learning_rate * rise * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * share)))

    @torch.no_grad()
    def _follow(self) -> None:
        keep = min(self._config.average, self.step / (self.step + 10))
        for mine, theirs in zip(self.average.parameters(), self.network.parameters(), strict=True):
            mine.lerp_(theirs, 1 - keep)

    def _smooth(self, terms: dict[str, float]) -> dict[str, float]:
        for name, term in terms.items():
            if math.isfinite(term):
                self._means[name] = 0.98 * self._means.get(name, term) + 0.02 * term
        return dict(self._means)

    def save(self) -> None:
        """Write a checkpoint and a line of the log; a full disk leaves the last one as it was."""
        state: dict[str, Any] = {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "rng": self._batches.rng.bit_generator.state,
            "progress": (self.step, self.spent, self._heard, self._means),
        }
        partial = self._path.with_suffix(".partial")
        torch.save(state, partial)
        partial.replace(self._path)
        if self._means:
            self._log()

    def _log(self) -> None:
        log = self._folder / "log.csv"
        new = not log.exists()
        with log.open("a", newline="") as file:
            writer = csv.writer(file)
            if new:
                writer.writerow(["step", "seconds", "frames", *self._means])
            writer.writerow(
                [self.step, round(self.spent), self._heard, *(f"{x:.4f}" for x in self._means.values())]
            )

    def _resume(self) -> None:
        state = torch.load(self._path, map_location=self._device, weights_only=True)
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self._optimiser.load_state_dict(state["optimiser"])
        self._batches.rng.bit_generator.state = state["rng"]
        self.step, self.spent, self._heard, self._means = state["progress"]
