"""`duplex evaluate`: the shipped weights and every peer on held-out synthetic phones and on recordings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aec_core.checkpoint import pretrained_path
from aec_core.config import LinearName
from aec_core.evaluate.ablations import Bench, Scored, find_ablations, load_scored, score_ablations
from aec_core.evaluate.listen import CLEAN, Heard, Listeners, listen, near_end, rates, through
from aec_core.evaluate.measure import Scores, measure
from aec_core.evaluate.peers import find_peers
from aec_core.evaluate.quality import load_mos
from aec_core.evaluate.recordings import find_recordings, score_recordings
from aec_core.evaluate.scenarios import NEAR_GROUP, Call, groups, make_calls
from aec_core.evaluate.spoken import LEVELS_DB, Segment, load_utterances, make_segments
from aec_core.evaluate.summary import Systems, summarise
from aec_core.evaluate.systems import BETAS, LINEAR, SWEEP, System, peer_system, shipped, unprocessed, without
from aec_core.evaluate.targets import targets
from aec_core.train.sources import load_sources

ABLATIONS = "ablations.json"
_ABLATION_CLIPS = 6  # of each group, at most
_ABLATION_SEGMENTS = 2

Progress = Callable[[str, int, int], None]
"""Takes what is being done, the steps of it that are done, and how many there are."""


@dataclass(frozen=True)
class EvaluateOptions:
    """What `duplex evaluate` asks for."""

    manifest: Path
    split: str = "test"
    clips: int = 12  # of each group
    seed: int = 2026
    model: Path | None = None
    linear: LinearName | None = None
    pairs: Path | None = None  # folder of recordings
    ablations: Path | None = None  # folder of checkpoints
    folder: Path | None = None  # where scored ablations are kept


@dataclass(frozen=True)
class Evaluation:
    """Everything that report and plots are made from."""

    systems: Systems
    recordings: list[dict[str, Any]]
    scored: list[Scored]
    targets: list[dict[str, Any]]
    missing: list[str]  # what was left out, and why
    calls: list[Call]
    runs: list[System]  # those with a curve in the plots


def evaluate(options: EvaluateOptions, listeners: Listeners, progress: Progress) -> Evaluation:
    """Measure everything that was asked for.

    Raises:
        FileNotFoundError: If there is no such manifest, model or folder, or nothing to use in it.
        ValueError: If the manifest has no usable speech in this split, or a recording cannot be read.
    """
    if not options.manifest.is_file():
        raise FileNotFoundError(f"no manifest at {options.manifest}")
    recordings = find_recordings(options.pairs) if options.pairs else []
    found = find_ablations(options.ablations) if options.ablations else []
    peers, missing = find_peers()
    runs = [unprocessed(), shipped(options.model, options.linear, BETAS), *map(peer_system, peers)]
    others = [beta for beta in SWEEP if beta not in BETAS]
    sweep = without(LINEAR, shipped(options.model, options.linear, others))
    calls, segments = _material(options, progress)
    missing += _unmeasured(listeners, segments)
    systems = _systems(calls, segments, listeners, runs, sweep, progress)
    rows = score_recordings(recordings, runs, _phase(progress, "recordings", len(recordings)))
    kept = options.folder / ABLATIONS if options.folder else None
    scored = load_scored(kept)
    if found:
        bench = _ablation_bench(options, calls, segments, listeners)
        scored = score_ablations(found, bench, kept, _phase(progress, "ablations", len(found)))
    held = targets(systems, options.model or pretrained_path(), scored)
    return Evaluation(systems, rows, scored, held, missing, calls, runs)


def _material(options: EvaluateOptions, progress: Progress) -> tuple[list[Call], list[Segment]]:
    """Make the calls that all systems get, and the long ones of known utterances."""
    sources = load_sources(options.manifest, options.split)
    segments = max(options.clips // 4, 1)
    made = _phase(progress, "making calls", options.clips * len(groups()) + segments * len(LEVELS_DB))
    calls = make_calls(sources, options.clips, options.seed, made)
    utterances = load_utterances(options.manifest, options.split)
    return calls, make_segments(utterances, sources, segments, options.seed, made)


def _systems(
    calls: Sequence[Call],
    segments: Sequence[Segment],
    listeners: Listeners,
    runs: Sequence[System],
    sweep: System,
    progress: Progress,
) -> Systems:
    """Score every system; the betas between ours are spared the opinion models, which cost most."""
    scored = _phase(progress, "scoring", len(calls) * (len(runs) + 1))
    results: dict[str, Scores] = {}
    mos = load_mos()
    for run in runs:
        results |= measure(run, calls, mos, scored)
    results |= measure(sweep, calls, None, scored)
    heard: dict[str, Heard] = {}
    listened = _phase(progress, "listening", len(segments) * (len(runs) + 2))
    for answer in [near_end, *map(through, [*runs, sweep])]:
        heard |= listen(answer, segments, listeners, listened)
    systems = summarise(results)
    for name, each in heard.items():
        if name != CLEAN:
            systems[name] |= rates(each)
    return systems


def _unmeasured(listeners: Listeners, segments: Iterable[Segment]) -> list[str]:
    """Say what stays empty, and why."""
    lines: list[str] = []
    if load_mos() is None:
        lines.append("AECMOS and DNSMOS are left out: speechmos is not installed")
    if not list(segments):
        lines.append("WER and DCF are left out: the manifest tells the words of no English speech")
    elif listeners.recognise is None:
        lines.append("WER is left out: no recogniser is installed")
    return lines


def _ablation_bench(
    options: EvaluateOptions, calls: Sequence[Call], segments: Sequence[Segment], listeners: Listeners
) -> Bench:
    """Take a part of the calls: there are many checkpoints."""
    clips = min(options.clips, _ABLATION_CLIPS)
    wanted = {name: clips for name in groups() if name != NEAR_GROUP}
    part: list[Call] = []
    for call in calls:
        if wanted.get(call.name, 0):
            wanted[call.name] -= 1
            part.append(call)
    digest = f"{options.manifest.name} {options.split} {options.seed} {clips} {listeners.recognise is None}"
    return Bench(part, segments[: _ABLATION_SEGMENTS * len(LEVELS_DB)], listeners, digest)


def _phase(progress: Progress, name: str, total: int) -> Callable[..., None]:
    """Return what counts the steps of one phase."""
    done = 0

    def step(count: int = 1) -> None:
        nonlocal done
        done += count
        progress(name, done, total)

    return step
