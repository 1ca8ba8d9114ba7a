"""The paper's Tables I to IV: our figures with the same rows and columns, the paper's in brackets."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from aec_core.evaluate import paper
from aec_core.evaluate.ablations import FINAL_STAGE, Scored
from aec_core.evaluate.markdown import number, percent, table, with_spread
from aec_core.evaluate.spoken import LEVELS_DB
from aec_core.evaluate.summary import Systems
from aec_core.evaluate.systems import SWEEP, beta_name

LEVELS = tuple(map(str, LEVELS_DB))
_LEVEL_HEADS = tuple(
    f"{level} dB (Vol. {volume})" for level, volume in zip(LEVELS_DB, (70, 100), strict=True)
)
Pick = Callable[[Scored], float | None]


def table_one(scored: Sequence[Scored]) -> str:
    """PESQ on double talk and ERLE on far-end single talk, mean and spread over seeds."""
    head = ["method", *(f"PESQ, {ser} dB" for ser in paper.SERS), "ERLE, dB"]
    picks: list[Pick] = [*(_pesq(ser) for ser in paper.SERS), lambda each: each.erle_db]
    rows = [
        [row, *(_cell(scored, row, pick, theirs) for pick, theirs in zip(picks, figures, strict=True))]
        for row, figures in paper.TABLE_I.items()
    ]
    return table(head, rows)


def table_two(scored: Sequence[Scored]) -> str:
    """DCF and WER in %, by level."""
    head = ["method", *(f"{rate}, {level}" for rate in ("VAD-DCF %", "ASR-WER %") for level in _LEVEL_HEADS)]
    picks = [*(_dcf(level) for level in LEVELS), *(_wer(level) for level in LEVELS)]
    rows = [
        [row, *(_cell(scored, row, pick, theirs) for pick, theirs in zip(picks, figures, strict=True))]
        for row, figures in paper.TABLE_II.items()
    ]
    return table(head, rows)


def table_three(scored: Sequence[Scored]) -> str:
    """WER in % of the outputs of the stages."""
    rows = [
        [
            name,
            *(
                _cell(scored, paper.PL, _wer(level), theirs, stage)
                for level, theirs in zip(LEVELS, figures, strict=True)
            ),
        ]
        for stage, (name, figures) in enumerate(paper.TABLE_III.items(), 1)
    ]
    return table(["layer", *(f"ASR-WER %, {level}" for level in _LEVEL_HEADS)], rows)


def table_four(systems: Systems) -> str:
    """DCF, WER, PESQ and ERLE of the shipped weights by beta; means over levels, SERs and far-end groups."""
    rows: list[list[str]] = []
    for beta in SWEEP:
        system = systems[beta_name(beta)]
        values = [percent(system.get("dcf")), percent(system.get("wer"))]
        values += [number(mean_pesq(systems, beta), 2), number(system["erle_db"], 2)]
        theirs = paper.TABLE_IV[beta]
        rows.append([f"{beta:g}", *(f"{ours} ({his:.2f})" for ours, his in zip(values, theirs, strict=True))])
    return table(["β", "VAD-DCF %", "ASR-WER %", "PESQ", "ERLE, dB"], rows)


def mean_pesq(systems: Systems, beta: float) -> float | None:
    """Return PESQ as the paper's Table IV has it: the mean over the four SERs."""
    values = [value for value in systems[beta_name(beta)]["pesq_wb"].values() if value is not None]
    return sum(values) / len(values) if values else None


def other_rows(scored: Sequence[Scored]) -> str:
    """Rows that the paper does not have, or nothing."""
    names = sorted({each.row for each in scored} - set(paper.ROWS))
    picks: list[Pick] = [*(_pesq(ser) for ser in paper.SERS), lambda each: each.erle_db]
    rows = [[name, *(_ours(scored, name, pick) for pick in picks)] for name in names]
    return table(["row", *(f"PESQ, {ser} dB" for ser in paper.SERS), "ERLE, dB"], rows) if rows else ""


def over_seeds(scored: Sequence[Scored], row: str, pick: Pick, stage: int = FINAL_STAGE) -> list[float]:
    """Return a figure of one row, one value a seed."""
    values = [pick(each) for each in scored if (each.row, each.stage) == (row, stage)]
    return [value for value in values if value is not None]


def _cell(scored: Sequence[Scored], row: str, pick: Pick, theirs: float, stage: int = FINAL_STAGE) -> str:
    return f"{_ours(scored, row, pick, stage)} ({theirs:.2f})"


def _ours(scored: Sequence[Scored], row: str, pick: Pick, stage: int = FINAL_STAGE) -> str:
    return with_spread(over_seeds(scored, row, pick, stage), 2)


def _pesq(ser: str) -> Pick:
    return lambda each: each.pesq_wb.get(ser)


def _wer(level: str) -> Pick:
    return lambda each: 100 * each.wer_by_ser[level] if level in each.wer_by_ser else None


def _dcf(level: str) -> Pick:
    return lambda each: 100 * each.dcf_by_ser[level] if level in each.dcf_by_ser else None
