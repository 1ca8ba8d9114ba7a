"""The figures of a benchmark as tables."""

from __future__ import annotations

from typing import Any

from rich.table import Table


def tables(report: dict[str, Any]) -> list[Table]:
    """Lay out stages and streams, then the peers."""
    return [_stages(report["streams"]), _totals(report)]


def _stages(streams: dict[str, Any]) -> Table:
    table = Table(title="Microseconds for each stream and 20 ms frame, one core")
    table.add_column("stage")
    for count in streams:
        table.add_column(f"{count} stream{'s' if count != '1' else ''}", justify="right")
    for stage in next(iter(streams.values()))["stages_us"]:
        row = (f"{figures['stages_us'][stage]:.1f}" for figures in streams.values())
        table.add_row(stage, *row, style="bold" if stage == "total" else "")
    return table


def _totals(report: dict[str, Any]) -> Table:
    table = Table(title="Real-time factor for each stream, one core")
    for title in ("canceller", "streams", "RTF", "streams a core could hold"):
        table.add_column(title, justify="left" if title == "canceller" else "right")
    for count, figures in report["streams"].items():
        table.add_row("ours", count, f"{figures['rtf']:.5f}", f"{1 / figures['rtf']:.0f}")
    for name, figures in report.get("peers", {}).items():
        table.add_row(name, "1", f"{figures['rtf']:.5f}", f"{1 / figures['rtf']:.0f}")
    return table
