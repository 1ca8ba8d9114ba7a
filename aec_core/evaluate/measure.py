"""Runs calls through systems and scores what comes out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

import numpy as np

from aec_core.evaluate.quality import Mos, TalkType
from aec_core.evaluate.scenarios import CHANGE_AT_S, Call
from aec_core.evaluate.systems import System
from aec_core.metrics import erle_db, near_kept_db, pesq, recovery_s, sdr_db
from aec_core.train.mixtures import Change, Talk
from aec_core.types import SAMPLE_RATE, Samples

_LATE = 3 * SAMPLE_RATE
_CHANGE = round(CHANGE_AT_S * SAMPLE_RATE)
_RECOVERED = _CHANGE + SAMPLE_RATE
_BATCH = 8
_TALK_TYPES: dict[Talk, TalkType] = {Talk.FAR: "st", Talk.NEAR: "nst", Talk.DOUBLE: "dt"}

Scores = dict[str, dict[str, list[float]]]
"""Metric, then group, then one value a clip."""


def measure(
    system: System, calls: Sequence[Call], mos: Mos | None, done: Callable[[int], None]
) -> dict[str, Scores]:
    """Score each output of a system; `done` is called with the number of clips of each batch.

    Without `mos` the opinions of listeners are left out.
    """
    results: dict[str, Scores] = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    for start in range(0, len(calls), _BATCH):
        batch = calls[start : start + _BATCH]
        mic = np.stack([call.mixture.mic for call in batch]).astype(np.float32)
        ref = np.stack([call.mixture.ref for call in batch]).astype(np.float32)
        for name, cleaned in system(mic, ref).items():
            for call, out in zip(batch, cleaned, strict=True):
                for metric, value in score(call, out, mos).items():
                    results[name][metric][call.name].append(value)
        done(len(batch))
    return dict(results)


def score(call: Call, out: Samples, mos: Mos | None) -> dict[str, float]:
    """Score one cleaned clip, `(n,)`, aligned with the call."""
    mixture = call.mixture
    far = mixture.scene.talk is Talk.FAR
    scores = _echo_scores(call, out) if far else _speech_scores(call, out)
    if mos is not None:
        talk = _TALK_TYPES[mixture.scene.talk]
        scores |= mos.echo(mixture.mic, mixture.ref, out, talk)
        if not far:
            scores |= mos.noise(out)
    return scores


def _echo_scores(call: Call, out: Samples) -> dict[str, float]:
    mic = call.mixture.mic
    scores = {"erle_db": erle_db(mic, out), "erle_after_3s_db": erle_db(mic[_LATE:], out[_LATE:])}
    if call.mixture.scene.change in (Change.JUMP, Change.PATH):
        scores["erle_after_change_db"] = erle_db(mic[_RECOVERED:], out[_RECOVERED:])
        scores["recovery_s"] = recovery_s(mic, out, _CHANGE)
    return scores


def _speech_scores(call: Call, out: Samples) -> dict[str, float]:
    near = call.mixture.near
    scores = {"sdr_db": sdr_db(near, out), "near_kept_db": near_kept_db(near, out)}
    quality = {"pesq_wb": pesq(near, out, "wb"), "pesq_nb": pesq(near, out, "nb")}
    return scores | {name: value for name, value in quality.items() if value is not None}
