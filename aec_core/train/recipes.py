"""What can be trained: the rows of the paper's tables, our own recipe, and experiments with it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from aec_core.train.losses import OURS, PAPER, LossWeights
from aec_core.train.stages import FINAL, PROGRESSIVE, Stage

_ONE_MASK = replace(PAPER, echo_mask=0.0)


@dataclass(frozen=True)
class Recipe:
    """What a row changes."""

    loss: LossWeights = OURS
    stages: tuple[Stage, ...] = PROGRESSIVE
    augmented: bool = True  # SpecAugment, merged utterances and the advanced reference

    @property
    def single_mask(self) -> bool:
        """Whether the mask of the residual echo is left untrained."""
        return self.loss.echo_mask == 0


PAPERS_ROWS = {
    "two-stage": Recipe(_ONE_MASK, FINAL, augmented=False),
    "+ DA": Recipe(_ONE_MASK, FINAL),
    "+ DA + PL": Recipe(_ONE_MASK),
    "+ DA + PL + two masks": Recipe(PAPER),
}
"""Tables I and II; the row with the Wiener post-filter is the last one, scored with it."""

STAGES_OF = "+ DA + PL"
"""The row whose stages table III compares."""

SHIPPED = "shipped"
"""How the weights in the package were trained; what `duplex train` does unless told otherwise."""

RECIPES = {
    **PAPERS_ROWS,
    SHIPPED: Recipe(replace(OURS, modulation=0.0, muting=3.0, no_near=0.35), FINAL),
    "ours": Recipe(),
    "ours without modulation": Recipe(replace(OURS, modulation=0.0)),
    "ours without magnitude": Recipe(replace(OURS, magnitude=0.0)),
    "ours without PMSQE": Recipe(replace(OURS, pmsqe=0.0)),
    "ours without PL": Recipe(stages=FINAL),
    "ours without DA": Recipe(augmented=False),
}


def find_recipe(name: str) -> Recipe:
    """Return a recipe by name.

    Raises:
        ValueError: If there is none of that name; the message lists them.
    """
    if name not in RECIPES:
        raise ValueError(f"no recipe {name!r}; there are {', '.join(map(repr, RECIPES))}")
    return RECIPES[name]
