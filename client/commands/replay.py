"""`duplex replay`: a recorded session again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from client.commands.terminal import fail

if TYPE_CHECKING:
    from client.replay import Replay


def replay(
    bundle: Annotated[
        Path, typer.Argument(metavar="DIR", help="One session of those that `duplex serve --record` keeps.")
    ],
    model: Annotated[
        Path | None, typer.Option(help="The checkpoint that the service ran; else the shipped weights.")
    ] = None,
    save_dir: Annotated[Path | None, typer.Option(help="Write its vad.wav and asr.wav there.")] = None,
) -> None:
    """Run a recorded session again, and compare the cleaned audio with what went out then.

    Exits with 1 if they differ by more than one step of 16 bits, which is what rounding may do in a
    session that shared the engine with others.
    """
    from wave import Error

    from client.replay import CONFIG
    from client.replay import replay as run
    from server.errors import ProtocolError

    if not (bundle / CONFIG).exists():
        fail(f"{bundle}: not a session that `duplex serve --record` kept")
    try:
        result = run(bundle, model)
    except (OSError, ValueError, KeyError, EOFError, Error, ProtocolError) as error:
        fail(f"{bundle}: cannot be run again ({error})")
    if save_dir is not None:
        _save(result, save_dir)
    typer.echo(f"heard      {len(result.vad) / 16_000:.2f} s")
    typer.echo(f"different  {result.different} samples, by {result.largest} steps of 16 bits at most")
    if result.largest > 1:
        fail("this is not what went out then: another model, another version, or a recording with a gap")


def _save(result: Replay, directory: Path) -> None:
    from client.audio import AudioFileError, save

    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, sound in (("vad", result.vad), ("asr", result.asr)):
            save(directory / f"{name}.wav", sound, 16_000)
    except (OSError, AudioFileError) as error:
        fail(str(error))
