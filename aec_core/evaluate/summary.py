"""From values of single clips to means, medians and spreads by system."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from aec_core.evaluate.measure import Scores
from aec_core.evaluate.scenarios import FAR_GROUPS, JUMP, NEAR_GROUP, PATH, SERS_DB, double_group

Systems = dict[str, dict[str, Any]]
"""By name of the system what `duplex evaluate --json` writes about it."""

BY_SER = (
    "pesq_wb",
    "pesq_nb",
    "sdr_db",
    "near_kept_db",
    "aecmos_echo",
    "aecmos_degradation",
    "dnsmos_speech",
    "dnsmos_background",
    "dnsmos_overall",
)
_JUMP_WITHIN_S = 1.0


def summarise(results: Mapping[str, Scores]) -> Systems:
    """Return the figures of each system; what was not measured is None."""
    return {name: _system(scores) for name, scores in results.items()}


def _system(scores: Scores) -> dict[str, Any]:
    far = _of(scores, FAR_GROUPS)
    jump, path = _of(scores, [JUMP]), _of(scores, [PATH])
    settled = _of(scores, [group for group in FAR_GROUPS if group not in (JUMP, PATH)])
    recovery = jump("recovery_s")
    system: dict[str, Any] = {
        "erle_db": mean(far("erle_db")),
        "erle_after_3s_db": mean(settled("erle_after_3s_db")),
        "erle_after_jump_db": mean(jump("erle_after_change_db")),
        "erle_after_path_change_db": mean(path("erle_after_change_db")),
        "recovery_after_jump_s": mean(recovery),
        "recovered_within_1s": mean([float(value <= _JUMP_WITHIN_S) for value in recovery]),
        "recovery_after_path_change_s": mean(path("recovery_s")),
        "far_end_aecmos_echo": mean(far("aecmos_echo")),
        "far_end": {group.removeprefix("far, "): _far(scores, group) for group in FAR_GROUPS},
        "near_end_alone": {metric: mean(scores[metric][NEAR_GROUP]) for metric in BY_SER if metric in scores},
    }
    for metric in BY_SER:
        for suffix, statistic in (("", mean), ("_median", median), ("_std", spread)):
            system[metric + suffix] = {
                str(ser): statistic(scores[metric][double_group(ser)] if metric in scores else [])
                for ser in SERS_DB
            }
    return system


def _far(scores: Scores, group: str) -> dict[str, float | None]:
    metrics = [metric for metric in scores if scores[metric].get(group)]
    return {metric: mean(scores[metric][group]) for metric in metrics} | {
        "erle_after_3s_db_std": spread(scores["erle_after_3s_db"][group])
    }


def _of(scores: Scores, groups: Iterable[str]) -> Callable[[str], list[float]]:
    return lambda metric: [x for group in groups for x in (scores[metric][group] if metric in scores else [])]


def mean(values: list[float]) -> float | None:
    """Return the mean, or None of nothing."""
    return _rounded(np.mean(values)) if values else None


def median(values: list[float]) -> float | None:
    """Return the median, or None of nothing."""
    return _rounded(np.median(values)) if values else None


def spread(values: list[float]) -> float | None:
    """Return the standard deviation over clips, or None of fewer than two."""
    return _rounded(np.std(values, ddof=1)) if len(values) > 1 else None


def _rounded(value: Any) -> float:
    return round(float(value), 4)
