"""`duplex evaluate`: how much echo goes, how much speech stays."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from client.commands.terminal import fail, need


def evaluate(
    manifest: Annotated[Path, typer.Option(help="CSV of speech, noise and music; see docs/data.md.")],
    split: Annotated[str, typer.Option(help="Speakers to measure on, never those of training.")] = "test",
    clips: Annotated[int, typer.Option(min=1, help="Clips of each scenario.")] = 12,
    seed: Annotated[int, typer.Option(help="Decides the clips.")] = 2026,
    model: Annotated[Path | None, typer.Option(help="A checkpoint; else the shipped weights.")] = None,
    linear: Annotated[str | None, typer.Option(help="kalman or wrls; else what the checkpoint says.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures there.")] = None,
    folder: Annotated[
        Path | None, typer.Option("--docs", help="Write evaluation.md into this folder.")
    ] = None,
) -> None:
    """Measure the streaming canceller on seeded calls of held-out speakers, against its targets."""
    need("pesq", "evaluate")
    if linear not in (None, "kalman", "wrls"):
        fail(f"--linear is kalman or wrls, not {linear!r}", code=2)
    from rich.console import Console
    from rich.markdown import Markdown
    from rich.progress import Progress

    from aec_core.evaluate.run import EvaluateOptions, write_report
    from aec_core.evaluate.run import evaluate as run

    options = EvaluateOptions(manifest, split, clips, seed, model, linear)
    try:
        with Progress() as bar:
            task = bar.add_task("clips made and scored")
            report = run(options, lambda done, total: bar.update(task, completed=done, total=total))
    except (FileNotFoundError, ValueError) as error:
        fail(str(error))
    console = Console()
    console.print(Markdown(write_report(report, json_file, folder)))
    held = sum(row["holds"] for row in report["targets"])
    console.print(f"{held} of {len(report['targets'])} targets hold")
