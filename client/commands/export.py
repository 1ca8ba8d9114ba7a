"""`duplex export`: the suppressor for machines without Python."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from client.commands.terminal import fail, need


class Format(StrEnum):
    onnx = "onnx"
    c = "c"


def export(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The file to write.")],
    form: Annotated[
        Format,
        typer.Option(
            "--format", help="'onnx': a graph for onnxruntime. 'c': weights, and a C header beside them."
        ),
    ],
    model: Annotated[Path | None, typer.Option(help="A checkpoint; else the weights that ship.")] = None,
) -> None:
    """Write the neural suppressor as a file that phones can run, without Python and torch.

    docs/on-device.md says what goes in and out, and has an example for each format.
    """
    if form is Format.onnx:
        need("onnx", "export")

    from aec_core.checkpoint import load_checkpoint, pretrained_path

    try:
        weights, _ = load_checkpoint(model or pretrained_path())
        if form is Format.onnx:
            from aec_core.export.onnx_graph import export_onnx

            export_onnx(weights, out)
            written = [out]
        else:
            from aec_core.export.c_weights import export_c

            written = [out, export_c(weights, out)]
    except (OSError, ValueError) as error:
        fail(str(error))
    for path in written:
        typer.echo(f"{path}  {path.stat().st_size / 1e6:.2f} MB")
