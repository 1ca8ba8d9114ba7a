"""Seeded calls of held-out speakers on synthetic phones: what every system is measured on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from aec_core.train.mixtures import Change, Mixture, Scene, Talk, make_mixture
from aec_core.train.sources import Sources

SERS_DB = (-20, -10, 0, 10)
CHANGE_AT_S = 5.0
SECONDS = 10.0
_SNR_DB = 30.0  # of the noise: PESQ then is about the echo
# Half of the double talk is plain: the rest has the changes that calls have.
_DOUBLE_CHANGES = (Change.NONE, Change.NONE, Change.NONE, Change.JUMP, Change.DRIFT, Change.PATH)


@dataclass(frozen=True)
class Call:
    """One clip and what it is about."""

    name: str  # of its group
    mixture: Mixture


def far_group(change: Change) -> str:
    """Return the name of a group of far-end single talk."""
    return f"far, {'plain' if change is Change.NONE else change.value.replace('_', ' ')}"


def double_group(ser_db: int) -> str:
    """Return the name of a group of double talk."""
    return f"double, {ser_db} dB"


FAR_GROUPS = tuple(far_group(change) for change in Change)
JUMP, PATH = far_group(Change.JUMP), far_group(Change.PATH)
NEAR_GROUP = "near"


def groups() -> dict[str, Scene]:
    """Return the scenes by name: far-end single talk in four forms, double talk by SER, near end alone."""
    far = {
        far_group(change): Scene(Talk.FAR, change, snr_db=_SNR_DB, change_at_s=CHANGE_AT_S)
        for change in Change
    }
    double = {double_group(ser): Scene(Talk.DOUBLE, ser_db=ser, snr_db=_SNR_DB) for ser in SERS_DB}
    return {**far, **double, NEAR_GROUP: Scene(Talk.NEAR, snr_db=_SNR_DB)}


def make_calls(
    sources: Sources, clips: int, seed: int, made: Callable[[], None] = lambda: None
) -> list[Call]:
    """Make `clips` calls of each group; `made` is called after each."""
    calls: list[Call] = []
    for group, (name, scene) in enumerate(groups().items()):
        for clip in range(clips):
            rng = np.random.default_rng([seed, group, clip])
            drawn = scene
            if scene.talk is Talk.DOUBLE:
                change = _DOUBLE_CHANGES[clip % len(_DOUBLE_CHANGES)]
                drawn = replace(scene, change=change, change_at_s=CHANGE_AT_S)
            calls.append(Call(name, make_mixture(drawn, sources, SECONDS, rng)))
            made()
    return calls
