"""The figures of a benchmark as tables for the terminal, and as Markdown and plots for the documents."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

Report = dict[str, Any]

_ABOUT = """Written by `duplex bench --docs` and `duplex bench server --docs`. Costs are CPU times of a core.
The floor is what a stage's multiplications and bytes would take at the rates that this machine reached in a
large matrix product and a large copy; for one stream the weights alone have to be read.

Turnaround is wall-clock time, from sending the last sample that a cleaned hop needs to having the hop, over
WebSockets from another process on the same machine. Where the system load is above its number of cores,
other programs made frames wait: latencies are then theirs as much as ours, and only the CPU of steps in which
the service kept up says something, which is what the fit uses."""


_KBIT = ("payload_kbit_s", "wire_kbit_s")


@dataclass(frozen=True)
class Grid:
    """A table of text, before it is laid out."""

    title: str
    head: list[str]
    rows: list[list[str]]

    def rich(self) -> Table:
        # Twelve columns are to fit a terminal of 80.
        table = Table(title=self.title, box=SIMPLE_HEAD, padding=0, show_edge=False)
        for i, title in enumerate(self.head):
            table.add_column(title, justify="right" if i else "left")
        for row in self.rows:
            table.add_row(*row)
        return table

    def markdown(self) -> str:
        lines = [self.head, ["---", *["---:"] * (len(self.head) - 1)], *self.rows]
        return f"**{self.title}**\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def grids(report: Report) -> list[Grid]:
    """Lay out what the report has: stages, streams and peers; steps of the service and their fit."""
    found: list[Grid] = []
    if "streams" in report:
        found += [_stages(report["streams"]), _totals(report)]
    if "server" in report:
        found.append(_steps(report["server"]))
        if "events_s" in report["server"]["steps"][0]:
            found.append(_traffic(report["server"]))
        if report["server"]["fit"]:
            found.append(_machines(report["server"]["fit"]))
    return found


def tables(report: Report) -> list[Table]:
    """Return the tables for a terminal."""
    return [grid.rich() for grid in grids(report)]


def write_docs(report: Report, folder: Path) -> None:
    """Write `bench.json`, `bench.md` and the plots; figures that are there and not measured anew stay."""
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / "bench.json"
    if kept.exists():
        report = {**json.loads(kept.read_text(encoding="utf-8")), **report}
    kept.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    parts = ["# Speed", _ABOUT]
    parts += [grid.markdown() for grid in grids(report)]
    if "streams" in report:
        parts.append(f"![Stages]({_plot_stages(report, folder / 'bench-stages.png')})")
    if "server" in report:
        parts.append(f"![Sessions]({_plot_steps(report['server'], folder / 'bench-sessions.png')})")
    (folder / "bench.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def _stages(streams: Report) -> Grid:
    head = ["stage"]
    for count in streams:
        head += [f"{count} stream{'s' if count != '1' else ''}", "floor"]
    rows: list[list[str]] = []
    for stage in next(iter(streams.values()))["stages_us"]:
        row = [stage]
        for figures in streams.values():
            least = figures.get("floor_us", {}).get(stage)
            row += [f"{figures['stages_us'][stage]:.1f}", "" if least is None else f"{least:.1f}"]
        rows.append(row)
    return Grid("Microseconds for each stream and 20 ms frame, one core", head, rows)


def _totals(report: Report) -> Grid:
    rows = [_rtf("ours", count, figures["rtf"]) for count, figures in report["streams"].items()]
    rows += [_rtf(name, "1", figures["rtf"]) for name, figures in report.get("peers", {}).items()]
    memory = report.get("memory_per_stream_kb")
    title = "Real-time factor for each stream, one core" + (f"; {memory} kB a stream" if memory else "")
    return Grid(title, ["canceller", "streams", "RTF", "streams a core could hold"], rows)


def _rtf(name: str, streams: str, rtf: float) -> list[str]:
    return [name, streams, f"{rtf:.5f}", f"{1 / rtf:.0f}"]


def _steps(server: Report) -> Grid:
    rows: list[list[str]] = []
    for step in server["steps"]:
        ms = step["turnaround_ms"]
        times = [f"{ms[name]:.1f}" for name in ("p50", "p95", "p99", "max")]
        lag = step.get("loop_lag_p99_ms")
        lags = ["" if lag is None else f"{lag:.1f}"]
        lags += [f"{step[name]['p99']:.1f}" for name in ("ping_ms", "client_lag_ms")]
        rest = [f"{100 * step['late_share']:.2f}", f"{step['cpu']:.2f}", f"{step['rss_mb']:.0f}"]
        rows.append([str(step["sessions"]), *times, *lags, *rest, str(step["load_average"])])
    head = [
        "sessions",
        "p50",
        "p95",
        "p99",
        "max",
        "loop lag p99",
        "ping p99",
        "client lag p99",
        "late %",
        "cores",
        "RSS MB",
    ]
    each = "" if server["rss_per_session_mb"] is None else " a process"
    cut = "; cut short" if any(step.get("interrupted") for step in server["steps"]) else ""
    title = f"Turnaround of a frame, ms: {server['sessions_per_core']} sessions{each} with p99 under"
    memory = f", {server['rss_per_session_mb']} MB each" if each else ""
    return Grid(f"{title} {server.get('until_p99_ms', 40):.0f} ms{memory}{cut}", [*head, "system load"], rows)


def _traffic(server: Report) -> Grid:
    rows: list[list[str]] = []
    for step in server["steps"]:
        rates = [f"{step[kind][way]:.0f}" for kind in _KBIT for way in ("sent", "received")]
        refused = ", ".join(f"{n} × {status}" for status, n in step["refused"].items()) or "0"
        own = step["service"] or {}
        service = [_figure(own.get(name)) for name in ("load", "round_ms", "turnaround_ms")]
        rows.append(
            [str(step["sessions"]), str(step["lost"]), refused, f"{step['events_s']:.1f}", *rates, *service]
        )
    head = ["sessions", "lost", "refused", "events/s", "out", "in", "IP out", "IP in"]
    return Grid(
        "Refusals; a session's traffic at its client, kbit/s; the service of itself",
        [*head, "load", "round ms", "turnaround ms"],
        rows,
    )


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _machines(fit: Report) -> Grid:
    cost = f"{fit['cpu_once']:.3f} + {fit['cpu_per_session']:.4f} × sessions"
    rows = [[cores, str(held)] for cores, held in fit["sessions_by_cores"].items()]
    title = f"What larger machines would hold, one process a core, 70 % full; cores = {cost}"
    return Grid(title, ["cores", "sessions"], rows)


def _plot_stages(report: Report, path: Path) -> str:
    from aec_core.evaluate.plotstyle import save, subplots

    figure, axes = subplots(1, 1)
    counts = list(report["streams"])
    bottom = [0.0] * len(counts)
    for stage in report["streams"][counts[0]]["stages_us"]:
        if stage not in ("total", "vad"):
            heights = [report["streams"][count]["stages_us"][stage] for count in counts]
            axes.bar(counts, heights, bottom=bottom, label=stage)
            bottom = [b + h for b, h in zip(bottom, heights, strict=True)]
    for i, (name, figures) in enumerate(report.get("peers", {}).items()):
        axes.axhline(figures["rtf"] * 20_000, linestyle="--", color="0.3")
        axes.annotate(name, (len(counts) - 0.6 - 0.7 * i, figures["rtf"] * 20_000), ha="right", va="bottom")
    axes.set(
        xlabel="streams together", ylabel="µs a stream and frame", title="Cost of a 20 ms frame, one core"
    )
    axes.legend()
    return save(figure, path)


def _plot_steps(server: Report, path: Path) -> str:
    from aec_core.evaluate.plotstyle import save, subplots

    figure, (left, right) = subplots(1, 2)
    counts = [step["sessions"] for step in server["steps"]]
    for name in ("p50", "p95", "p99"):
        left.plot(counts, [step["turnaround_ms"][name] for step in server["steps"]], "o-", label=name)
    left.axhline(40, linestyle="--", color="0.3")
    left.set(xlabel="sessions", ylabel="ms", title="Turnaround of a frame", ylim=(0, 80))
    left.legend()
    right.plot(counts, [step["cpu"] for step in server["steps"]], "o", label="measured")
    if fit := server["fit"]:
        right.plot(counts, [fit["cpu_once"] + fit["cpu_per_session"] * n for n in counts], label="fit")
    right.set(xlabel="sessions", ylabel="cores", title="CPU of the service", ylim=(0, None))
    right.legend()
    return save(figure, path)
