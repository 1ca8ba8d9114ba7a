"""The plots of conversations in `docs/results/`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from aec_core.evaluate.plotstyle import SIZE, colour, legend_above, save, subplots
from aec_core.types import HOP, SAMPLE_RATE
from client.conversation.calls import example
from client.conversation.dialogues import SERS_DB, Dialogue
from client.conversation.run import Conversation
from client.conversation.session import Noticed
from client.conversation.targets import CLEAN, NONE, OURS
from client.conversation.timeline import items

_LONGEST_MS = 2500


def draw_all(conversation: Conversation, folder: Path) -> list[tuple[str, str]]:
    """Draw every plot into a folder; return file names with captions."""
    call = example(conversation.calls)
    plots = [
        (
            _latencies(conversation, folder / "conversation_latency.png"),
            "How many of all turns were noticed, and had ended, within a time.",
        ),
        (
            _cuts(conversation, folder / "conversation_cuts.png"),
            "Hesitations taken for the end of a turn, by length of the pause; detection cost by SER.",
        ),
        (
            _timeline(call, conversation.example, folder / "conversation_timeline.png"),
            f"Dialogue {call.name}, at {call.ser_db} dB: the truth, its pauses in white, and the "
            "service's turns; triangles stop the agent.",
        ),
    ]
    if conversation.wer_by_beta:
        path = folder / "conversation_words.png"
        plots.append((_words(conversation, path), "Word error rate against β; dashed: without a canceller."))
    return plots


def _latencies(conversation: Conversation, path: Path) -> str:
    figure, grid = subplots(1, 2, (SIZE[0], 2.8))
    for name, outcomes in conversation.outcomes.items():
        turns = sum(outcome.turns for outcome in outcomes)
        onsets = [ms for outcome in outcomes for ms in outcome.onsets]
        endings = [ending.ms for outcome in outcomes for ending in outcome.endings]
        for axes, values in zip(grid, (onsets, endings), strict=True):
            share = np.arange(len(values) + 1) / max(turns, 1)
            label = name if axes is grid[0] else None
            axes.step([0, *sorted(values)], 100 * share, where="post", label=label, color=_colour(name))
    grid[0].set(xlabel="ms after the first sound", ylabel="% of turns", xlim=(0, 1000), title="start noticed")
    grid[1].set(xlabel="ms after the last sound", xlim=(0, _LONGEST_MS), title="end declared")
    legend_above(figure)
    return save(figure, path)


def _cuts(conversation: Conversation, path: Path) -> str:
    figure, grid = subplots(1, 2, (SIZE[0], 2.6))
    systems = conversation.systems
    width = 0.8 / len(systems)
    for at, (name, system) in enumerate(systems.items()):
        buckets = system["wrong_cuts_by_pause_ms"]
        panels: list[list[float | None]] = [
            [some["share"] for some in buckets.values()],
            [system["dcf_by_ser"][str(ser)] for ser in SERS_DB],
        ]
        for axes, shares in zip(grid, panels, strict=True):
            label = name if axes is grid[0] else None
            places = np.arange(len(shares)) + (at + 0.5) * width - 0.4
            axes.bar(
                places, [100 * (share or 0) for share in shares], width, label=label, color=_colour(name)
            )
    buckets = list(systems[OURS]["wrong_cuts_by_pause_ms"])
    grid[0].set(title="wrong cuts, %", xlabel="pause, ms")
    grid[0].set_xticks(range(len(buckets)), buckets)
    grid[1].set(title="DCF, %", xlabel="SER, dB")
    grid[1].set_xticks(range(len(SERS_DB)), map(str, SERS_DB))
    legend_above(figure)
    return save(figure, path)


def _words(conversation: Conversation, path: Path) -> str:
    figure, axes = subplots(1, 1, (SIZE[0] / 2, 2.8))
    betas = list(conversation.wer_by_beta)
    for number, ser in enumerate(SERS_DB):
        line = {"color": f"C{number}"}
        rates = [conversation.wer_by_beta[beta]["wer_by_ser"][str(ser)] for beta in betas]
        axes.plot(list(map(float, betas)), _percents(rates), "o-", label=f"{ser} dB", **line)
        without = conversation.systems[NONE]["wer_by_ser"][str(ser)]
        axes.plot([0.1, 0.8], _percents([without, without]), "--", linewidth=0.8, **line)
    axes.set(xlabel="β", ylabel="WER, %", xticks=list(map(float, betas)), ylim=(0, None))
    legend_above(figure)
    return save(figure, path)


def _timeline(call: Dialogue, noticed: Sequence[Noticed], path: Path) -> str:
    figure, (wave, bars) = subplots(2, 1, (SIZE[0], 3.0))
    frames = np.abs(call.mic[: len(call.mic) // HOP * HOP]).reshape(-1, HOP).max(axis=1)
    seconds = np.arange(len(frames)) * HOP / SAMPLE_RATE
    wave.fill_between(seconds, -frames, frames, color="0.6", linewidth=0)
    wave.set(ylabel="microphone", xticklabels=[])
    for turn in call.turns:
        _bar(bars, 1, turn.start, turn.stop, "0.5")
        for start, stop in turn.pauses:
            _bar(bars, 1, start, stop, "white")
    for item in items(noticed):
        end = len(call.mic) if item.stopped_at is None else item.stopped_at
        _bar(bars, 0, item.started_at, end, colour("β 0.6"))
        if item.commit_at is not None:
            bars.plot(item.commit_at / SAMPLE_RATE, 0, "v", color="white")
    bars.set(xlabel="seconds", ylim=(-0.5, 1.5), yticks=[0, 1], yticklabels=["service", "truth"])
    for axes in (wave, bars):
        axes.set_xlim(0, seconds[-1])
    return save(figure, path)


def _bar(axes: Any, row: int, start: int, stop: int, shade: str) -> None:
    axes.broken_barh([(start / SAMPLE_RATE, (stop - start) / SAMPLE_RATE)], (row - 0.3, 0.6), color=shade)


def _percents(rates: Sequence[float | None]) -> list[float]:
    return [float("nan") if rate is None else 100 * rate for rate in rates]


def _colour(name: str) -> str:
    return "#2ca02c" if name == CLEAN else colour(name.split(" / ")[0])
