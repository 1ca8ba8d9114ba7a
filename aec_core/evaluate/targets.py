"""What the shipped weights must reach, held against what they do."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from aec_core.evaluate import paper
from aec_core.evaluate.ablations import Scored
from aec_core.evaluate.paper_tables import Pick, over_seeds
from aec_core.evaluate.summary import Systems
from aec_core.evaluate.systems import LINEAR, SWEEP, UNPROCESSED, beta_name

SOFT, HARD = beta_name(0.2), beta_name(0.6)
OURS = {LINEAR, UNPROCESSED, *map(beta_name, SWEEP)}
_LEAST_PESQ = {"-10": 1.8, "0": 2.4, "10": 3.0}
_LEAST_SDR_DB = {"-20": 0.0, "-10": 7.5, "0": 14.0, "10": 18.5}
_MOST_LOSS_DB = {"-20": 2.5, "-10": 1.0, "0": 0.5, "10": 0.3}


@dataclass(frozen=True)
class Target:
    """One target; `target` is the least value, or the most where `name` ends in "at most"."""

    name: str
    value: float
    target: float
    holds: bool


def targets(systems: Systems, model: Path, scored: Sequence[Scored]) -> list[dict[str, Any]]:
    """Hold systems, model file and ablations against issue and paper; what was not measured has no row."""
    rows = [*_quality(systems), *_echo(systems), *_speech_kept(systems), *_listeners(systems)]
    rows += [_at_most("model file, MB, at most", model.stat().st_size / 1e6, 2.0)]
    rows += [*_signs_of_table_four(systems), *_signs_of_ablations(scored)]
    return [asdict(row) for row in rows if row is not None]


def peer_names(systems: Systems) -> list[str]:
    """Return the systems that are neither ours nor the microphone."""
    return [name for name in systems if name not in OURS]


def _at_least(name: str, value: float | None, target: float) -> Target | None:
    return None if value is None else Target(name, round(value, 4), target, value >= target)


def _at_most(name: str, value: float | None, target: float) -> Target | None:
    return None if value is None else Target(name, round(value, 4), target, value <= target)


def _above(name: str, value: float | None, others: Sequence[float | None]) -> Target | None:
    """Hold a value against the best of the others: it must be above."""
    known = [other for other in others if other is not None]
    if value is None or not known:
        return None
    margin = value - max(known)
    return Target(name, round(margin, 4), 0.0, margin > 0)


def _quality(systems: Systems) -> Iterator[Target | None]:
    ours = [systems[beta_name(beta)] for beta in SWEEP]
    for ser, least in _LEAST_PESQ.items():
        known = [system["pesq_wb"][ser] for system in ours if system["pesq_wb"][ser] is not None]
        yield _at_least(f"PESQ at {ser} dB, best β", max(known, default=None), least)
    rivals = [LINEAR, *peer_names(systems)]
    for ser in paper.SERS:
        # A mean at -20 dB is decided by single clips.
        key, word = ("pesq_wb_median", "median PESQ") if ser == "-20" else ("pesq_wb", "PESQ")
        others = [systems[name][key][ser] for name in rivals]
        yield _above(
            f"{word} at {ser} dB, β 0.2 above every peer and the linear stage",
            systems[SOFT][key][ser],
            others,
        )
    for ser, least in _LEAST_SDR_DB.items():
        yield _at_least(f"SDR at {ser} dB, β 0.2, dB", systems[SOFT]["sdr_db"][ser], least)
        below = systems[SOFT]["sdr_db"][ser] - systems[LINEAR]["sdr_db"][ser]
        yield _at_least(f"SDR at {ser} dB, β 0.2 not below the linear stage, dB", below, 0.0)


def _echo(systems: Systems) -> Iterator[Target | None]:
    for name, least in ((HARD, 60.0), (SOFT, 40.0)):
        system = systems[name]
        yield _at_least(f"ERLE > 3 s, {name}, dB", system["erle_after_3s_db"], least)
        yield _at_most(
            f"after a delay jump 25 dB again within s, {name}, mean at most",
            system["recovery_after_jump_s"],
            1.0,
        )
        yield _at_least(f"ERLE > 1 s after a delay jump, {name}, dB", system["erle_after_jump_db"], 40.0)


def _speech_kept(systems: Systems) -> Iterator[Target | None]:
    soft, mic = systems[SOFT], systems[UNPROCESSED]
    for ser, most in _MOST_LOSS_DB.items():
        loss = abs(soft["near_kept_db"][ser])
        yield _at_most(f"near end changed at {ser} dB, β 0.2, dB, at most", loss, most)
    alone, before = soft["near_end_alone"], mic["near_end_alone"]
    yield _at_most("near end alone changed, β 0.2, dB, at most", abs(alone["near_kept_db"]), 0.3)
    if "pesq_wb" in alone and "pesq_wb" in before:
        yield _above(
            "near end alone, PESQ of β 0.2 above no processing", alone["pesq_wb"], [before["pesq_wb"]]
        )


def _listeners(systems: Systems) -> Iterator[Target | None]:
    """AECMOS; which of its two sides counts depends on who talks."""
    soft, mic = systems[SOFT], systems[UNPROCESSED]
    yield _at_least("AECMOS echo, far-end single talk, β 0.2", soft["far_end_aecmos_echo"], 4.0)
    for ser in paper.SERS:
        others = [systems[name]["aecmos_echo"][ser] for name in peer_names(systems)]
        yield _above(f"AECMOS echo at {ser} dB, β 0.2 above every peer", soft["aecmos_echo"][ser], others)
        ours, theirs = soft["aecmos_degradation"][ser], mic["aecmos_degradation"][ser]
        if ours is not None and theirs is not None:
            name = f"AECMOS degradation at {ser} dB, β 0.2 not below no processing"
            yield _at_least(name, ours - theirs, 0.0)


def _signs_of_table_four(systems: Systems) -> Iterator[Target | None]:
    by_beta = {beta: systems[beta_name(beta)] for beta in SWEEP}
    erle = [system["erle_db"] for system in by_beta.values()]
    steps = [after - before for before, after in itertools.pairwise(erle)]
    yield _above("Table IV: ERLE rises with β, least step, dB", min(steps), [0.0])
    if all(system.get("wer") is not None and system.get("dcf") is not None for system in by_beta.values()):
        best = {rate: min(by_beta, key=lambda beta: by_beta[beta][rate]) for rate in ("dcf", "wer")}
        yield _above("Table IV: best β of the VAD above that of the ASR", best["dcf"], [best["wer"]])


def _signs_of_ablations(scored: Sequence[Scored]) -> Iterator[Target | None]:
    for name, better, worse in (("DA", paper.DA, paper.BASE), ("PL", paper.PL, paper.DA)):
        gain = _gain(scored, better, worse, _pesq_at_low_ser)
        yield _above(f"Table I: {name} helps PESQ at -20 and -10 dB", gain, [0.0])
    for name, pick in (("DCF", _dcf), ("WER", _wer)):
        gain = _gain(scored, paper.TWO_MASKS, paper.PWF, pick)
        yield _above(f"Table II: PWF lowers {name} of two masks, %", gain, [0.0])


def _gain(scored: Sequence[Scored], better: str, worse: str, pick: Pick) -> float | None:
    """Return by how much the mean over seeds of one row is above that of another."""
    ours, base = (_mean(over_seeds(scored, row, pick)) for row in (better, worse))
    return None if ours is None or base is None else ours - base


def _pesq_at_low_ser(each: Scored) -> float | None:
    return _mean([each.pesq_wb.get(ser) for ser in ("-20", "-10")])


def _dcf(each: Scored) -> float | None:
    return _mean([100 * value for value in each.dcf_by_ser.values()])


def _wer(each: Scored) -> float | None:
    return _mean([100 * value for value in each.wer_by_ser.values()])


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
