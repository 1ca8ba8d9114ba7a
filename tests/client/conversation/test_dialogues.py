"""Dialogues: what is said to be true of them is."""

import numpy as np
import pytest

from aec_core.types import HOP
from client.conversation.dialogues import SERS_DB, make_dialogues, make_far_calls, make_word_dialogues
from client.conversation.hesitation import can_hesitate, hesitate
from client.conversation.voices import Saying, Talker, Voices

RATE = 16_000


def rms(audio):
    return float(np.sqrt(np.mean(audio**2)))


class TestHesitation:
    @pytest.fixture
    def sentence(self, voices):
        return voices.talkers[0].sayings[0].audio

    def test_a_pause_of_silence_and_the_sound_before_it_drawn_out(self, sentence):
        longer, (start, stop) = hesitate(sentence, np.random.default_rng(3))
        assert 0.3 <= (stop - start) / RATE <= 1.5
        assert not longer[start:stop].any()
        drawn_out = len(longer) - len(sentence) - (stop - start)
        assert 0.6 * 0.35 - 0.01 <= drawn_out / RATE <= 1.2 * 0.35 + 0.01
        assert 0.3 * len(sentence) <= start - drawn_out <= 0.75 * len(sentence)

    def test_what_is_said_is_all_there(self, sentence):
        longer, (_, stop) = hesitate(sentence, np.random.default_rng(3))
        tail = len(longer) - stop
        np.testing.assert_array_equal(longer[stop + 200 :], sentence[-tail + 200 :])
        untouched = len(sentence) - tail - round(0.35 * RATE)
        np.testing.assert_array_equal(longer[:untouched], sentence[:untouched])

    def test_no_click_at_its_edges(self, sentence):
        longer, (start, stop) = hesitate(sentence, np.random.default_rng(3))
        assert np.abs(longer[[start - 1, stop]]).max() < 1e-3 * np.abs(sentence).max()

    def test_a_word_is_too_short(self):
        assert not can_hesitate(np.zeros(RATE, np.float32))
        assert can_hesitate(np.zeros(2 * RATE, np.float32))


def test_the_seed_decides_everything(voices, dialogues):
    again = make_dialogues(voices, 1, seed=5, turns=2)[0]
    other = make_dialogues(voices, 1, seed=6, turns=2)[0]
    np.testing.assert_array_equal(again.mic, dialogues[0].mic)
    assert again.turns == dialogues[0].turns
    assert other.turns != dialogues[0].turns


def test_turns_lie_apart_and_pauses_inside_them(dialogues):
    assert any(turn.pauses for dialogue in dialogues for turn in dialogue.turns)
    for dialogue in dialogues:
        assert len(dialogue.mic) == len(dialogue.ref)
        assert len(dialogue.mic) % HOP == 0
        first, second = dialogue.turns
        assert first.start >= 2.0 * RATE
        assert 2.0 <= (second.start - first.stop) / RATE <= 4.0
        assert 1.9 <= (len(dialogue.mic) - second.stop) / RATE <= 4.0
        for turn in dialogue.turns:
            assert all(turn.start < start < stop < turn.stop for start, stop in turn.pauses)


def test_levels_people_and_agents_change(dialogues):
    assert tuple(dialogue.ser_db for dialogue in dialogues) == SERS_DB
    assert len({dialogue.name.split()[1] for dialogue in dialogues}) > 1
    for dialogue in dialogues:
        _, person, _, agent = dialogue.name.split()
        assert person != agent


def test_the_agent_plays_throughout(dialogues):
    for dialogue in dialogues:
        second = dialogue.ref[: len(dialogue.ref) // RATE * RATE].reshape(-1, RATE)
        audible = [rms(each) > 1e-3 for each in second[1:]]
        assert np.mean(audible) > 0.8  # it draws breath between its sentences


def test_the_truth_is_where_the_microphone_hears_it(dialogues):
    """At the highest SER the talker is louder than the echo, in the turns and only there."""
    loud = dialogues[SERS_DB.index(10)]
    turns = [rms(loud.mic[turn.start : turn.stop]) for turn in loud.turns]
    gap = rms(loud.mic[loud.turns[0].stop + RATE // 2 : loud.turns[1].start])
    assert min(turns) > 2 * gap


def test_far_calls_are_the_same_call_in_two_voices(voices):
    other, own = make_far_calls(voices, 1.0, seed=5)
    assert not other.turns
    assert not own.turns
    assert [other.own_voice, own.own_voice] == [False, True]
    assert len(other.mic) == 60 * RATE
    assert not np.array_equal(other.ref, own.ref)


def test_words_alone_count_of_those_who_do_not_end_their_sentences(voices):
    audio = voices.talkers[0].sayings[0].audio
    halves = tuple(
        Talker(name, language, (Saying(audio, "AND THEN THE"),))
        for name, language in (("a", "en"), ("b", "nl"))
    )
    mixed = Voices((*voices.talkers, *halves), ())
    talkers = {dialogue.name.split()[1] for dialogue in make_dialogues(mixed, 6, 5, turns=1)}
    assert talkers == {talker.name for talker in voices.talkers}
    assert {dialogue.name.split()[1] for dialogue in make_word_dialogues(mixed, 2, 5, turns=1)} == {"a"}
    assert make_word_dialogues(voices, 2, 5, turns=1) == []
    assert make_dialogues(Voices(halves, ()), 2, 5, turns=1) == []
