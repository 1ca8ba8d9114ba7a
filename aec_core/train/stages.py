"""Progressive learning: heads between the layers, whose targets have ever less echo (paper, section II-C)."""

from __future__ import annotations

import math
from dataclasses import dataclass

from aec_core.dfsmn import LAYERS


@dataclass(frozen=True)
class Stage:
    """A pair of heads, and what they learn."""

    layers: int  # below the heads
    residual: float  # gain of the residual echo that the near mask's target keeps
    weight: float  # of the stage's loss
    share: float = 1.0  # of the clips of a batch that the stage is judged on

    def clips(self, batch: int) -> int:
        """Return how many of a batch's clips the stage sees: the first ones, since batches are random."""
        return math.ceil(self.share * batch)


PROGRESSIVE = (
    Stage(3, 10 ** (-10 / 20), 0.3, share=0.25),
    Stage(6, 10 ** (-20 / 20), 0.3, share=0.25),
    Stage(LAYERS, 0.0, 1.0),
)
"""The paper's three: +10 dB, +20 dB, no echo. Serving has the last alone.

A quarter of the clips estimates the loss of a middle stage without bias, and saves a third of a step.
"""

FINAL = (Stage(LAYERS, 0.0, 1.0),)
"""Without progressive learning."""


def check_stages(stages: tuple[Stage, ...]) -> None:
    """Raise a ValueError unless the stages climb and the last has every layer and wants no echo."""
    below = [stage.layers for stage in stages]
    if not stages or below != sorted(set(below)) or below[0] < 1 or below[-1] != LAYERS:
        raise ValueError(f"stages must climb to layer {LAYERS}, got heads after layers {below}")
    if stages[-1].residual != 0:
        raise ValueError("the last stage's target must have no echo")
    if not all(0 < stage.share <= 1 for stage in stages):
        raise ValueError("a stage must see a share of the clips in (0, 1]")
