"""`duplex bench`: what the canceller costs, and how many sessions a service holds.

A group of commands whose own options make the first of them: `server` hangs below it.
"""

from __future__ import annotations

from math import inf
from pathlib import Path
from typing import Annotated, Any

import typer

from client.commands.terminal import Token, fail, need, warn

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_MOST_LAG_MS = 10.0
_QUICK_S = 6.0  # a step of the service when all is measured

group = typer.Typer(invoke_without_command=True)

Json = Annotated[Path | None, typer.Option("--json", help="Write the figures there as JSON.")]
Docs = Annotated[
    Path | None, typer.Option("--docs", help="Write tables, plots and figures into this folder.")
]
KeepGoing = Annotated[
    bool, typer.Option("--keep-going", help="Go on though frames are late: for a fit on a busy machine.")
]
Sessions = Annotated[int, typer.Option(min=1, max=100_000, help="The most sessions to try.")]


@group.callback()
def bench(
    context: typer.Context,
    json_file: Json = None,
    docs: Docs = None,
    streams: Annotated[str, typer.Option(help="Numbers of streams to time together.")] = "1,8,32,128",
    seconds: Annotated[float, typer.Option(min=1.0, help="Audio for each measurement.")] = 10.0,
    sessions: Sessions = 64,
    server: Annotated[bool, typer.Option(help="Measure a service as well, a few seconds a step.")] = True,
) -> None:
    """Time every stage of the canceller on one core, its peers beside it, and a service over sockets.

    `duplex bench server` measures the service alone, for as long as you like.
    """
    if context.invoked_subcommand is not None:
        return
    import os

    counts = _counts(streams)
    if docs is not None:
        need("matplotlib", "evaluate")
    # Before NumPy is loaded: more threads make small arrays slower and the figures incomparable.
    os.environ.update(dict.fromkeys(_THREADS, "1"))

    from aec_core.bench import run_bench
    from aec_core.memory import keep_freed_memory
    from client.bench_progress import shown
    from client.bench_server import Plan, bench_server, steps_up_to
    from client.bench_vad import add_vad
    from client.local_server import ServerFailedError

    keep_freed_memory()  # as the service does
    with shown() as progress:
        progress("timing the canceller", None)
        report = run_bench(counts, seconds)
        add_vad(report)
        if server:
            try:
                plan = Plan(steps_up_to(sessions), _QUICK_S)
                report["server"] = bench_server(plan, progress=progress)
            except ServerFailedError as error:
                fail(f"no service to measure: {error}")
    _show(report, json_file, docs)


@group.command("server")
def bench_service(
    sessions: Sessions = 72,
    minutes: Annotated[float, typer.Option(min=0.02, help="How long each step is held.")] = 0.5,
    until_p99: Annotated[
        float, typer.Option(min=1.0, help="End when one frame in a hundred takes more than so many ms.")
    ] = 40.0,
    at_once: Annotated[
        bool, typer.Option("--at-once", help="All the sessions in one step, instead of more and more.")
    ] = False,
    url: Annotated[
        str | None, typer.Option(help="A service that runs elsewhere, ws:// or wss://; else one is started.")
    ] = None,
    ca: Annotated[
        Path | None, typer.Option(help="Certificate to trust, PEM: that of a service which made its own.")
    ] = None,
    token: Token = None,
    clients: Annotated[
        int, typer.Option(min=1, max=64, help="Processes that hold the sessions, where one is too slow.")
    ] = 1,
    keep_going: KeepGoing = False,
    json_file: Json = None,
    docs: Docs = None,
) -> None:
    """Hold more and more live sessions until frames are late; with --url as a load generator.

    Ctrl-C ends it and shows what was measured so far.
    """
    if docs is not None:
        need("matplotlib", "evaluate")
    from client.bench_progress import shown
    from client.bench_server import Plan, bench_server, steps_up_to
    from client.connect import Address
    from client.load_clients import ClientFailedError
    from client.local_server import ServerFailedError

    counts = [sessions] if at_once else steps_up_to(sessions)
    plan = Plan(counts, 60 * minutes, until_p99, clients, keep_going)
    try:
        with shown() as progress:
            address = None if url is None else Address(url, token, ca)
            report = {"server": bench_server(plan, address, progress)}
    except (ServerFailedError, ClientFailedError) as error:
        fail(str(error))
    _show(report, json_file, docs)
    _advise(report["server"]["steps"])


def _advise(steps: list[dict[str, Any]]) -> None:
    """Say why sessions were lost, and whether the load itself was what was slow."""
    last = steps[-1]
    for why, count in last["lost_why"].items():
        warn(f"{count} lost: {why}")
    if inf > last["client_lag_ms"]["p99"] > _MOST_LAG_MS:
        warn("the load's own processes woke late: more --clients, or another machine for them")
    if last["lost"] == last["sessions"] and len(steps) == 1:
        fail("no session could be held")


@group.command("device")
def bench_device(
    seconds: Annotated[float, typer.Option(min=1.0, help="Audio for each measurement.")] = 10.0,
    json_file: Json = None,
    docs: Docs = None,
) -> None:
    """Time the exported suppressor on one core: NumPy, onnxruntime, and C by this machine's compiler."""
    import os

    os.environ.update(dict.fromkeys(_THREADS, "1"))
    from rich.console import Console

    from aec_core.bench import echo_pair
    from aec_core.export.measure import measure_device
    from client.device_report import device_grids, write_device_docs

    console = Console()
    with console.status("timing the suppressor"):
        report = measure_device(*echo_pair(seconds))
    for grid in device_grids(report):
        console.print(grid.rich())
    _save(report, json_file)
    if docs is not None:
        write_device_docs(report, docs)


def _show(report: dict[str, Any], json_file: Path | None, docs: Path | None) -> None:
    from rich.console import Console

    from client.bench_report import tables, write_docs

    console = Console()
    for table in tables(report):
        console.print(table)
    _save(report, json_file)
    if docs is not None:
        write_docs(report, docs)


def _save(report: dict[str, Any], json_file: Path | None) -> None:
    if json_file is not None:
        import json

        json_file.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def _counts(streams: str) -> list[int]:
    try:
        counts = [int(part) for part in streams.split(",")]
    except ValueError:
        fail(f"--streams takes numbers like 1,8,32, not {streams!r}", code=2)
    if min(counts) < 1:
        fail("--streams takes positive numbers", code=2)
    return counts
