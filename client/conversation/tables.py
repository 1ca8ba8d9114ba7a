"""The tables of conversations."""

from __future__ import annotations

from aec_core.evaluate.markdown import number, numbers, percent, table
from client.conversation.dialogues import SERS_DB
from client.conversation.figures import Figures
from client.conversation.targets import OURS


def turns(systems: dict[str, Figures]) -> str:
    """Latencies and errors of starts and ends."""
    head = [
        "",
        "onset",
        "barge-in",
        "end",
        "wrong cuts, %",
        "cut in speech",
        "missed",
        "two in one",
        "false starts / barge-ins a minute",
    ]
    return table(
        head,
        (
            [
                name,
                *(_latency(system[key]) for key in ("onset_ms", "commit_ms", "endpoint_ms")),
                percent(system["wrong_cuts"]["share"]),
                *(f"{system[key]} of {system['turns']}" for key in ("cuts_in_speech", "missed", "merged")),
                numbers(system[f"false_{what}_per_min"] for what in ("starts", "commits")),
            ]
            for name, system in systems.items()
        ),
    )


def reasons(system: Figures) -> str:
    """Ends by what decided them."""
    return table(
        ["reason", "turns", "end, ms"],
        (
            [f"`{reason}`", str(latency["n"]), _latency(latency)]
            for reason, latency in system["endpoint_ms_by_reason"].items()
        ),
    )


def cuts(systems: dict[str, Figures]) -> str:
    """Hesitations taken for the end, by length."""
    buckets = list(systems[OURS]["wrong_cuts_by_pause_ms"])
    return table(
        ["", *buckets],
        (
            [name, *(_share(system["wrong_cuts_by_pause_ms"][bucket]) for bucket in buckets)]
            for name, system in systems.items()
        ),
    )


def onsets(systems: dict[str, Figures]) -> str:
    """How soon starts are noticed, by SER."""
    return table(
        ["", *(f"{ser} dB" for ser in SERS_DB)],
        (
            [name, *(_latency(system["onset_ms_by_ser"][str(ser)]) for ser in SERS_DB)]
            for name, system in systems.items()
        ),
    )


def alone(systems: dict[str, Figures]) -> str:
    """What is taken for a person while only the agent speaks."""
    rows = (
        [
            name,
            f"{voice} voice",
            number(some["false_commits_per_min"], 2),
            number(some["false_starts_per_min"], 2),
        ]
        for name, system in systems.items()
        for voice, some in system.get("far_end", {}).items()
    )
    return table(["", "the agent speaks in", "false barge-ins", "false starts"], rows)


def detection(systems: dict[str, Figures]) -> str:
    """Detection cost and its parts."""
    return table(
        ["", "DCF", *(f"{ser} dB" for ser in SERS_DB), "false", "missed"],
        (
            [
                name,
                percent(system["dcf"]),
                *(percent(system["dcf_by_ser"][str(ser)]) for ser in SERS_DB),
                percent(system["p_false"]),
                percent(system["p_miss"]),
            ]
            for name, system in systems.items()
        ),
    )


def words(systems: dict[str, Figures], by_beta: dict[str, Figures]) -> str:
    """Word error rates and first partials, by system and by β."""
    rows = systems | {f"β {beta} for the recogniser": rates for beta, rates in by_beta.items()}
    return table(
        ["", "WER", *(f"{ser} dB" for ser in SERS_DB), "first partial, ms"],
        (
            [
                name,
                percent(some["wer"]),
                *(percent(some["wer_by_ser"][str(ser)]) for ser in SERS_DB),
                _latency(some["first_partial_ms"]),
            ]
            for name, some in rows.items()
        ),
    )


def _latency(latency: Figures) -> str:
    return numbers((latency["p50"], latency["p95"]), 0)


def _share(cuts: Figures) -> str:
    return f"{percent(cuts['share'])} ({cuts['n']})"
