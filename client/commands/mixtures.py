"""`duplex mixtures`: examples of what training hears, to listen to and to look at."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from client.commands.terminal import fail, need


def mixtures(
    manifest: Annotated[
        Path | None,
        typer.Option(
            help="CSV of speech, noise, music and echoes; see docs/data.md. Else the shipped voices."
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="Takes sounds, pictures and index.md.")] = Path("mixtures"),
    count: Annotated[int, typer.Option(min=1, help="Mixtures.")] = 12,
    split: Annotated[str, typer.Option(help="Of the manifest.")] = "train",
    seed: Annotated[int, typer.Option(help="Decides the mixtures.")] = 1,
    audio: Annotated[bool, typer.Option(help="Write WAV files beside the pictures.")] = True,
    cache: Annotated[Path, typer.Option(help="Where manifests that had to be made are kept.")] = Path(
        "cache"
    ),
) -> None:
    """Write examples of training mixtures: sounds, spectrograms, and what was drawn."""
    need("pyroomacoustics", "train")
    from rich.progress import Progress

    from aec_core.train.default_data import complete
    from aec_core.train.gallery import GalleryOptions, make_gallery

    try:
        (whole,) = complete([manifest] if manifest else [], cache)
        options = GalleryOptions(whole, out, count, split, seed, audio=audio)
        with Progress() as bar:
            task = bar.add_task("mixtures made", total=count)
            index = make_gallery(options, lambda done: bar.update(task, completed=done))
    except (OSError, ValueError) as error:
        fail(str(error))
    typer.echo(f"mixtures are in {index}")
