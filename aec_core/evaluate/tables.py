"""The tables of `docs/results/evaluation.md` that are about systems beside each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aec_core.evaluate.markdown import number, numbers, percent, table
from aec_core.evaluate.paper import SERS
from aec_core.evaluate.spoken import LEVELS_DB
from aec_core.evaluate.summary import Systems
from aec_core.evaluate.systems import UNPROCESSED, beta_name

_SIDES = "/".join(SERS)
_NOT_SHOWN = {beta_name(beta) for beta in (0.1, 0.4, 0.8)}  # these are in Table IV


def shown(systems: Systems) -> Systems:
    """Return the systems that tables have a line for."""
    return {name: system for name, system in systems.items() if name not in _NOT_SHOWN}


def far_end(systems: Systems) -> str:
    """ERLE on far-end single talk."""
    head = ["system", "ERLE", "> 3 s", "± clips", "drift", "jump: > 1 s after", "25 dB again after"]
    head += ["path change: > 1 s after", "AECMOS echo"]
    unprocessed = systems[UNPROCESSED]["far_end_aecmos_echo"]
    rows = [
        [
            name,
            number(system["erle_db"]),
            number(system["erle_after_3s_db"]),
            number(system["far_end"]["plain"]["erle_after_3s_db_std"]),
            number(system["far_end"]["clock drift"].get("erle_after_3s_db")),
            number(system["erle_after_jump_db"]),
            _seconds(system["recovery_after_jump_s"], system["recovered_within_1s"]),
            number(system["erle_after_path_change_db"]),
            _with_gain(system["far_end_aecmos_echo"], unprocessed),
        ]
        for name, system in shown(systems).items()
    ]
    return table(head, rows)


def double_talk(systems: Systems) -> str:
    """Quality of double talk by SER: means, at -20 dB medians too, and spreads."""
    head = [
        "system",
        f"PESQ wb at {_SIDES} dB",
        "± clips",
        "median at -20 dB",
        "PESQ nb",
        "SDR, dB",
        "near end kept, dB",
    ]
    rows = [
        [
            name,
            _by_ser(system["pesq_wb"], 2),
            _by_ser(system["pesq_wb_std"], 2),
            number(system["pesq_wb_median"]["-20"], 2),
            _by_ser(system["pesq_nb"], 2),
            _by_ser(system["sdr_db"], 1),
            _by_ser(system["near_kept_db"], 1),
        ]
        for name, system in shown(systems).items()
    ]
    return table(head, rows)


def opinion(systems: Systems) -> str:
    """MOS of double talk as models predict them, and in brackets against no processing."""
    metrics = ("aecmos_echo", "aecmos_degradation", "dnsmos_overall")
    head = ["system", *(f"{name} at {_SIDES} dB" for name in ("AECMOS echo", "AECMOS degradation", "DNSMOS"))]
    before = systems[UNPROCESSED]
    rows = [
        [
            name,
            *(
                " / ".join(_with_gain(system[metric][ser], before[metric][ser]) for ser in SERS)
                for metric in metrics
            ),
        ]
        for name, system in shown(systems).items()
    ]
    return table(head, rows)


def near_end(systems: Systems) -> str:
    """What becomes of the near end where there is no echo."""
    columns = (("PESQ wb", "pesq_wb", 2), ("PESQ nb", "pesq_nb", 2), ("SDR, dB", "sdr_db", 1))
    columns += (("kept, dB", "near_kept_db", 2), ("AECMOS degradation", "aecmos_degradation", 2))
    columns += (("DNSMOS", "dnsmos_overall", 2),)
    rows = [
        [name, *(number(system["near_end_alone"].get(metric), digits) for _, metric, digits in columns)]
        for name, system in shown(systems).items()
    ]
    return table(["system", *(title for title, _, _ in columns)], rows)


def listeners(systems: Systems) -> str:
    """WER and DCF of every system, in %."""
    levels = list(map(str, LEVELS_DB))
    head = ["system", *(f"{rate} at {'/'.join(levels)} dB, %" for rate in ("WER", "DCF"))]
    head += ["false", "missed", "false events a minute", "utterances missed"]
    rows = [
        [
            name,
            *(
                " / ".join(percent(system[rate].get(level)) for level in levels)
                for rate in ("wer_by_ser", "dcf_by_ser")
            ),
            percent(system["p_false"]),
            percent(system["p_miss"]),
            number(system["false_events_per_min"]),
            number(system["missed_utterances"], 0),
        ]
        for name, system in systems.items()
        if "wer" in system
    ]
    return table(head, rows)


def recordings(rows: Sequence[dict[str, Any]]) -> str:
    """What every system does to recorded pairs: reduction over all and after 3 s, or what suits the kind."""
    names = [name for name in rows[0]["systems"] if name not in {UNPROCESSED, *_NOT_SHOWN}]
    lines = [
        [row["name"], row["kind"] or "?", *(_recording(row["systems"][name]) for name in names)]
        for row in rows
    ]
    return table(["recording", "who talks", *names], lines)


def _recording(scores: dict[str, float]) -> str:
    if "sdr_db" in scores:
        return f"SDR {scores['sdr_db']:.1f}, kept {scores['near_kept_db']:.1f}"
    if "level_change_db" in scores:
        return f"level {scores['level_change_db']:+.1f}"
    return numbers([scores["reduction_db"], scores.get("reduction_after_3s_db")])


def held(rows: Sequence[dict[str, Any]]) -> str:
    """The targets."""
    lines = [
        [row["name"], f"{row['value']:.2f}", f"{row['target']:g}", "yes" if row["holds"] else "**no**"]
        for row in rows
    ]
    return table(["target", "value", "target", "holds"], lines)


def _by_ser(values: dict[str, float | None], digits: int) -> str:
    return numbers((values[ser] for ser in SERS), digits)


def _with_gain(value: float | None, before: float | None) -> str:
    if value is None or before is None:
        return "–"
    return f"{value:.2f} ({value - before:+.2f})"


def _seconds(value: float | None, share: float | None) -> str:
    return "–" if value is None or share is None else f"{value:.2f} s ({100 * share:.0f} % within 1 s)"
