"""The training loop: a budget, an average of the weights, validation, checkpoints that resume exactly."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from aec_core.train.batches import Batches, SpecAugment
from aec_core.train.criterion import Criterion
from aec_core.train.losses import OURS, LossWeights
from aec_core.train.network import Network, export_weights, import_weights
from aec_core.train.records import append_row, write_whole
from aec_core.train.stages import PROGRESSIVE, Stage

Arrays = dict[str, NDArray[np.float32]]
"""Weights as serving wants them."""

Precision = Literal["fp32", "bf16"]


@dataclass(frozen=True)
class TrainConfig:
    """One training run; its budget is hours of training or a number of steps."""

    hours: float | None = None
    steps: int | None = None
    batch: int = 16
    frames: int = 240  # of a crop, 20 ms each
    learning_rate: float = 2e-3
    warmup: float = 0.02  # share of the budget
    clip: float = 5.0  # norm of the gradient
    average: float = 0.999  # of the weights that are exported, by step
    checkpoint_minutes: float = 3.0
    stages: tuple[Stage, ...] = PROGRESSIVE
    loss: LossWeights = OURS
    specaugment: SpecAugment | None = SpecAugment()  # noqa: RUF009
    precision: Precision = "fp32"  # of the network's matrices; losses and weights are always float32
    seed: int = 1
    device: str = "cpu"

    def __post_init__(self) -> None:
        if (self.hours is None) == (self.steps is None):
            raise ValueError("the budget is hours or steps, one of them")
        if (self.hours or self.steps or 0) <= 0 or self.batch < 1 or self.frames < 32:
            raise ValueError("hours, steps and batch must be positive, frames at least 32")

    def spent(self, steps: int, seconds: float) -> float:
        """Return the share of the budget that is spent, at most 1."""
        share = seconds / (3600 * self.hours) if self.hours else steps / (self.steps or 1)
        return min(share, 1.0)

    @property
    def identity(self) -> str:
        """What a run cannot change when it is resumed."""
        names = ("batch", "frames", "stages", "loss", "specaugment", "seed")
        return json.dumps({name: asdict(self)[name] for name in names})


@dataclass(frozen=True)
class Validation:
    """How a run is judged from time to time."""

    judge: Callable[[Arrays], dict[str, float]]  # figures, among them `score`: the higher, the better
    keep: Callable[[Arrays, dict[str, float]], object]  # called with the best weights so far
    minutes: float = 10.0  # of training between two looks, which cost no budget
    patience: int | None = None  # stop after so many looks without a better score


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
        validation: Validation | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Set up a run, or resume the one whose checkpoint is there.

        Args:
            config: Of the run; its budget counts what earlier runs in this folder spent, too.
            batches: Training data.
            folder: Takes the checkpoint and the logs.
            validation: What looks at the averaged weights, if anything does.
            clock: In seconds; what hours are measured with.

        Raises:
            ValueError: If the folder has a run of other settings.
        """
        torch.manual_seed(config.seed)
        self._config, self._batches, self._folder = config, batches, folder
        self._validation, self._clock = validation, clock
        self._device = torch.device(config.device)
        mean, std = batches.normalisation()
        self.network = Network(mean, std, config.stages).to(self._device)
        self.average = Network(mean, std, config.stages).to(self._device)
        self.average.load_state_dict(self.network.state_dict())
        self._optimiser = torch.optim.AdamW(
            self.network.parameters(), lr=config.learning_rate, weight_decay=1e-4, fused=True
        )
        self._criterion = Criterion(config.loss, self._device, config.stages)
        self.step, self.spent, self._heard = 0, 0.0, 0
        self._means: dict[str, float] = {}
        self._judged, self._best, self._stale = 0.0, -math.inf, 0
        folder.mkdir(parents=True, exist_ok=True)
        if self._path.exists():
            self._resume()

    @property
    def _path(self) -> Path:
        return self._folder / "last.pt"

    @property
    def share(self) -> float:
        """How much of the budget is spent, in [0, 1]."""
        return self._config.spent(self.step, self.spent)

    def weights(self, stage: int = -1) -> Arrays:
        """Return the averaged weights as serving wants them, of the last stage or of an earlier one."""
        return export_weights(self.average, stage)

    def start_from(self, weights: Arrays) -> None:
        """Go on from exported weights, unless a checkpoint was resumed."""
        if self.step == 0:
            import_weights(self.network, weights)
            import_weights(self.average, weights)

    def run(self, report: Callable[[Progress], None]) -> None:
        """Train until the budget or the patience is spent; an interrupt leaves a checkpoint behind."""
        saved, batches = self._clock(), iter(self._batches)
        try:
            while not self._done():
                features, error, near = next(batches)
                began = self._clock()
                terms = self._train(features, error, near)
                self.spent += self._clock() - began
                report(Progress(self.step, self.share, self._heard, terms))
                looked = self._look()
                if looked or self._clock() - saved > 60 * self._config.checkpoint_minutes:
                    self.save()
                    saved = self._clock()
        finally:
            self.save()

    def _done(self) -> bool:
        patience = self._validation.patience if self._validation else None
        return self.share >= 1 or (patience is not None and self._stale >= patience)

    def _train(self, features: Tensor, error: Tensor, near: Tensor) -> dict[str, float]:
        features, error, near = (x.to(self._device) for x in (features, error, near))
        for group in self._optimiser.param_groups:
            group["lr"] = self._learning_rate()
        if self._config.specaugment is not None:
            features = self._config.specaugment(features, self.network.mean, self._batches.rng)
        narrow = self._config.precision == "bf16"
        with torch.autocast(self._device.type, torch.bfloat16, enabled=narrow):
            masks = self.network(features)
        terms = self._criterion(masks, error, near)
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
        share = self.share
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

    def _look(self) -> bool:
        """Validate if it is time to, and say whether it was."""
        looks = self._validation
        if looks is None or (self.share < 1 and self.spent - self._judged < 60 * looks.minutes):
            return False
        weights = self.weights()
        figures = looks.judge(weights)
        self._judged, self._stale = self.spent, self._stale + 1
        if figures["score"] > self._best:
            self._best, self._stale = figures["score"], 0
            looks.keep(weights, figures)
        append_row(self._folder / "validation.csv", {**self._now(), **figures})
        return True

    def _now(self) -> dict[str, float]:
        return {"step": self.step, "seconds": round(self.spent), "frames": self._heard}

    def save(self) -> None:
        """Write a checkpoint and a line of the log; on a full disk the last checkpoint stays."""
        state: dict[str, Any] = {
            "settings": self._config.identity,
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "rng": self._batches.rng.bit_generator.state,
            "progress": (self.step, self.spent, self._heard, self._means),
            "validation": (self._judged, self._best, self._stale),
        }
        write_whole(self._path, partial(torch.save, state))
        if self._means:
            append_row(self._folder / "log.csv", {**self._now(), **self._means})

    def _resume(self) -> None:
        state = torch.load(self._path, map_location=self._device, weights_only=True)
        if state.get("settings") != self._config.identity:
            raise ValueError(f"{self._path} is of a run with other settings; choose another folder")
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self._optimiser.load_state_dict(state["optimiser"])
        self._batches.rng.bit_generator.state = state["rng"]
        self.step, self.spent, self._heard, self._means = state["progress"]
        self._judged, self._best, self._stale = state["validation"]
