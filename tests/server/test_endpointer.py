"""The state machine on the sample clock: 20 ms hops of decisions in, positions out."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aec_core.types import HOP
from server.decisions import (
    Decision,
    Interrupted,
    Paused,
    Regretted,
    Started,
    Stopped,
    Timing,
)
from server.endpointer import Endpointer, SemanticVad, ServerVad
from server.floor import Floor

MS = 16


class Talk:
    """Feeds stretches of speech and silence to an endpointer and keeps what it decides."""

    def __init__(self, detection: SemanticVad | ServerVad | None = None) -> None:
        self.floor = Floor()
        self.endpointer = Endpointer(detection, floor=self.floor)
        self.now = 0
        self.decisions: list[tuple[int, Decision]] = []

    def run(self, ms: float, p: float, playing: bool = False, gate_open: bool = True) -> list[Decision]:
        new: list[Decision] = []
        for _ in range(round(ms / 20)):
            new += self.endpointer.process(self.now, p, gate_open, playing)
            self.now += HOP
        self.decisions += [(self.now, decision) for decision in new]
        return new

    def speak(self, ms: float, playing: bool = False) -> list[Decision]:
        return self.run(ms, 0.9, playing)

    def pause(self, ms: float, playing: bool = False) -> list[Decision]:
        return self.run(ms, 0.02, playing)


def over_the_agent() -> Talk:
    """Begin long after the agent did."""
    talk = Talk()
    talk.pause(2000, playing=True)
    return talk


def only(decisions: list[Decision], kind: type) -> list[Decision]:
    return [decision for decision in decisions if isinstance(decision, kind)]


class TestStart:
    def test_a_turn_starts_before_its_first_syllable(self):
        talk = Talk()
        talk.pause(1000)
        (started,) = talk.speak(200)
        assert started == Started(start=(1000 - 300) * MS, during_playback=False)

    def test_it_is_known_120_ms_into_the_speech(self):
        talk = Talk()
        assert talk.speak(100) == []
        assert len(talk.speak(20)) == 1

    def test_no_turn_starts_before_the_stream(self):
        (started,) = Talk().speak(200)
        assert started.start == 0

    @pytest.mark.parametrize("click_ms", [20, 60, 100])
    def test_a_click_is_no_turn(self, click_ms: int):
        talk = Talk()
        talk.pause(400)
        assert talk.speak(click_ms) + talk.pause(500) == []

    def test_a_gap_of_a_stop_consonant_is_bridged(self):
        talk = Talk()
        assert talk.speak(80) + talk.pause(40) + talk.speak(40) == [Started(0, False)]

    def test_a_shut_gate_silences_any_speech(self):
        assert Talk().run(3000, 0.99, gate_open=False) == []

    def test_the_threshold_is_the_settings(self):
        assert Talk(SemanticVad(threshold=0.8)).run(500, 0.7) == []
        assert Talk(SemanticVad(threshold=0.6)).run(500, 0.7) != []

    def test_once_speaking_a_little_less_goes_on(self):
        talk = Talk()
        talk.speak(300)
        assert talk.run(1000, 0.4) == []
        assert only(talk.run(1000, 0.3), Paused)


class TestServerVad:
    def test_it_stops_after_the_silence_that_was_asked_for(self):
        talk = Talk(ServerVad(silence_duration_ms=500))
        talk.speak(1000)
        decisions = talk.pause(480)
        assert not only(decisions, Stopped)
        assert talk.pause(40) == [Stopped(1500 * MS, 500 * MS, "silence", None)]

    def test_a_shorter_pause_is_part_of_the_turn(self):
        talk = Talk(ServerVad(silence_duration_ms=500))
        talk.speak(500), talk.pause(400), talk.speak(500)
        stopped = only(talk.pause(600), Stopped)
        assert [stop.end for stop in stopped] == [1900 * MS]

    def test_the_judgement_is_ignored(self):
        talk = Talk(ServerVad(silence_duration_ms=500))
        talk.speak(1000)
        (paused,) = talk.pause(120)
        talk.endpointer.judge(paused.end, 0.99)
        assert not only(talk.pause(360), Stopped)

    @pytest.mark.parametrize(
        "wrong",
        [{"threshold": 0}, {"threshold": 1.0}, {"prefix_padding_ms": -1}, {"silence_duration_ms": 50}],
    )
    def test_settings_out_of_range_are_refused(self, wrong: dict):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            ServerVad(**wrong)


class TestSemanticVad:
    def stop_after(
        self, p_turn: float | None, text: str = "", eagerness: str = "auto"
    ) -> tuple[float, Stopped]:
        talk = Talk(SemanticVad(eagerness=eagerness))
        talk.speak(1000)
        (paused,) = only(talk.pause(100), Paused)
        assert paused.end == 1000 * MS
        if p_turn is not None:
            talk.endpointer.judge(paused.end, p_turn)
        talk.endpointer.heard(text, talk.now)
        (stopped,) = only(talk.pause(4000), Stopped)
        return stopped.silence / MS, stopped

    @pytest.mark.parametrize(
        ("p_turn", "text", "ms", "reason"),
        [
            (0.97, "", 260, "turn_complete"),
            (0.7, "It is seven.", 300, "punctuation"),
            (0.7, "", 600, "turn_likely"),
            (0.7, "if it rains,", 500, "clause"),
            (0.3, "", 860, "turn_unlikely"),
            (0.02, "", 1760, "unfinished"),
            (None, "", 700, "model_late"),
            (None, "I would like to", 1760, "unfinished"),
        ],
    )
    def test_the_wait_follows_the_evidence(self, p_turn: float | None, text: str, ms: float, reason: str):
        waited, stopped = self.stop_after(p_turn, text)
        assert (waited, stopped.reason, stopped.p_turn) == (ms, reason, p_turn)

    def test_eagerness(self):
        assert self.stop_after(0.97, eagerness="high")[0] < self.stop_after(0.97, eagerness="low")[0]

    def test_words_from_before_the_end_of_the_speech_do_not_count(self):
        talk = Talk()
        talk.speak(1000)
        talk.endpointer.heard("Seven.", 600 * MS)
        (stopped,) = only(talk.pause(2000), Stopped)
        assert stopped.reason == "model_late"

    @pytest.mark.parametrize("text", ["It is seven.", "I would like to"])
    def test_how_a_text_ends_that_may_be_revised_says_nothing(self, text: str):
        talk = Talk()
        talk.speak(1000)
        talk.endpointer.heard(text, talk.now, stable=False)
        (stopped,) = only(talk.pause(2000), Stopped)
        assert stopped.reason == "model_late"

    def test_an_answer_about_an_earlier_pause_is_ignored(self):
        talk = Talk()
        talk.speak(1000)
        (first,) = talk.pause(120)
        talk.speak(300)
        talk.pause(120)
        talk.endpointer.judge(first.end, 0.99)
        (stopped,) = talk.pause(2000)
        assert stopped.reason == "model_late"
        assert stopped.p_turn is None

    def test_an_answer_that_comes_late_still_shortens_the_wait(self):
        talk = Talk()
        talk.speak(1000)
        (paused,) = talk.pause(120)
        talk.pause(380)
        talk.endpointer.judge(paused.end, 0.99)
        (stopped,) = talk.pause(100)
        assert (stopped.silence, stopped.reason) == (520 * MS, "turn_complete")

    def test_each_pause_is_asked_about_once(self):
        talk = Talk()
        talk.speak(500), talk.pause(300), talk.speak(500), talk.pause(300)
        asked = [decision.end for _, decision in talk.decisions if isinstance(decision, Paused)]
        assert asked == [500 * MS, 1300 * MS]

    def test_one_hop_of_noise_does_not_end_a_pause(self):
        talk = Talk()
        talk.speak(1000)
        talk.pause(400), talk.speak(20)
        (stopped,) = talk.pause(1000)
        assert stopped.silence == 700 * MS

    @pytest.mark.parametrize("wrong", [{"threshold": 1.0}, {"prefix_padding_ms": 3000}])
    def test_settings_out_of_range_are_refused(self, wrong: dict):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            SemanticVad(**wrong)


class TestTurns:
    def test_a_turn_that_never_pauses_is_cut_and_the_next_begins_where_it_ended(self):
        talk = Talk()
        talk.speak(30_000)
        first, stopped, second = (decision for _, decision in talk.decisions)
        assert stopped.reason == "max_duration"
        assert stopped.end - first.start == 28_000 * MS
        assert second.start == stopped.end

    def test_stop_ends_a_turn_at_once_and_only_one_that_is(self):
        talk = Talk()
        assert talk.endpointer.stop("commit") == []
        talk.speak(500)
        (stopped,) = talk.endpointer.stop("commit")
        assert (stopped.end, stopped.silence, stopped.reason) == (500 * MS, 0, "commit")
        assert not talk.endpointer.in_turn

    def test_what_was_forgotten_is_in_no_later_turn(self):
        talk = Talk()
        talk.speak(500)
        assert talk.endpointer.forget() == []
        (started,) = talk.speak(200)
        assert started.start == 500 * MS

    @given(
        stretches=st.lists(st.tuples(st.integers(1, 60), st.sampled_from([0.01, 0.4, 0.95])), max_size=30),
        playing=st.booleans(),
    )
    def test_turns_are_in_order_and_do_not_overlap(self, stretches: list[tuple[int, float]], playing: bool):
        talk = Talk()
        for hops, p in stretches:
            talk.run(20 * hops, p, playing)
        talk.pause(3000)
        turns = [d for _, d in talk.decisions if isinstance(d, Started | Stopped)]
        assert [type(turn) for turn in turns] == [Started, Stopped] * (len(turns) // 2)
        edges = [turn.start if isinstance(turn, Started) else turn.end for turn in turns]
        assert all(a <= b for a, b in pairwise(edges))
        stages = [d for _, d in talk.decisions if isinstance(d, Interrupted | Regretted)]
        assert playing or not stages


class TestBargeIn:
    def test_speech_after_the_turn_is_no_part_of_its_attempt(self):
        talk = over_the_agent()
        assert only(talk.speak(160, playing=True), Started)
        assert talk.endpointer.stop("commit")
        assert talk.speak(140, playing=True) == []  # not enough for a turn of its own
        (_, ducked) = talk.speak(60, playing=True)
        assert isinstance(ducked, Interrupted)
        assert ducked.audio == 200 * MS

    def test_it_ducks_at_200_ms_and_commits_at_400(self):
        talk = over_the_agent()
        talk.speak(1000, playing=True)
        times = [(now_decision[1].stage, now_decision[1].audio / MS) for now_decision in talk.decisions[1:]]
        assert times == [("duck", 200), ("commit", 400)]
        assert talk.decisions[0][1].during_playback

    def test_a_start_over_the_agent_takes_more_speech_than_one_in_silence(self):
        talk = over_the_agent()
        assert talk.speak(140, playing=True) == []
        assert only(talk.speak(20, playing=True), Started)

    def test_without_playback_nobody_is_interrupted(self):
        talk = Talk()
        talk.speak(2000)
        assert not [d for _, d in talk.decisions if isinstance(d, Interrupted)]

    def test_one_word_that_takes_the_floor_commits_at_once(self):
        talk = over_the_agent()
        talk.speak(260, playing=True)
        assert talk.endpointer.heard("uh-huh", talk.now) == []
        assert talk.endpointer.heard("stop", talk.now) == [Interrupted("commit", 260 * MS, "words")]
        assert talk.endpointer.heard("stop it", talk.now) == []

    def test_words_that_came_before_the_duck_count(self):
        talk = over_the_agent()
        talk.speak(160, playing=True)
        assert talk.endpointer.heard("stop", talk.now) == []
        assert [(d.stage, d.audio / MS) for d in talk.speak(80, playing=True)] == [
            ("duck", 200),
            ("commit", 220),
        ]

    def test_a_short_word_that_the_recogniser_understood_late_commits(self):
        talk = over_the_agent()
        talk.speak(300, playing=True)
        talk.pause(800, playing=True)
        assert talk.endpointer.understood("Stop.") == [Interrupted("commit", 300 * MS, "words")]
        assert not only(talk.pause(3000, playing=True), Regretted)

    @pytest.mark.parametrize(("text", "reason"), [("", "no_words"), ("Mhm.", "backchannel")])
    def test_a_turn_without_words_is_regretted_at_once(self, text: str, reason: str):
        talk = over_the_agent()
        talk.speak(300, playing=True), talk.pause(800, playing=True)
        assert talk.endpointer.understood(text) == [Regretted(300 * MS, reason)]
        assert talk.endpointer.understood(text) == []

    def test_silence_after_a_duck_is_regretted_once(self):
        talk = over_the_agent()
        talk.speak(240, playing=True)
        decisions = talk.pause(1180, playing=True)
        assert not only(decisions, Regretted)
        assert talk.pause(3000, playing=True) == [Regretted(240 * MS)]

    def test_a_start_that_never_ducked_leaves_nothing_to_regret(self):
        talk = over_the_agent()
        talk.speak(160, playing=True)
        assert not only(talk.pause(3000, playing=True), Regretted)

    def test_an_agent_that_begins_over_the_talker_is_interrupted_too(self):
        talk = Talk()
        talk.speak(1000)
        assert [d.stage for d in talk.speak(800, playing=True)] == ["duck", "commit"]

    def test_an_agent_that_begins_over_words_is_interrupted_by_them(self):
        talk = Talk()
        talk.speak(1000)
        talk.endpointer.heard("I would rather", talk.now)
        _, commit = talk.speak(500, playing=True)
        assert (commit.stage, commit.audio, commit.reason) == ("commit", 400 * MS, "words")

    def test_an_agent_that_stops_when_ducked_does_not_stop_the_count(self):
        talk = over_the_agent()
        talk.speak(200, playing=True)
        assert [d.stage for d in talk.speak(400)] == ["commit"]

    def test_a_committed_turn_interrupts_once(self):
        talk = over_the_agent()
        talk.speak(600, playing=True), talk.pause(300, playing=True), talk.speak(3000, playing=True)
        stages = [d.stage for _, d in talk.decisions if isinstance(d, Interrupted)]
        assert stages == ["duck", "commit"]

    def test_forgetting_lets_the_ducked_agent_go_on(self):
        talk = over_the_agent()
        talk.speak(240, playing=True)
        assert talk.endpointer.forget() == [Regretted(240 * MS, "cleared")]

    def test_the_next_turn_interrupts_anew(self):
        talk = over_the_agent()
        for _ in range(2):
            talk.speak(600, playing=True), talk.pause(3000, playing=True)
        stages = [d.stage for _, d in talk.decisions if isinstance(d, Interrupted)]
        assert stages == ["duck", "commit"] * 2

    def test_in_the_first_second_of_playback_speech_must_last_twice_as_long(self):
        talk = Talk()
        assert [d.stage for d in only(talk.speak(780, playing=True), Interrupted)] == ["duck"]
        assert [d.stage for d in talk.speak(40, playing=True)] == ["commit"]

    def test_in_the_first_second_of_playback_a_word_alone_is_not_enough(self):
        talk = Talk()
        talk.speak(260, playing=True)
        assert talk.endpointer.heard("stop", talk.now) == []
        assert [d.reason for d in talk.speak(160, playing=True)] == ["words"]

    def test_playback_after_a_short_break_is_not_cold(self):
        talk = over_the_agent()
        talk.pause(900)
        assert [d.stage for d in only(talk.speak(400, playing=True), Interrupted)] == ["duck", "commit"]
        talk = over_the_agent()
        talk.pause(1100)
        assert [d.stage for d in only(talk.speak(400, playing=True), Interrupted)] == ["duck"]

    def test_assent_however_long_ducks_and_does_not_commit(self):
        talk = over_the_agent()
        for _ in range(8):
            talk.speak(240, playing=True)
            talk.endpointer.heard("yes yes okay", talk.now)
        assert not only(talk.pause(480, playing=True), Regretted)
        assert talk.pause(20, playing=True) == [Regretted(8 * 240 * MS, "backchannel")]
        talk.pause(1000, playing=True)
        assert talk.endpointer.understood("Yes, yes, okay.") == []
        assert [d.stage for _, d in talk.decisions if isinstance(d, Interrupted)] == ["duck"]

    def test_who_goes_on_after_assent_takes_the_floor(self):
        talk = over_the_agent()
        talk.speak(240, playing=True)
        talk.endpointer.heard("yes", talk.now)
        assert talk.speak(380, playing=True) == []
        assert [d.stage for d in talk.speak(20, playing=True)] == ["commit"]

    def test_the_agents_own_words_are_no_interruption(self):
        talk = over_the_agent()
        talk.floor.playing("Your table for four is booked at seven o'clock.")
        for _ in range(5):
            talk.speak(240, playing=True)
            assert talk.endpointer.heard("table for four is book", talk.now) == []
        (regretted,) = only(talk.pause(800, playing=True), Regretted)
        assert talk.endpointer.understood("Table for four is booked.") == []
        assert regretted.reason == "backchannel"
        assert [d.stage for _, d in talk.decisions if isinstance(d, Interrupted)] == ["duck"]

    def test_words_that_come_after_the_agent_went_on_stop_it_after_all(self):
        talk = over_the_agent()
        talk.speak(300, playing=True)
        assert only(talk.pause(1300, playing=True), Regretted)
        assert talk.endpointer.understood("Stop.") == [Interrupted("commit", 300 * MS, "words")]

    def test_a_talker_who_resumes_the_turn_after_the_agent_went_on_is_a_new_attempt(self):
        talk = over_the_agent()
        talk.speak(300, playing=True)
        talk.endpointer.heard("hmm", talk.now)
        talk.run(1400, 0.02, playing=True)
        assert [d.stage for d in only(talk.speak(900, playing=True), Interrupted)] == ["duck", "commit"]

    def test_a_second_start_while_the_agent_is_ducked_can_let_it_go_on(self):
        talk = over_the_agent()
        talk.speak(240, playing=True), talk.pause(720, playing=True)
        talk.speak(160, playing=True)
        assert only(talk.pause(1300, playing=True), Regretted)


def test_timing_is_a_choice():
    endpointer = Endpointer(timing=Timing(start=400))
    decisions = [endpointer.process(n * HOP, 0.9, True, False) for n in range(25)]
    assert [n for n, decision in enumerate(decisions) if decision] == [19]
