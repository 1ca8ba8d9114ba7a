"""Gives the long calls to a recogniser and to a detector, through every system."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from aec_core.evaluate.detection import Detect, Detection, detection
from aec_core.evaluate.recognition import Recognise, WordErrors, word_errors
from aec_core.evaluate.spoken import Segment
from aec_core.evaluate.systems import System
from aec_core.types import SAMPLE_RATE, Samples

Answer = Callable[[Segment], dict[str, Samples]]
"""Takes a segment and returns cleaned signals by name, `(n,)` each."""

CLEAN = "clean near end"
_MARGIN = round(0.3 * SAMPLE_RATE)  # around an utterance that is given to the recogniser


@dataclass(frozen=True)
class Listeners:
    """Who listens; None leaves the rate out."""

    recognise: Recognise | None = None
    detect: Detect | None = None


@dataclass
class Heard:
    """What was made of one system's output, by level: words of all segments, detection in each."""

    words: dict[int, WordErrors] = field(default_factory=dict[int, WordErrors])
    detections: dict[int, list[Detection]] = field(default_factory=dict[int, list[Detection]])


def through(system: System) -> Answer:
    """Let a system clean the segment."""

    def answer(segment: Segment) -> dict[str, Samples]:
        cleaned = system(segment.mixture.mic[None], segment.mixture.ref[None])
        return {name: out[0] for name, out in cleaned.items()}

    return answer


def near_end(segment: Segment) -> dict[str, Samples]:
    """Return the near end alone, which no canceller can better."""
    return {CLEAN: segment.mixture.near.astype(np.float32)}


def listen(
    answer: Answer, segments: Sequence[Segment], listeners: Listeners, done: Callable[[int], None]
) -> dict[str, Heard]:
    """Score each signal of an answer; `done` is called with 1 after each segment."""
    heard: dict[str, Heard] = {}
    for segment in segments:
        for name, out in answer(segment).items():
            note(heard.setdefault(name, Heard()), segment, out, listeners)
        done(1)
    return heard


def note(heard: Heard, segment: Segment, out: Samples, listeners: Listeners) -> None:
    """Add what is heard in the cleaned segment, `(n,)`."""
    level = segment.level_db
    if listeners.recognise is not None:
        words = heard.words.get(level, WordErrors())
        for said in segment.spoken:
            piece = out[max(said.start - _MARGIN, 0) : said.stop + _MARGIN]
            words += word_errors(said.text, listeners.recognise(piece))
        heard.words[level] = words
    if listeners.detect is not None:
        found = detection(listeners.detect(out), segment.spoken)
        heard.detections.setdefault(level, []).append(found)


def rates(heard: Heard) -> dict[str, object]:
    """Return WER and DCF over all levels and by level, as shares; None where nobody listened."""
    wer: dict[str, float | None] = {str(level): round(words.rate, 4) for level, words in heard.words.items()}
    dcf: dict[str, float | None] = {
        str(level): _mean([each.dcf for each in found]) for level, found in heard.detections.items()
    }
    every = [each for found in heard.detections.values() for each in found]
    return {
        "wer": _mean(wer.values()),
        "wer_by_ser": wer,
        "dcf": _mean(dcf.values()),
        "dcf_by_ser": dcf,
        "p_false": _mean([each.p_false for each in every]),
        "p_miss": _mean([each.p_miss for each in every]),
        "false_events_per_min": _mean([each.false_events for each in every]),
        "missed_utterances": sum(each.missed for each in every) if every else None,
    }


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(float(np.mean(known)), 4) if known else None
