"""`duplex evaluate conversation`: turns, barge-ins and transcripts in dialogues over a loudspeaker."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from client.commands.evaluation import phase_bars, print_report
from client.commands.terminal import fail, need, warn

if TYPE_CHECKING:
    from client.conversation.calls import Options
    from client.conversation.run import Conversation
    from server.asr import Recognizer

_CACHE = Path.home() / ".cache" / "duplex-aec"


def conversation(
    manifest: Annotated[
        Path | None,
        typer.Option(
            help="CSV of speech with transcripts, and noise (docs/data.md); else the shipped voices."
        ),
    ] = None,
    split: Annotated[str, typer.Option(help="Speakers to measure on, never those of training.")] = "test",
    also: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A corpus or speaker to add whatever its split; may be repeated."),
    ] = None,
    dialogues: Annotated[int, typer.Option(min=1, help="Dialogues of ten turns each.")] = 8,
    far: Annotated[
        float, typer.Option(min=1.0, metavar="MINUTES", help="Agent alone, for each of two voices.")
    ] = 4.0,
    seed: Annotated[int, typer.Option(min=0, help="Decides all audio.")] = 2026,
    model: Annotated[Path | None, typer.Option(help="A checkpoint; else the shipped weights.")] = None,
    no_asr: Annotated[bool, typer.Option("--no-asr", help="Leave out all that needs words.")] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures there.")] = None,
    folder: Annotated[
        Path | None, typer.Option("--docs", help="Write tables, figures and plots into this folder.")
    ] = None,
) -> None:
    """Measure whole conversations: who speaks, who has finished, what was said, when the agent stops.

    Seeded dialogues with hesitations go through the service's own code, behind no canceller, WebRTC AEC3
    and ours. Takes about ten minutes of one core; two with --no-asr.
    """
    need("librosa", "evaluate")
    if folder is not None:
        need("matplotlib", "evaluate")
    from client.conversation.calls import Options

    try:
        from aec_core.train.default_data import complete

        whole = complete([manifest] if manifest else [], _CACHE)[0]
        options = Options(whole, split, tuple(also or ()), dialogues, far, seed, model)
        result = _run(options, None if no_asr else _recognizer())
        _report(result, json_file, folder, _command(options, manifest, no_asr))
    except (FileNotFoundError, ValueError) as error:
        fail(str(error))
    except KeyboardInterrupt:
        fail("interrupted: nothing was written", code=130)


def _recognizer() -> Recognizer | None:
    from server.asr import RecognizerError, load_recognizer

    try:
        return load_recognizer("whisper")
    except RecognizerError as error:
        warn(f"no transcripts: {error}")
        return None


def _run(options: Options, recognizer: Recognizer | None) -> Conversation:
    from client.conversation.run import evaluate

    with phase_bars() as show:
        return evaluate(options, recognizer, show)


def _report(result: Conversation, json_file: Path | None, folder: Path | None, how: str) -> None:
    from client.conversation.report import markdown, write_docs, write_json

    if json_file is not None:
        write_json(result, json_file)
    if folder is not None:
        write_docs(result, folder, how)
    print_report(markdown(result), result.missing, result.targets, f"; it took {result.seconds:.0f} s")


def _command(options: Options, manifest: Path | None, no_asr: bool) -> str:
    """Say what made the page, without paths of this machine."""
    words = ["duplex evaluate conversation", *([f"--manifest {manifest.name}"] if manifest else [])]
    words += [f"--split {options.split}", *(f"--also {name}" for name in options.also)]
    words += [f"--dialogues {options.dialogues}", f"--far {options.far_minutes:g}", f"--seed {options.seed}"]
    words += [f"--model {options.model.name}"] if options.model else []
    words += ["--no-asr"] if no_asr else []
    return f"Written by `{' '.join(words)}`."
