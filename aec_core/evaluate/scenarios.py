"""Seeded calls of held-out speakers on synthetic phones: what every system is measured on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from aec_core.train.mixtures import Change, Mixture, Scene, Talk, make_mixture
from aec_core.train.sources import Sources

SERS_DB = (-20, -10, 0, 10)
CHANGE_AT_S = 5.0
SECONDS = 10.0


@dataclass(frozen=True)
class Call:
    """One clip and what it is about."""

    name: str  # of its group
    mixture: Mixture


def groups() -> dict[str, Scene]:
    """Return the scenes by name: far-end single talk in four forms, double talk by SER, near end alone."""
    far = {
        f"far, {change.value.replace('_', ' ')}": Scene(Talk.FAR, change, snr_db=30, change_at_s=CHANGE_AT_S)
        for change in Change
    }
    double = {f"double, {ser} dB": Scene(Talk.DOUBLE, ser_db=ser, snr_db=30) for ser in SERS_DB}
    return {**far, **double, "near": Scene(Talk.NEAR, snr_db=30)}


def make_calls(
    sources: Sources, clips: int, seed: int, made: Callable[[], None] = lambda: None
) -> list[Call]:
    """Make `clips` calls of each group; `made` is called after each."""
    # Half of the double talk is plain: the rest has the changes that calls have.
    changes = [Change.NONE, Change.NONE, Change.NONE, Change.JUMP, Change.DRIFT, Change.PATH]
    calls: list[Call] = []
    for group, (name, scene) in enumerate(groups().items()):
        for clip in range(clips):
            rng = np.random.default_rng([seed, group, clip])
            drawn = scene
            if scene.talk is Talk.DOUBLE:
                change = changes[clip % len(changes)]
                drawn = Scene(scene.talk, change, scene.ser_db, snr_db=30, change_at_s=CHANGE_AT_S)
            calls.append(Call(name, make_mixture(drawn, sources, SECONDS, rng)))
            made()
    return calls
