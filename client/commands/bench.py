"""`duplex bench`: what the canceller costs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from client.commands.terminal import fail


def bench(
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures there as JSON.")] = None,
    streams: Annotated[str, typer.Option(help="Numbers of streams to time together.")] = "1,8,32",
    seconds: Annotated[float, typer.Option(min=1.0, help="Audio for each measurement.")] = 10.0,
) -> None:
    """Time every stage of the canceller on one core, and WebRTC's AEC3 beside it if livekit is installed."""
    import json
    import os

    counts = _counts(streams)
    # Before NumPy is loaded: more threads make small arrays slower and the figures incomparable.
    os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))

    from rich.console import Console

    from aec_core.bench import run_bench
    from aec_core.memory import keep_freed_memory
    from client.bench_report import tables

    keep_freed_memory()  # as the service does
    console = Console()
    with console.status("timing"):
        report = run_bench(counts, seconds)
    for table in tables(report):
        console.print(table)
    if json_file is not None:
        json_file.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def _counts(streams: str) -> list[int]:
    try:
        counts = [int(part) for part in streams.split(",")]
    except ValueError:
        fail(f"--streams takes numbers like 1,8,32, not {streams!r}", code=2)
    if min(counts) < 1:
        fail("--streams takes positive numbers", code=2)
    return counts
