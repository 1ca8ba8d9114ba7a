"""Writes an evaluation: JSON, Markdown and plots."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aec_core.evaluate import paper_tables, tables
from aec_core.evaluate.figures import draw_all
from aec_core.evaluate.run import Evaluation

PAGE = "evaluation.md"
FIGURES = "evaluation.json"
_BUDGET = (
    "Ours by a small training budget at equal steps, mean ± standard deviation over seeds; "
    "the paper's in brackets."
)


def as_json(evaluation: Evaluation) -> dict[str, Any]:
    """Return what `duplex evaluate --json` writes."""
    return {
        "systems": evaluation.systems,
        "targets": evaluation.targets,
        "recordings": evaluation.recordings,
        "left_out": evaluation.missing,
    }


def write_json(evaluation: Evaluation, path: Path) -> None:
    """Write the figures."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(as_json(evaluation), indent=1, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")


def write_docs(evaluation: Evaluation, folder: Path, how: str) -> None:
    """Write page, figures and plots into a folder; `how` says what made them."""
    folder.mkdir(parents=True, exist_ok=True)
    plots = draw_all(evaluation.systems, evaluation.calls, evaluation.runs, folder)
    write_json(evaluation, folder / FIGURES)
    (folder / PAGE).write_text(markdown(evaluation, how, plots) + "\n", encoding="utf-8")


def markdown(evaluation: Evaluation, how: str = "", plots: Sequence[tuple[str, str]] = ()) -> str:
    """Render every table."""
    systems = evaluation.systems
    held = sum(row["holds"] for row in evaluation.targets)
    parts = [
        "# Evaluation",
        how,
        *(f"*{line}.*" for line in evaluation.missing),
        f"## Targets: {held} of {len(evaluation.targets)} hold",
        tables.held(evaluation.targets),
        "## Far-end single talk",
        "ERLE in dB; jump and path change come at 5 s. AECMOS in brackets: against no processing.",
        tables.far_end(systems),
        "## Double talk",
        "Means over clips by signal-to-echo ratio; at -20 dB single clips decide the mean of PESQ.",
        tables.double_talk(systems),
        "Opinions as models predict them, in brackets against no processing:",
        tables.opinion(systems),
        "## Near end alone",
        tables.near_end(systems),
        *_listening(evaluation),
        *_recordings(evaluation),
        *_paper(evaluation),
        *(["## Plots"] if plots else []),
        *(f"![{caption}]({name})\n\n{caption}" for name, caption in plots),
    ]
    return "\n\n".join(part for part in parts if part)


def _listening(evaluation: Evaluation) -> list[str]:
    if not any("wer" in system for system in evaluation.systems.values()):
        return []
    return [
        "## Recogniser and detector",
        "Words of a small recogniser that get lost or invented, and time in which the detector is wrong "
        "(DCF = 0.75 false + 0.25 missed), on long calls of known utterances.",
        tables.listeners(evaluation.systems),
    ]


def _recordings(evaluation: Evaluation) -> list[str]:
    if not evaluation.recordings:
        return []
    return [
        "## Recordings of real devices",
        "From microphone to output: reduction in dB over all / after 3 s; where only the near end talks the "
        "change of level; where the clean near end is known SDR and what is kept of it, in dB.",
        tables.recordings(evaluation.recordings),
    ]


def _paper(evaluation: Evaluation) -> list[str]:
    parts = ["## The paper's tables"]
    if scored := evaluation.scored:
        parts += [f"### Table I\n\n{_BUDGET}", paper_tables.table_one(scored)]
        parts += ["### Table II", paper_tables.table_two(scored)]
        parts += ["### Table III", paper_tables.table_three(scored)]
    parts += [
        "### Table IV\n\nThe shipped weights; the paper's in brackets.",
        paper_tables.table_four(evaluation.systems),
    ]
    if other := paper_tables.other_rows(evaluation.scored):
        parts += ["### Rows of our own", other]
    return parts
