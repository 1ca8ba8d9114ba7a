"""`duplex cancel`: clean a recording that is already there."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from client.commands.terminal import fail, warn


class Linear(StrEnum):
    kalman = "kalman"
    wrls = "wrls"


class Stage(StrEnum):
    full = "full"
    linear = "linear"


def cancel(
    mic: Annotated[Path, typer.Argument(metavar="MIC", help="What the microphone recorded.")],
    ref: Annotated[Path, typer.Argument(metavar="REF", help="What the loudspeaker played at the same time.")],
    out: Annotated[
        Path,
        typer.Argument(metavar="OUT", help="Where the person's voice goes: mono, 16 kHz, as long as MIC."),
    ],
    beta: Annotated[
        float, typer.Option(min=0.0, max=2.0, help="How hard to suppress: 0.2 suits ASR, 0.6 suits a VAD.")
    ] = 0.2,
    linear: Annotated[Linear, typer.Option(help="Linear stage.")] = Linear.kalman,
    stage: Annotated[Stage, typer.Option(help="'linear' stops before the neural suppressor.")] = Stage.full,
) -> None:
    """Cancel the echo in a pair of files, through the same streaming path that the service uses.

    Any sample rate and any number of channels; OUT is aligned with MIC.
    """
    from rich.console import Console
    from rich.progress import Progress

    from client.audio import AudioFileError
    from client.cancel import cancel_files

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(f"cancelling {mic.name}", total=None)
        try:
            warning = cancel_files(
                mic,
                ref,
                out,
                beta=beta,
                linear=linear.value,
                stage=stage.value,
                report=lambda done, total: progress.update(task, completed=done, total=total),
            )
        except AudioFileError as error:
            progress.stop()
            fail(str(error))
    if warning:
        warn(warning)
