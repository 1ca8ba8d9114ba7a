"""`duplex train`: the suppressor's weights from speech, noise and rooms."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from client.commands.terminal import fail, need


class Precision(StrEnum):
    """Of the network's matrix products."""

    FP32 = "fp32"
    BF16 = "bf16"


def train(
    manifest: Annotated[
        list[Path] | None,
        typer.Option(
            help="CSV of speech, noise, music and recorded echoes; see docs/data.md. May be given again. "
            "Without one, the clips that are shipped."
        ),
    ] = None,
    hours: Annotated[
        float | None,
        typer.Option(min=0.001, help="Time to train, earlier sittings included; 1 if not given."),
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Steps to train, instead of hours.")] = None,
    data_hours: Annotated[
        list[float] | None,
        typer.Option(
            min=0.05,
            help="Audio to mix of each manifest, made once and kept; 12 if not given, 0.5 of shipped clips.",
        ),
    ] = None,
    recipe: Annotated[
        str,
        typer.Option(
            help="Losses, stages and augmentation: 'shipped', as these weights, or a row of `duplex ablate`."
        ),
    ] = "shipped",
    init: Annotated[str | None, typer.Option(help="A checkpoint to start from, or 'pretrained'.")] = None,
    out: Annotated[
        Path, typer.Option(help="Takes checkpoints, logs and curves; a run that is there goes on.")
    ] = Path("runs/latest"),
    cache: Annotated[Path, typer.Option(help="Where mixtures are kept.")] = Path("cache"),
    validate_minutes: Annotated[
        float, typer.Option(min=0, help="Training between two looks at held-out calls; 0 for none.")
    ] = 10.0,
    patience: Annotated[
        int | None, typer.Option(min=1, help="Stop after so many looks without a better score.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes that make mixtures.")] = 2,
    threads: Annotated[int, typer.Option(min=1, help="Threads of the training itself.")] = 1,
    seed: Annotated[int, typer.Option(help="Decides data and weights.")] = 1,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    precision: Annotated[
        Precision, typer.Option(help="bf16 is a fifth faster where the processor has it.")
    ] = Precision.FP32,
) -> None:
    """Train the suppressor on mixtures that passed the serving front end; Ctrl-C keeps what is done.

    OUT/model.safetensors has the weights of the end, OUT/best.safetensors those that scored best on
    held-out calls, OUT/curves.png what happened.
    """
    need("torch", "train")
    from aec_core.train.run import TrainOptions
    from aec_core.train.run import train as run

    options = TrainOptions(
        manifests=tuple(manifest or ()),
        hours=hours,
        steps=steps,
        data_hours=tuple(data_hours or ()),
        recipe=recipe,
        out=out,
        cache=cache,
        init=init,
        workers=workers,
        threads=threads,
        seed=seed,
        device=device,
        precision=precision.value,
        validate_minutes=validate_minutes,
        patience=patience,
    )
    try:
        path = run(options)
    except (OSError, ValueError) as error:
        fail(str(error))
    except KeyboardInterrupt:
        fail(f"stopped; the same command goes on from {out / 'last.pt'}", code=130)
    typer.echo(f"weights are in {path}")
