"""Scores the checkpoints of the ablation rows through the streaming canceller; scores are kept as JSON."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from aec_core.checkpoint import load_checkpoint
from aec_core.dfsmn import Weights
from aec_core.evaluate.listen import Listeners, listen, rates, through
from aec_core.evaluate.measure import measure
from aec_core.evaluate.paper import PWF, ROWS, SERS, TWO_MASKS
from aec_core.evaluate.scenarios import Call
from aec_core.evaluate.spoken import Segment
from aec_core.evaluate.summary import summarise
from aec_core.evaluate.systems import BETAS, System, beta_name, canceller

logger = logging.getLogger(__name__)

_ONE_MASK_BETA = 0.5  # ratio^(2 beta) is then the ratio itself
FINAL_STAGE = 3


@dataclass(frozen=True)
class Ablation:
    """One trained checkpoint: what its metadata say."""

    path: Path
    row: str
    seed: int
    steps: int
    stage: int  # whose heads it holds; FINAL_STAGE but for Table III
    two_masks: bool


@dataclass(frozen=True)
class Scored:
    """One row of one seed, in the units of the paper's tables but for shares, which are 0 to 1."""

    row: str
    seed: int
    steps: int
    stage: int
    test: str  # digest of the checkpoint and of what it was scored on
    pesq_wb: dict[str, float | None]
    erle_db: float | None
    wer_by_ser: dict[str, float]
    dcf_by_ser: dict[str, float]


def find_ablations(folder: Path) -> list[Ablation]:
    """Read which rows the checkpoints of a folder belong to, one for each row, seed and stage.

    A file that does not say is logged and left out.

    Raises:
        FileNotFoundError: If there is no checkpoint with a row in it.
    """
    found = [each for path in sorted(folder.glob("*.safetensors")) if (each := _read(path)) is not None]
    if not found:
        raise FileNotFoundError(f"no ablation checkpoints in {folder}")
    return list({(each.row, each.seed, each.stage): each for each in found}.values())


def _read(path: Path) -> Ablation | None:
    try:
        with safe_open(path, framework="numpy") as file:
            said = file.metadata() or {}
        stage = int(said.get("stage") or FINAL_STAGE)
        two_masks = said["mask"] == "two"
        return Ablation(path, said["row"], int(said["seed"]), int(said["steps"]), stage, two_masks)
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        logger.warning("%s is left out: %r", path, error)
        return None


def one_mask(weights: Weights) -> dict[str, NDArray[np.float32]]:
    """Return weights with which beta 0.5 is the gain `M_x` alone.

    The echo head mirrors the near head: `M_r = 1 - M_x`, and the Wiener ratio is `M_x`.
    """
    mirrored = {"echo.weight": -weights["near.weight"], "echo.bias": -weights["near.bias"]}
    return {**weights, **mirrored}


@dataclass(frozen=True)
class Bench:
    """What every ablation is scored on."""

    calls: Sequence[Call]
    segments: Sequence[Segment]
    listeners: Listeners
    name: str  # differs when the calls do

    def digest(self, path: Path) -> str:
        """Return what identifies a checkpoint on this bench."""
        return hashlib.sha256(path.read_bytes() + self.name.encode()).hexdigest()[:16]


def score_ablations(
    found: Sequence[Ablation], bench: Bench, kept: Path | None, done: Callable[[int], None]
) -> list[Scored]:
    """Score each checkpoint; those that the file `kept` has on the same bench are not scored again.

    The file is written after each, so that an interrupted run goes on where it was.
    """
    before = {(each.row, each.test): each for each in load_scored(kept)}
    scored: list[Scored] = []
    for ablation in found:
        test = bench.digest(ablation.path)
        for row, scorer in _scorers(ablation):
            scored.append(before.get((row, test)) or scorer(row, bench, test))
            if kept is not None:
                save_scored(kept, scored)
        done(1)
    return scored


def load_scored(path: Path | None) -> list[Scored]:
    """Read what an earlier run kept; nothing where there is no file.

    Raises:
        ValueError: If the file is not one of ours.
    """
    if path is None or not path.is_file():
        return []
    try:
        return [Scored(**row) for row in json.loads(path.read_text(encoding="utf-8"))]
    except (json.JSONDecodeError, TypeError) as error:
        raise ValueError(f"{path} does not hold scored ablations: {error}") from error


def save_scored(path: Path, scored: Sequence[Scored]) -> None:
    """Write what was scored, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps([asdict(each) for each in scored], indent=1) + "\n", encoding="utf-8")
    fresh.replace(path)


Scorer = Callable[[str, Bench, str], Scored]


def _scorers(ablation: Ablation) -> list[tuple[str, Scorer]]:
    """Return under which rows a checkpoint is scored, and what does it.

    `M_x` alone is the gain of the paper's rows; with two trained masks there is the post-filter too.
    """
    weights, config = load_checkpoint(ablation.path)
    rows: list[tuple[str, Scorer]] = []
    if ablation.row in ROWS or not ablation.two_masks:
        alone = canceller(one_mask(weights), config, (_ONE_MASK_BETA,))
        rows.append((ablation.row, _scorer(ablation, alone, (_ONE_MASK_BETA, _ONE_MASK_BETA))))
    if ablation.two_masks:
        row = PWF if ablation.row == TWO_MASKS else ablation.row
        rows.append((row, _scorer(ablation, canceller(weights, config, BETAS), BETAS)))
    return rows


def _scorer(ablation: Ablation, system: System, betas: tuple[float, float]) -> Scorer:
    """Return what scores a system: the first beta for people and recognisers, the second for detectors."""
    soft, hard = map(beta_name, betas)

    def score(row: str, bench: Bench, test: str) -> Scored:
        figures = summarise(measure(system, bench.calls, None, lambda _: None))
        heard = listen(through(system), bench.segments, bench.listeners, lambda _: None)
        answers: dict[str, Mapping[str, Any]] = {name: rates(each) for name, each in heard.items()}
        return Scored(
            row,
            ablation.seed,
            ablation.steps,
            ablation.stage,
            test,
            {ser: figures[soft]["pesq_wb"][ser] for ser in SERS},
            figures[hard]["erle_db"],
            answers[soft]["wer_by_ser"] if answers else {},
            answers[hard]["dcf_by_ser"] if answers else {},
        )

    return score
