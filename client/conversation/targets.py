"""What a conversation must reach, held against what it does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from client.conversation.figures import Figures

AEC3 = "WebRTC AEC3"
CLEAN = "clean near end"
NONE = "no processing"
OURS = "β 0.6 / 0.2"
SOFT = "β 0.2 / 0.2"


@dataclass(frozen=True)
class Target:
    """One target: `value` must not be above `target`."""

    name: str
    value: float
    target: float
    holds: bool


def targets(systems: Mapping[str, Figures]) -> list[dict[str, Any]]:
    """Hold the systems against what is wanted; what was not measured has no row."""
    rows = [*_turns(systems[OURS]), *_alone(systems[OURS]), *_detection(systems), *_words(systems)]
    return [asdict(row) for row in rows if row is not None]


def _at_most(name: str, value: float | None, target: float | None) -> Target | None:
    if value is None or target is None:
        return None
    return Target(f"{name}, at most", round(value, 4), round(target, 4), value <= target)


def _turns(ours: Figures) -> Iterator[Target | None]:
    for name, key, p50, p95 in (("onset", "onset_ms", 300, 450), ("end of turn", "endpoint_ms", 350, 950)):
        yield _at_most(f"{name}, median, ms", ours[key]["p50"], p50)
        yield _at_most(f"{name}, 95th percentile, ms", ours[key]["p95"], p95)
    cuts = ours["wrong_cuts"]["share"]
    yield _at_most("hesitations taken for the end, %", None if cuts is None else 100 * cuts, 5)


def _alone(ours: Figures) -> Iterator[Target | None]:
    for voice, figures in ours.get("far_end", {}).items():
        rate = figures["false_commits_per_min"]
        yield _at_most(f"agent alone in {voice} voice: false barge-ins a minute", rate, 0.1)


def _detection(systems: Mapping[str, Figures]) -> Iterator[Target | None]:
    ours = _percent(systems[OURS]["dcf"])
    for name, share, words in ((SOFT, 1.0, "that of β 0.2"), (AEC3, 0.5, "half of WebRTC AEC3's")):
        if name in systems and (other := _percent(systems[name]["dcf"])) is not None:
            yield _at_most(f"DCF of β 0.6, %: {words}", ours, share * other)


def _words(systems: Mapping[str, Figures]) -> Iterator[Target | None]:
    ours, without = (systems[name].get("wer_by_ser", {}).get("-10") for name in (OURS, NONE))
    if ours is not None and without is not None:
        yield _at_most("WER at -10 dB, %: a third of that without a canceller", 100 * ours, 100 * without / 3)
    partial = systems[OURS].get("first_partial_ms", {}).get("p50")
    yield _at_most("first partial text after the onset, median, ms", partial, 700)


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share
