"""`duplex evaluate`: the shipped weights on held-out synthetic phones."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aec_core.config import LinearName
from aec_core.evaluate.measure import Judges, Scores, measure
from aec_core.evaluate.peers import find_peers
from aec_core.evaluate.report import markdown, summary, targets
from aec_core.evaluate.scenarios import groups, make_calls
from aec_core.evaluate.systems import BETAS, peer_system, shipped, unprocessed
from aec_core.train.sources import load_sources


@dataclass(frozen=True)
class EvaluateOptions:
    """What `duplex evaluate` asks for."""

    manifest: Path
    split: str = "test"
    clips: int = 12  # of each group
    seed: int = 2026
    model: Path | None = None
    linear: LinearName | None = None


def evaluate(options: EvaluateOptions, progress: Callable[[int, int], None]) -> dict[str, Any]:
    """Measure and return `{"systems": …, "targets": …}`.

    `progress` is called with the number of steps done, and of all: a step is a clip made or scored.

    Raises:
        FileNotFoundError: If there is no such manifest or model.
        ValueError: If the manifest has no usable speech in this split.
    """
    if not options.manifest.is_file():
        raise FileNotFoundError(f"no manifest at {options.manifest}")
    systems = [
        unprocessed(),
        shipped(options.model, options.linear, BETAS),
        *map(peer_system, find_peers()[0]),
    ]
    clips = options.clips * len(groups())
    steps, total = 0, clips * (1 + len(systems))

    def step(count: int = 1) -> None:
        nonlocal steps
        steps += count
        progress(steps, total)

    calls = make_calls(load_sources(options.manifest, options.split), options.clips, options.seed, step)
    results: dict[str, Scores] = {}
    for system in systems:
        results.update(measure(system, calls, Judges(), step))
    means = summary(results)
    return {"systems": means, "targets": targets(means)}


def write_report(report: dict[str, Any], json_file: Path | None, folder: Path | None) -> str:
    """Write the JSON and the Markdown where asked, and return the Markdown."""
    text = markdown(report["systems"], report["targets"])
    if json_file is not None:
        json_file.parent.mkdir(parents=True, exist_ok=True)
        json_file.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "evaluation.md").write_text(text + "\n", encoding="utf-8")
    return text
