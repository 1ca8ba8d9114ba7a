"""Runs calls through the streaming canceller and scores what comes out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from aec_core.config import LinearName
from aec_core.evaluate.scenarios import CHANGE_AT_S, Call
from aec_core.metrics import erle_db, near_kept_db, sdr_db
from aec_core.streaming import EchoCanceller
from aec_core.train.mixtures import Talk
from aec_core.types import SAMPLE_RATE, Samples, Wave

_LATE = 3 * SAMPLE_RATE
_CHANGE = round(CHANGE_AT_S * SAMPLE_RATE)
_RECOVERED = _CHANGE + SAMPLE_RATE
_BATCH = 8

Scores = dict[str, dict[str, list[float]]]
"""Metric, then group, then one value a clip."""


@dataclass(frozen=True)
class System:
    """Something that turns `(mic, ref)`, `(clips, n)` each, into cleaned signals by name."""

    run: Callable[[Samples, Samples], dict[str, Samples]]


def canceller(model: Path | None, linear: LinearName | None) -> System:
    """Our canceller: its linear stage, beta 0.2 and beta 0.6, all from one pass."""

    def run(mic: Samples, ref: Samples) -> dict[str, Samples]:
        aec = EchoCanceller.pretrained(len(mic), linear, model)
        flush = np.zeros((len(mic), aec.latency), np.float32)
        out = aec.process(np.concatenate([mic, flush], axis=1), np.concatenate([ref, flush], axis=1))
        late = slice(aec.latency, None)
        return {"linear stage": out.linear[:, late], "β 0.2": out.asr[:, late], "β 0.6": out.vad[:, late]}

    return System(run)


def unprocessed() -> System:
    """The microphone as it is."""
    return System(lambda mic, _: {"no processing": mic})


def measure(system: System, calls: Sequence[Call], done: Callable[[int], None]) -> dict[str, Scores]:
    """Score each output of a system; `done` is called with the number of clips of each batch."""
    results: dict[str, Scores] = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    for start in range(0, len(calls), _BATCH):
        batch = calls[start : start + _BATCH]
        mic = np.stack([call.mixture.mic for call in batch]).astype(np.float32)
        ref = np.stack([call.mixture.ref for call in batch]).astype(np.float32)
        for name, cleaned in system.run(mic, ref).items():
            for call, out in zip(batch, cleaned, strict=True):
                for metric, value in score(call, out).items():
                    results[name][metric][call.name].append(value)
        done(len(batch))
    return dict(results)


def score(call: Call, out: Samples) -> dict[str, float]:
    """Score one cleaned clip, `(n,)`, aligned with the call."""
    mixture = call.mixture
    mic = mixture.mic
    if mixture.scene.talk is Talk.FAR:
        return {
            "erle_db": erle_db(mic, out),
            "erle_after_3s_db": erle_db(mic[_LATE:], out[_LATE:]),
            "erle_after_change_db": erle_db(mic[_RECOVERED:], out[_RECOVERED:]),
        }
    near = mixture.near
    scores = {"sdr_db": sdr_db(near, out), "near_kept_db": near_kept_db(near, out)}
    quality = pesq_wb(near, out)
    return scores if quality is None else {**scores, "pesq_wb": quality}


def pesq_wb(near: Wave, out: Wave) -> float | None:
    """Return wide-band PESQ (1.0-4.6), or None if it finds no utterance in the clip."""
    import pesq  # an extra: only evaluation needs it

    module: Any = pesq
    if not near.any() or not out.any():
        return None
    try:
        return float(module.pesq(SAMPLE_RATE, near, out, "wb"))
    except module.NoUtterancesError:
        return None
