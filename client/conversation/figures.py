"""The figures of one system, over all dialogues."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from aec_core.evaluate.recognition import WordErrors
from client.conversation.dialogues import SERS_DB
from client.conversation.hesitation import PAUSE_S
from client.conversation.scoring import Outcome

Figures = dict[str, Any]
"""JSON of one system; shares in [0, 1], latencies in ms, None where nothing was measured."""

PAUSES_MS = (1000 * PAUSE_S[0], 500.0, 700.0, 1000.0, 1000 * PAUSE_S[1])


def turn_taking(outcomes: Sequence[Outcome]) -> Figures:
    """Return starts, ends, cuts and detection over dialogues."""
    quiet = sum(outcome.quiet_minutes for outcome in outcomes)
    turns = sum(outcome.turns for outcome in outcomes)
    endings = [ending for outcome in outcomes for ending in outcome.endings]
    reasons = sorted({ending.reason for ending in endings})
    return {
        "turns": turns,
        "onset_ms": latency(onset for outcome in outcomes for onset in outcome.onsets),
        "onset_ms_by_ser": _by_ser(outcomes, lambda some: latency(ms for one in some for ms in one.onsets)),
        "commit_ms": latency(commit for outcome in outcomes for commit in outcome.commits),
        "endpoint_ms": latency(ending.ms for ending in endings),
        "endpoint_ms_by_reason": {
            reason: latency(ending.ms for ending in endings if ending.reason == reason) for reason in reasons
        },
        "wrong_cuts": _cuts(outcomes, 0, np.inf),
        "wrong_cuts_by_pause_ms": {
            f"{low:.0f}-{high:.0f}": _cuts(outcomes, low, high) for low, high in itertools.pairwise(PAUSES_MS)
        },
        "cuts_in_speech": sum(outcome.cuts_in_speech for outcome in outcomes),
        "missed": sum(outcome.missed for outcome in outcomes),
        "merged": sum(outcome.merged for outcome in outcomes),
        "false_starts_per_min": _rate(sum(outcome.false_starts for outcome in outcomes), quiet),
        "false_commits_per_min": _rate(sum(outcome.false_commits for outcome in outcomes), quiet),
        **_detection(outcomes),
    }


def recognition(outcomes: Sequence[Outcome]) -> Figures:
    """Return word error rates, and when the first words came."""
    return {
        "wer": _wer(outcomes),
        "wer_by_ser": _by_ser(outcomes, _wer),
        "words": sum(outcome.words.said for outcome in outcomes if outcome.words is not None),
        "first_partial_ms": latency(ms for outcome in outcomes for ms in outcome.partials),
    }


def far_end(outcomes: Sequence[Outcome]) -> Figures:
    """Return what was taken for a person while only the agent spoke."""
    minutes = sum(outcome.quiet_minutes for outcome in outcomes)
    return {
        "minutes": round(minutes, 2),
        "false_starts_per_min": _rate(sum(outcome.false_starts for outcome in outcomes), minutes),
        "false_commits_per_min": _rate(sum(outcome.false_commits for outcome in outcomes), minutes),
    }


def latency(values: Iterable[float]) -> Figures:
    """Return median and 95th percentile in ms, and of how many."""
    known = list(values)
    p50, p95 = (round(float(np.percentile(known, q)), 1) if known else None for q in (50, 95))
    return {"p50": p50, "p95": p95, "n": len(known)}


def _cuts(outcomes: Sequence[Outcome], low_ms: float, high_ms: float) -> Figures:
    pauses = [pause for outcome in outcomes for pause in outcome.hesitations if low_ms < pause.ms <= high_ms]
    return {"share": _rate(sum(pause.cut for pause in pauses), len(pauses)), "n": len(pauses)}


def _detection(outcomes: Sequence[Outcome]) -> Figures:
    found = [outcome.found for outcome in outcomes if outcome.found is not None]
    return {
        "dcf": _mean([each.dcf for each in found]),
        "dcf_by_ser": _by_ser(
            outcomes, lambda some: _mean([one.found.dcf for one in some if one.found is not None])
        ),
        "p_false": _mean([each.p_false for each in found]),
        "p_miss": _mean([each.p_miss for each in found]),
    }


def _by_ser(outcomes: Sequence[Outcome], measure: Callable[[Sequence[Outcome]], Any]) -> Figures:
    return {str(ser): measure([one for one in outcomes if one.ser_db == ser]) for ser in SERS_DB}


def _wer(outcomes: Sequence[Outcome]) -> float | None:
    known = [outcome.words for outcome in outcomes if outcome.words is not None]
    return round(sum(known, WordErrors()).rate, 4) if known else None


def _rate(count: float, of: float) -> float | None:
    return round(count / of, 4) if of else None


def _mean(values: Sequence[float]) -> float | None:
    return round(float(np.mean(values)), 4) if values else None
