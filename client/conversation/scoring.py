"""Holds what the service said against what is true of a dialogue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from aec_core.evaluate.detection import Detection, detection
from aec_core.evaluate.recognition import WordErrors, word_errors
from aec_core.evaluate.spoken import Utterance
from aec_core.types import HOP, SAMPLE_RATE, Samples
from client.conversation.dialogues import Dialogue, Turn
from client.conversation.session import Noticed
from client.conversation.timeline import Item, items, stops

COLLAR = round(0.25 * SAMPLE_RATE)  # after a turn: its reverberation still is speech
_RESUMED = round(0.1 * SAMPLE_RATE)  # of speech after a pause may be needed to notice that it is over


@dataclass(frozen=True)
class Ending:
    """The end of a turn: ms from its last sound to `speech_stopped`."""

    ms: float
    reason: str


@dataclass(frozen=True)
class Hesitation:
    """A pause inside a turn, and whether the service took it for the end."""

    ms: float
    cut: bool


@dataclass
class Outcome:
    """All that is counted in one dialogue; latencies in ms from the first or last sample of the speech.

    Attributes:
        onsets: To `speech_started`, of turns that did not run into an item that was open already.
        partials: To the first partial text, of the same turns.
        commits: To the barge-in's commit, of the same turns.
        endings: Of turns that ended before the next began.
        hesitations: Of turns that were open when the pause came.
        cuts_in_speech: Items that ended while the person spoke, without a pause of the script.
        false_starts: Items that began where nobody spoke.
        false_commits: Barge-ins among them that would have stopped the agent.
        missed: Turns of which nothing was noticed.
        merged: Turns that had not ended when the next began.
        quiet_minutes: Time in which nobody spoke.
        found: The service's turns as a detector of the true ones.
        words: Of all transcripts against all that was said; None where nobody listens or reads.
    """

    ser_db: int | None
    turns: int
    quiet_minutes: float
    onsets: list[float] = field(default_factory=list[float])
    partials: list[float] = field(default_factory=list[float])
    commits: list[float] = field(default_factory=list[float])
    endings: list[Ending] = field(default_factory=list[Ending])
    hesitations: list[Hesitation] = field(default_factory=list[Hesitation])
    cuts_in_speech: int = 0
    false_starts: int = 0
    false_commits: int = 0
    missed: int = 0
    merged: int = 0
    found: Detection | None = None
    words: WordErrors | None = None


def score(dialogue: Dialogue, noticed: Sequence[Noticed], read: bool) -> Outcome:
    """Count what a session made of a dialogue; `read` says whether its transcripts count."""
    found, turns = items(noticed), dialogue.turns
    quiet = len(dialogue.mic) - sum(turn.stop + COLLAR - turn.start for turn in turns)
    outcome = Outcome(dialogue.ser_db, len(turns), quiet / SAMPLE_RATE / 60)
    false = [item for item in found if not any(_during(turn, item.started_at) for turn in turns)]
    outcome.false_starts = len(false)
    outcome.false_commits = sum(item.commit_at is not None for item in false)
    for turn, after in zip(turns, [*(turn.start for turn in turns[1:]), len(dialogue.mic)], strict=False):
        _beginning(outcome, turn, found)
        _ending(outcome, turn, found, after)
        _pauses(outcome, turn, found)
    if turns:
        said = [Utterance(turn.text, turn.start, turn.stop) for turn in turns]
        outcome.found = detection(_activity(found, len(dialogue.mic)), said)
    if read and dialogue.english and turns:
        outcome.words = word_errors(_joined(turns), _joined(found))
    return outcome


def _during(turn: Turn, at: int) -> bool:
    return turn.start <= at <= turn.stop + COLLAR


def _beginning(outcome: Outcome, turn: Turn, found: Sequence[Item]) -> None:
    if any(item.open_at(turn.start) for item in found):
        return
    first = next((item for item in found if _during(turn, item.started_at)), None)
    if first is None:
        outcome.missed += 1
        return
    outcome.onsets.append(_ms(first.started_at - turn.start))
    for at, latencies in ((first.first_text_at, outcome.partials), (first.commit_at, outcome.commits)):
        if at is not None:
            latencies.append(_ms(at - turn.start))


def _ending(outcome: Outcome, turn: Turn, found: Sequence[Item], after: int) -> None:
    """Find the end of the turn; one that was cut off before its last word has none."""
    last = [item for item in found if item.started_at <= turn.stop + COLLAR and item.open_at(turn.stop)]
    last = last or [item for item in found if turn.stop < item.started_at <= turn.stop + COLLAR]
    ended = next((item for item in stops(last) if item.stopped_at and item.stopped_at < after), None)
    if ended is not None and ended.stopped_at is not None and ended.end is not None:
        if ended.end < turn.stop - COLLAR:  # it missed the last words, and was not quick but wrong
            outcome.cuts_in_speech += 1
        else:
            outcome.endings.append(Ending(_ms(ended.stopped_at - turn.stop), ended.reason))
    elif any(item.open_at(after) for item in last):
        outcome.merged += 1


def _pauses(outcome: Outcome, turn: Turn, found: Sequence[Item]) -> None:
    ends = [item.stopped_at for item in stops(found) if item.stopped_at is not None]
    for start, stop in turn.pauses:
        if any(item.open_at(start) for item in found):
            cut = any(start < at <= stop + _RESUMED for at in ends)
            outcome.hesitations.append(Hesitation(_ms(stop - start), cut))
    paused = [(start, stop + _RESUMED) for start, stop in turn.pauses]
    for at in ends:
        in_pause = any(start < at <= stop for start, stop in paused)
        outcome.cuts_in_speech += turn.start <= at < turn.stop and not in_pause


def _activity(found: Sequence[Item], samples: int) -> Samples:
    """Return 1 for each 20 ms that the service takes for a turn, `(frames,)`."""
    active = np.zeros(samples // HOP, np.float32)
    for item in found:
        active[item.onset // HOP : (samples if item.end is None else item.end) // HOP] = 1
    return active


def _joined(parts: Sequence[Turn] | Sequence[Item]) -> str:
    return " ".join(part.text for part in parts)


def _ms(samples: int) -> float:
    return 1000 * samples / SAMPLE_RATE
