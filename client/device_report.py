"""What the exported suppressor costs, as tables for the terminal and for the documents."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from client.bench_report import Grid

Report = dict[str, Any]

_ABOUT = """Written by `duplex bench device --docs`. Times are CPU times of one core; each way takes frames of
microphone, linear output and aligned reference, and gives both outputs. What is before the suppressor (delay
and linear stage) is only in the last row. Multiply-adds and bytes are counted, not measured; of the formats
only float32 is implemented."""


def device_grids(report: Report) -> list[Grid]:
    """Lay out times, multiply-adds and bytes."""
    runs = [
        [name, f"{run['frame_us']:.0f}", f"{run['rtf']:.4f}", f"{1 / run['rtf']:.0f}"]
        for name, run in report["runs"].items()
    ]
    macs = [[part, f"{count:,}", f"{50 * count / 1e6:.2f}"] for part, count in report["macs"].items()]
    total = sum(report["macs"].values())
    macs.append(["all", f"{total:,}", f"{50 * total / 1e6:.2f}"])
    sizes = [[f"weights, {name}", f"{size:,}"] for name, size in report["weight_bytes"].items()]
    sizes.append(["memory of a stream, float32", f"{report['state_bytes']:,}"])
    return [
        Grid("The suppressor on one core, one stream", ["how", "µs a frame", "RTF", "times real time"], runs),
        Grid("Multiply-adds of a 20 ms frame", ["part", "a frame", "millions a second"], macs),
        Grid("Bytes", ["what", "bytes"], sizes),
    ]


def write_device_docs(report: Report, folder: Path) -> None:
    """Write `device.json` and `device.md`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "device.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    parts = ["# The suppressor on a device", _ABOUT, *(grid.markdown() for grid in device_grids(report))]
    (folder / "device.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")
