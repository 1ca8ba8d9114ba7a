"""`duplex ablate`: what each ingredient of training brings, at equal steps and over several seeds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from client.commands.terminal import fail, need
from client.commands.train import Precision


def ablate(
    out: Annotated[
        Path, typer.Option(help="Takes a checkpoint of each row and seed; those there are skipped.")
    ] = Path("runs/ablations"),
    manifest: Annotated[
        list[Path] | None,
        typer.Option(help="As for `duplex train`. Without one, the clips that are shipped."),
    ] = None,
    row: Annotated[
        list[str] | None,
        typer.Option(help="What to train; may be given again. Those of the paper's tables if not given."),
    ] = None,
    seed: Annotated[
        list[int] | None, typer.Option(help="May be given again; 1, 2 and 3 if not given.")
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="Of each.")] = 600,
    batch: Annotated[int, typer.Option(min=1, help="Clips of a step.")] = 16,
    data_hours: Annotated[
        list[float] | None, typer.Option(min=0.05, help="Audio to mix of each manifest; 12 if not given.")
    ] = None,
    cache: Annotated[Path, typer.Option(help="Where mixtures are kept.")] = Path("cache"),
    workers: Annotated[int, typer.Option(min=1, help="Processes that make mixtures.")] = 2,
    threads: Annotated[int, typer.Option(min=1, help="Threads of the training itself.")] = 1,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    precision: Annotated[Precision, typer.Option(help="Of the network's matrix products.")] = Precision.FP32,
    rows: Annotated[bool, typer.Option("--list", help="List the rows and stop.")] = False,
) -> None:
    """Train the rows of an ablation; `duplex evaluate --ablations OUT` makes the tables of them."""
    need("torch", "train")
    from aec_core.train.ablation import AblationOptions
    from aec_core.train.ablation import ablate as run
    from aec_core.train.recipes import PAPERS_ROWS, RECIPES

    if rows:
        typer.echo("\n".join(RECIPES))
        return
    options = AblationOptions(
        out=out,
        manifests=tuple(manifest or ()),
        data_hours=tuple(data_hours or ()),
        rows=tuple(row or PAPERS_ROWS),
        seeds=tuple(seed or (1, 2, 3)),
        steps=steps,
        batch=batch,
        cache=cache,
        workers=workers,
        threads=threads,
        device=device,
        precision=precision.value,
    )
    try:
        paths = run(options, typer.echo)
    except (OSError, ValueError) as error:
        fail(str(error))
    except KeyboardInterrupt:
        fail("stopped; the same command goes on", code=130)
    typer.echo(f"{len(paths)} checkpoints are in {out}")
