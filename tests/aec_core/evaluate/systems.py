"""Figures of systems that were never run, for what only arranges figures."""

from aec_core.evaluate.measure import Scores
from aec_core.evaluate.scenarios import FAR_GROUPS, JUMP, NEAR_GROUP, PATH, SERS_DB, double_group
from aec_core.evaluate.summary import BY_SER, Systems, summarise
from aec_core.evaluate.systems import LINEAR, SWEEP, UNPROCESSED, beta_name

NAMES = (UNPROCESSED, LINEAR, *map(beta_name, SWEEP), "Peer")


def made_up_scores(value: float) -> Scores:
    """Every metric of every group has the two values `value` and `value + 1`."""
    both = [value, value + 1]
    near = {name: list(both) for name in (*map(double_group, SERS_DB), NEAR_GROUP)}
    far = {metric: {group: list(both) for group in FAR_GROUPS} for metric in ("erle_db", "erle_after_3s_db")}
    changed = {
        metric: {JUMP: list(both), PATH: list(both)} for metric in ("erle_after_change_db", "recovery_s")
    }
    scores = {metric: dict(near) for metric in BY_SER} | far | changed
    scores["aecmos_echo"] |= {group: list(both) for group in FAR_GROUPS}
    return scores


def made_up_systems(values: dict[str, float]) -> Systems:
    """Systems of `NAMES` with these values, 0 where none is given, and rates where listeners heard them."""
    systems = summarise({name: made_up_scores(values.get(name, 0.0)) for name in NAMES})
    for number, system in enumerate(systems.values()):
        rate = 0.1 + number / 100
        by_ser = {"0": rate, "-10": 2 * rate}
        system |= {"wer": rate, "wer_by_ser": by_ser, "dcf": rate, "dcf_by_ser": by_ser}
        system |= {"p_false": rate, "p_miss": rate, "false_events_per_min": 3.0, "missed_utterances": 1}
    return systems
