"""What is counted, on events that are made up."""

import numpy as np
import pytest

from client.conversation.dialogues import Dialogue, Turn
from client.conversation.scoring import Ending, Hesitation, score
from client.conversation.session import Noticed
from server.events import (
    BargeIn,
    DuringPlayback,
    SpeechStarted,
    SpeechStopped,
    StopReason,
    TranscriptionCompleted,
    TranscriptionDelta,
)

MS = 16
FIRST = Turn(2000 * MS, 6000 * MS, "one two three four", ((3000 * MS, 4000 * MS),))
SECOND = Turn(9000 * MS, 11_000 * MS, "five six")
AUDIO = np.zeros(15_000 * MS, np.float32)
CALL = Dialogue("call", AUDIO, AUDIO, AUDIO, (FIRST, SECOND), -10)


def started(at_ms, item, onset_ms=None):
    start = max((onset_ms or at_ms - 160) - 300, 0)
    event = SpeechStarted(audio_start_ms=start, item_id=item, duplex=DuringPlayback(during_playback=True))
    return Noticed(at_ms * MS, event)


def stopped(at_ms, item, silence_ms=250.0, reason="turn_complete"):
    why = StopReason(reason=reason, silence_ms=silence_ms, p_turn=None)
    return Noticed(at_ms * MS, SpeechStopped(audio_end_ms=at_ms - 20, item_id=item, duplex=why))


def commit(at_ms, item):
    return Noticed(at_ms * MS, BargeIn(stage="commit", audio_ms=400, item_id=item))


def delta(at_ms, item, text):
    event = TranscriptionDelta(item_id=item, delta=text, text=text, start_ms=0, end_ms=at_ms)
    return Noticed(at_ms * MS, event)


def completed(at_ms, item, text):
    return Noticed(at_ms * MS, TranscriptionCompleted(item_id=item, transcript=text))


GOOD = [
    started(2200, "a"),
    commit(2420, "a"),
    delta(2700, "a", ""),
    delta(2800, "a", "one"),
    stopped(6270, "a"),
    completed(6270, "a", "One, two, three, four."),
    started(9240, "b"),
    commit(9460, "b"),
    stopped(11_470, "b", 450, "turn_likely"),
    completed(11_470, "b", "Five."),
]


def test_a_good_session():
    outcome = score(CALL, GOOD, read=True)
    assert outcome.onsets == [200, 240]
    assert outcome.commits == [420, 460]
    assert outcome.partials == [800]
    assert outcome.endings == [Ending(270, "turn_complete"), Ending(470, "turn_likely")]
    assert outcome.hesitations == [Hesitation(1000, cut=False)]
    assert (outcome.false_starts, outcome.false_commits, outcome.missed, outcome.merged) == (0, 0, 0, 0)
    assert outcome.cuts_in_speech == 0
    assert outcome.words is not None
    assert (outcome.words.wrong, outcome.words.said) == (1, 6)
    assert outcome.found is not None
    assert outcome.found.p_false == outcome.found.p_miss == 0
    assert outcome.quiet_minutes == pytest.approx((15 - 4.25 - 2.25) / 60)


def test_a_pause_that_is_taken_for_the_end():
    events = [started(2200, "a"), stopped(3400, "a"), started(4160, "c"), stopped(6300, "c"), *GOOD[6:]]
    outcome = score(CALL, events, read=True)
    assert outcome.hesitations == [Hesitation(1000, cut=True)]
    assert outcome.endings[0] == Ending(300, "turn_complete")
    assert outcome.onsets == [200, 240]
    assert outcome.cuts_in_speech == 0


def test_an_end_in_mid_speech_is_a_cut_and_not_a_quick_end():
    outcome = score(CALL, [started(2200, "a"), stopped(5000, "a"), *GOOD[6:]], read=False)
    assert outcome.cuts_in_speech == 1
    assert [ending.ms for ending in outcome.endings] == [470]
    late = score(CALL, [started(2200, "a"), stopped(6010, "a", 600), *GOOD[6:]], read=False)
    assert late.cuts_in_speech == 1
    assert [ending.ms for ending in late.endings] == [470]


def test_echo_that_is_taken_for_speech():
    false = [started(7500, "x"), commit(7700, "x"), stopped(8200, "x")]
    outcome = score(CALL, [*GOOD[:6], *false, *GOOD[6:]], read=True)
    assert (outcome.false_starts, outcome.false_commits) == (1, 1)
    assert outcome.found is not None
    assert outcome.found.p_false > 0


def test_a_commit_after_the_turn_belongs_to_it():
    outcome = score(CALL, [*GOOD[:1], *GOOD[3:6], commit(6900, "a"), *GOOD[6:]], read=False)
    assert outcome.false_commits == 0
    assert outcome.commits == [4900, 460]


def test_a_turn_that_is_missed_and_one_that_never_ends():
    outcome = score(CALL, [started(9240, "b"), stopped(15_000, "b", 250, "commit")], read=True)
    assert outcome.missed == 1
    assert outcome.onsets == [240]
    assert outcome.endings == []
    assert outcome.hesitations == []
    assert outcome.words is not None
    assert outcome.words.wrong == outcome.words.said


def test_two_turns_in_one():
    outcome = score(CALL, [started(2200, "a"), stopped(11_300, "a")], read=False)
    assert outcome.merged == 1
    assert outcome.onsets == [200]
    assert outcome.missed == 0
    assert outcome.endings == [Ending(300, "turn_complete")]
    assert outcome.words is None


def test_a_call_in_which_nobody_speaks():
    silent = Dialogue("far", AUDIO, AUDIO, AUDIO, ())
    outcome = score(silent, [started(2200, "a"), commit(2400, "a"), stopped(2900, "a")], read=True)
    assert (outcome.false_starts, outcome.false_commits) == (1, 1)
    assert outcome.quiet_minutes == pytest.approx(0.25)
    assert outcome.found is None
    assert outcome.words is None
