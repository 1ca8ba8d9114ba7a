"""Writes the evaluation of conversations: JSON, Markdown and plots."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aec_core.evaluate.tables import held
from aec_core.types import SAMPLE_RATE
from client.conversation import tables
from client.conversation.plots import draw_all
from client.conversation.run import Conversation
from client.conversation.targets import NONE, OURS

PAGE = "conversation.md"
FIGURES = "conversation.json"
_METHOD = (
    "A person talks over an agent that never stops, in turns of one sentence with pauses of 2 to 4 s. Half "
    "of the turns hold a hesitation: the last 350 ms before it are drawn out 1.6 to 2.2 times, then comes a "
    "pause of 0.3 to 1.5 s. Every canceller has the service's own ears behind it: the same gate, detector, "
    "turn model and recogniser. Times are counted in samples; models answer at once. Latencies are from the "
    "first or last sample of the speech to the event, the canceller's delay included."
)


def as_json(conversation: Conversation) -> dict[str, Any]:
    """Return what `duplex evaluate conversation --json` writes."""
    return {
        "systems": conversation.systems,
        "wer_by_beta": conversation.wer_by_beta,
        "targets": conversation.targets,
        "left_out": conversation.missing,
        "dialogues": [call.name for call in conversation.calls.dialogues],
        "dialogues_for_words": [call.name for call in conversation.calls.words],
        "minutes_of_audio": round(minutes(conversation), 1),
        "seconds": round(conversation.seconds, 1),
    }


def minutes(conversation: Conversation) -> float:
    """Return how much audio each system heard."""
    return sum(len(call.mic) for call in conversation.calls.all) / SAMPLE_RATE / 60


def write_json(conversation: Conversation, path: Path) -> None:
    """Write the figures."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(as_json(conversation), indent=1, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")


def write_docs(conversation: Conversation, folder: Path, how: str) -> None:
    """Write page, figures and plots into a folder; `how` says what made them."""
    folder.mkdir(parents=True, exist_ok=True)
    plots = draw_all(conversation, folder)
    write_json(conversation, folder / FIGURES)
    (folder / PAGE).write_text(markdown(conversation, how, plots) + "\n", encoding="utf-8")


def markdown(conversation: Conversation, how: str = "", plots: Sequence[tuple[str, str]] = ()) -> str:
    """Render every table."""
    kept = sum(row["holds"] for row in conversation.targets)
    parts = [
        "# Conversation",
        how,
        f"{len(conversation.calls.dialogues)} dialogues, {minutes(conversation):.0f} minutes of audio; "
        f"it took {conversation.seconds / 60:.1f} minutes.",
        *(f"*{line}.*" for line in conversation.missing),
        _METHOD,
        f"## Targets: {kept} of {len(conversation.targets)} hold",
        held(conversation.targets),
        *_turn_taking(conversation),
        *_words(conversation),
        *(["## Plots"] if plots else []),
        *(f"![{caption}]({name})\n\n{caption}" for name, caption in plots),
    ]
    return "\n\n".join(part for part in parts if part)


def _turn_taking(conversation: Conversation) -> list[str]:
    systems = conversation.systems
    return [
        "## Starts and ends of turns",
        "Latencies in ms, median / 95th percentile.",
        tables.turns(systems),
        f"### Ends by reason, {OURS}",
        tables.reasons(systems[OURS]),
        "### Hesitations taken for the end, % (of how many), by length of the pause in ms",
        tables.cuts(systems),
        "### Onset by SER, median / 95th percentile, ms",
        tables.onsets(systems),
        "## The agent alone",
        "Barge-ins a minute that would have stopped the agent, and turns a minute that began, while nobody "
        "spoke.",
        tables.alone(systems),
        "## Detection",
        "The service's turns as a detector of the true ones: DCF = 0.75 false + 0.25 missed, in % of the "
        "time, 250 ms at every edge left out.",
        tables.detection(systems),
    ]


def _words(conversation: Conversation) -> list[str]:
    systems = {name: system for name, system in conversation.systems.items() if "wer" in system}
    if not systems:
        return []
    return [
        "## Words",
        f"All transcripts of a dialogue against all that was said in it, {systems[NONE]['words']} English "
        "words: words of the agent that are written down count as errors, so that WER can be above 100 %. "
        "Without a canceller or an echo, and in the rows by β, only the final texts are asked for; the rows "
        "by β find turns with 0.6.",
        tables.words(systems, conversation.wer_by_beta),
    ]
