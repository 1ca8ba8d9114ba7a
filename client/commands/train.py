"""`duplex train`: the suppressor's weights from speech, noise and rooms."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from client.commands.terminal import fail, need


def train(
    manifest: Annotated[
        list[Path], typer.Option(help="CSV of speech, noise and music; see docs/data.md. May be given again.")
    ],
    hours: Annotated[float, typer.Option(min=0.001, help="Time to train.")] = 1.0,
    data_hours: Annotated[
        list[float] | None,
        typer.Option(min=0.05, help="Audio to mix of each manifest, made once and kept; 12 if not given."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Checkpoints and log; a run that is there goes on.")] = Path(
        "runs/latest"
    ),
    cache: Annotated[Path, typer.Option(help="Where mixtures are kept.")] = Path("cache"),
    init: Annotated[str | None, typer.Option(help="A checkpoint to start from, or 'pretrained'.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes that make mixtures.")] = 2,
    threads: Annotated[int, typer.Option(min=1, help="Threads of the training itself.")] = 1,
    seed: Annotated[int, typer.Option(help="Decides data and weights.")] = 1,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
) -> None:
    """Train the suppressor on mixtures that passed the serving front end; Ctrl-C keeps what is done."""
    need("torch", "train")
    from aec_core.train.run import TrainOptions
    from aec_core.train.run import train as run

    options = TrainOptions(
        tuple(manifest), hours, tuple(data_hours or (12.0,)), out, cache, init, workers, threads, seed, device
    )
    try:
        path = run(options)
    except (FileNotFoundError, ValueError) as error:
        fail(str(error))
    except KeyboardInterrupt:
        fail(f"stopped; the same command goes on from {out / 'last.pt'}", code=130)
    typer.echo(f"weights are in {path}")
