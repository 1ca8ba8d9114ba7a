"""`duplex evaluate`: how much echo goes, how much speech stays, beside other cancellers.

A group of commands whose own options make the first of them: `conversation` hangs below it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from client.commands.evaluate_conversation import conversation
from client.commands.evaluation import phase_bars, print_report
from client.commands.terminal import fail, need

if TYPE_CHECKING:
    from aec_core.evaluate.run import EvaluateOptions, Evaluation

_CACHE = Path.home() / ".cache" / "duplex-aec"


group = typer.Typer(invoke_without_command=True)
group.command()(conversation)


@group.callback()
def evaluate(
    context: typer.Context,
    manifest: Annotated[
        Path | None,
        typer.Option(help="CSV of speech, noise and music (docs/data.md); else the shipped voices."),
    ] = None,
    split: Annotated[str, typer.Option(help="Speakers to measure on, never those of training.")] = "test",
    pairs: Annotated[
        Path | None, typer.Option(help="Folder of recordings from real devices, as X_mic and X_ref.")
    ] = None,
    ablations: Annotated[
        Path | None, typer.Option(help="Folder of checkpoints for the paper's Tables I to III.")
    ] = None,
    clips: Annotated[int, typer.Option(min=1, help="Clips of each scenario.")] = 12,
    seed: Annotated[int, typer.Option(help="Decides the clips.")] = 2026,
    model: Annotated[Path | None, typer.Option(help="A checkpoint; else the shipped weights.")] = None,
    linear: Annotated[str | None, typer.Option(help="kalman or wrls; else what the checkpoint says.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures there.")] = None,
    folder: Annotated[
        Path | None, typer.Option("--docs", help="Write tables, figures and plots into this folder.")
    ] = None,
) -> None:
    """Measure the streaming canceller on seeded calls of held-out speakers, beside its peers.

    `duplex evaluate conversation` measures turns, barge-ins and transcripts.
    """
    if context.invoked_subcommand is not None:
        return
    need("pesq", "evaluate")
    if folder is not None:
        need("matplotlib", "evaluate")
    if linear not in (None, "kalman", "wrls"):
        fail(f"--linear is kalman or wrls, not {linear!r}", code=2)
    from aec_core.evaluate.run import EvaluateOptions

    try:
        whole = _whole(manifest)
        options = EvaluateOptions(whole, split, clips, seed, model, linear, pairs, ablations, folder)
        _report(_run(options), json_file, folder, how=_command(options, manifest))
    except (FileNotFoundError, ValueError) as error:
        fail(str(error))
    except KeyboardInterrupt:
        fail("interrupted: nothing was written but ablations that were scored", code=130)


def _run(options: EvaluateOptions) -> Evaluation:
    from aec_core.evaluate.run import evaluate as run
    from client.listeners import listeners

    with phase_bars() as show:
        return run(options, listeners(), show)


def _report(evaluation: Evaluation, json_file: Path | None, folder: Path | None, how: str) -> None:
    from aec_core.evaluate.report import markdown, write_docs, write_json

    if json_file is not None:
        write_json(evaluation, json_file)
    if folder is not None:
        write_docs(evaluation, folder, how)
    print_report(markdown(evaluation), evaluation.missing, evaluation.targets)


def _whole(manifest: Path | None) -> Path:
    """Return the manifest with people for its recorded echoes, or that of the shipped voices."""
    from aec_core.train.default_data import complete

    return complete([manifest] if manifest else [], _CACHE)[0]


def _command(options: EvaluateOptions, manifest: Path | None) -> str:
    """Say what made the page, without paths of this machine."""
    words = ["duplex evaluate", *([f"--manifest {manifest.name}"] if manifest else [])]
    words += [f"--split {options.split}", f"--clips {options.clips}", f"--seed {options.seed}"]
    words += [f"--pairs {options.pairs.name}"] if options.pairs else []
    words += [f"--ablations {options.ablations.name}"] if options.ablations else []
    return f"Written by `{' '.join(words)}`."
