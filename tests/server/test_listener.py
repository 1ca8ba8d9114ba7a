"""The listener over real speech, a real frame VAD and the real turn model."""

import re
import threading
import time
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import soundfile

from aec_core import HOP, HopCanceller
from server.asr import Limits, RecognitionService, Transcript, Word
from server.asr.whisper import WhisperRecognizer
from server.endpointer import SemanticVad, ServerVad
from server.events import (
    BargeIn,
    ErrorEvent,
    FalseInterruption,
    InputAudioCleared,
    InputAudioCommitted,
    ServerEvent,
    SpeechStarted,
    SpeechStopped,
    TranscriptionCompleted,
    TranscriptionDelta,
    TranscriptionFailed,
)
from server.listener import Listener, ListenerSettings
from server.session_config import SessionConfig, update_session
from server.trace import Trace
from server.turn import SmartTurn, TurnService
from server.vad import SileroBank
from tests.server.hops import clean_hop

DATA = Path(__file__).parents[1] / "data"
RATE = 16_000
ONE = np.array([True])


def speech(name: str) -> np.ndarray:
    return soundfile.read(DATA / f"{name}.flac", dtype="float32")[0]


def silence(seconds: float) -> np.ndarray:
    return np.zeros(round(seconds * RATE), np.float32)


def plain(text: str) -> str:
    return " ".join(re.findall(r"[a-z']+", text.lower()))


class Keeper:
    """A recogniser that keeps what it hears and answers with its length."""

    name = "keeper"
    streaming = True

    def __init__(self, text: Callable[[int], str] = lambda samples: f"{samples} samples heard") -> None:
        self.text = text
        self.heard: list[np.ndarray] = []

    def open(self, language: str | None, hotwords: Sequence[str]) -> "Kept":
        return Kept(self)


class Kept:
    def __init__(self, keeper: Keeper) -> None:
        self._keeper, self._audio = keeper, np.zeros(0, np.float32)

    def feed(self, audio: np.ndarray) -> str:
        self._audio = np.concatenate([self._audio, audio])
        return self._keeper.text(len(self._audio))

    def finish(self, tail: np.ndarray) -> Transcript:
        text = self.feed(tail)
        self._keeper.heard.append(self._audio)
        return Transcript(text, (Word(text, 0, len(self._audio)),))


@pytest.fixture(scope="module")
def turns():
    service = TurnService(SmartTurn())
    yield service
    service.close()


@pytest.fixture
def keeper() -> Keeper:
    return Keeper()


@pytest.fixture
def service(keeper: Keeper):
    service = RecognitionService(keeper)
    yield service
    service.close()


class Session:
    """Feeds audio to a listener hop by hop and keeps the events, with the sample at which they came."""

    def __init__(
        self, turns: TurnService, service: RecognitionService | None, settings: ListenerSettings | None = None
    ) -> None:
        ids = count()
        self.listener = Listener(settings or ListenerSettings(), turns, service, lambda: f"item_{next(ids)}")
        self.bank = SileroBank(1)
        self.now = 0
        self.events: list[ServerEvent] = []
        self.times: list[int] = []

    def keep(self, events: list[ServerEvent]) -> list[ServerEvent]:
        self.events += events
        self.times += [self.now] * len(events)
        return events

    def hear(self, near: np.ndarray, ref: np.ndarray | None = None, leak: float = 0.0) -> list[ServerEvent]:
        """Play `near` through a canceller that leaves `leak` of the echo of `ref`."""
        seen = len(self.events)
        ref = np.zeros_like(near) if ref is None else ref[: len(near)]
        for start in range(0, len(near) // HOP * HOP, HOP):
            echo = 0.5 * ref[start : start + HOP]
            cleaned = near[start : start + HOP] + np.float32(leak) * echo
            self.step(cleaned, cleaned, echo, ref[start : start + HOP])
        return self.events[seen:]

    def step(self, vad: np.ndarray, asr: np.ndarray, echo: np.ndarray, ref: np.ndarray) -> None:
        speech = float(self.bank.process(vad[None], ONE)[0])
        hop = clean_hop(self.now, vad, asr, echo, ref, speech)
        self.now += HOP
        self.keep(self.listener.process(hop))
        if self.listener._judgement is not None:  # here audio is faster than the turn model
            self.listener._judgement[1].exception(10)

    def settle(self) -> list[ServerEvent]:
        """Wait until every transcript that is due has come."""
        deadline, seen = time.monotonic() + 30, len(self.events)
        while self.listener.pending:
            assert time.monotonic() < deadline
            self.keep(self.listener.drain())
            time.sleep(0.002)
        return self.events[seen:]

    def wait_for(self, kind: type) -> None:
        deadline = time.monotonic() + 30
        while not self.of(kind):
            assert time.monotonic() < deadline
            self.keep(self.listener.drain())
            time.sleep(0.002)

    def of(self, kind: type) -> list:
        return [event for event in self.events if isinstance(event, kind)]


def test_a_sentence_becomes_a_turn_with_its_transcript(turns: TurnService, service: RecognitionService):
    session = Session(turns, service)
    session.hear(np.concatenate([silence(1), speech("table"), silence(2)]))
    session.settle()
    kinds = [type(event) for event in session.events]
    assert kinds[0] is SpeechStarted
    assert kinds[-3:] == [SpeechStopped, InputAudioCommitted, TranscriptionCompleted]
    assert set(kinds[1:-3]) == {TranscriptionDelta}
    assert len({event.item_id for event in session.events}) == 1
    started, stopped = session.of(SpeechStarted)[0], session.of(SpeechStopped)[0]
    assert 600 <= started.audio_start_ms <= 1000
    assert not started.duplex.during_playback
    end_ms = 1000 + len(speech("table")) / 16
    assert end_ms <= stopped.audio_end_ms <= end_ms + 500
    assert stopped.duplex.p_turn > 0.9
    assert stopped.duplex.reason == "turn_complete"


def test_the_first_syllable_is_never_cut(turns: TurnService, service: RecognitionService, keeper: Keeper):
    """The recogniser gets every sample of the sentence, from before its onset to its end."""
    session = Session(turns, service)
    session.hear(np.concatenate([silence(1), speech("tea"), silence(2)]))
    session.settle()
    (heard,) = keeper.heard
    start = round(session.of(SpeechStarted)[0].audio_start_ms * 16)
    stop = round(session.of(SpeechStopped)[0].audio_end_ms * 16)
    said = np.concatenate([silence(1), speech("tea"), silence(2)])
    np.testing.assert_array_equal(heard, said[start:stop])
    assert np.abs(said[:start]).max() < 0.01  # nothing was said before


def test_speech_from_the_very_first_sample(turns: TurnService, service: RecognitionService, keeper: Keeper):
    session = Session(turns, service)
    session.hear(np.concatenate([speech("tea")[1600:], silence(2)]))
    session.settle()
    assert session.of(SpeechStarted)[0].audio_start_ms == 0
    np.testing.assert_array_equal(keeper.heard[0][:16_000], speech("tea")[1600:17_600])


def test_two_sentences_are_two_items_in_order(turns: TurnService, service: RecognitionService):
    session = Session(turns, service)
    session.hear(np.concatenate([silence(0.5), speech("tea"), silence(2), speech("table"), silence(2)]))
    session.settle()
    first, second = session.of(InputAudioCommitted)
    assert (first.previous_item_id, second.previous_item_id) == (None, first.item_id)
    assert [event.item_id for event in session.of(TranscriptionCompleted)] == [first.item_id, second.item_id]
    started, stopped = session.of(SpeechStarted), session.of(SpeechStopped)
    assert stopped[0].audio_end_ms <= started[1].audio_start_ms


def test_words_and_deltas_lie_on_the_microphone_clock(turns: TurnService, service: RecognitionService):
    session = Session(turns, service)
    session.hear(np.concatenate([silence(1), speech("tea"), silence(2)]))
    session.settle()
    start = session.of(SpeechStarted)[0].audio_start_ms
    stop = session.of(SpeechStopped)[0].audio_end_ms
    (word,) = session.of(TranscriptionCompleted)[0].words
    assert (word.start_ms, word.end_ms) == (start, stop)
    assert all(delta.start_ms == start < delta.end_ms <= stop for delta in session.of(TranscriptionDelta))


def test_whisper_writes_what_was_said(turns: TurnService):
    service = RecognitionService(WhisperRecognizer())
    session = Session(turns, service)
    session.hear(np.concatenate([silence(0.6), speech("table"), silence(1.5)]))
    session.settle()
    (completed,) = session.of(TranscriptionCompleted)
    assert plain(completed.transcript) == "please book a table for four people at seven tomorrow evening"
    service.close()


class TestServerVad:
    def test_it_waits_as_long_as_it_was_told(self, turns: TurnService):
        session = Session(turns, None, ListenerSettings(ServerVad(silence_duration_ms=800)))
        session.hear(np.concatenate([silence(0.5), speech("tea"), silence(2)]))
        (stopped,) = session.of(SpeechStopped)
        assert stopped.duplex.reason == "silence"
        assert stopped.duplex.p_turn is None
        assert 800 <= stopped.duplex.silence_ms <= 820

    def test_without_a_recogniser_there_are_turns_and_no_text(self, turns: TurnService):
        session = Session(turns, None)
        session.hear(np.concatenate([silence(0.5), speech("tea"), silence(2)]))
        assert [type(event) for event in session.events] == [
            SpeechStarted,
            SpeechStopped,
            InputAudioCommitted,
        ]
        assert not session.listener.pending

    def test_transcription_may_be_off(self, turns: TurnService, service: RecognitionService):
        session = Session(turns, service, ListenerSettings(transcribe=False))
        session.hear(np.concatenate([silence(0.5), speech("tea"), silence(2)]))
        assert not session.of(TranscriptionCompleted) + session.of(TranscriptionDelta)


class TestPlayback:
    """The agent says the other sentence, at -6 dB of which `leak` is left."""

    def agent(self, seconds: float) -> np.ndarray:
        line = np.concatenate([speech("table"), silence(0.4)])
        return np.tile(line, 1 + round(seconds * RATE / len(line)))[: round(seconds * RATE)]

    @pytest.mark.parametrize("leak", [1.0, 0.1, 0.003], ids=["0 dB", "-20 dB", "-50 dB"])
    def test_the_agents_own_voice_is_no_event(self, turns: TurnService, leak: float):
        session = Session(turns, None)
        assert session.hear(silence(12), self.agent(12), leak) == []

    def test_a_person_over_the_agent_ducks_and_stops_it(
        self, turns: TurnService, service: RecognitionService
    ):
        session = Session(turns, service)
        near = np.concatenate([silence(4), 0.3 * speech("tea"), silence(2)])
        session.hear(near, self.agent(len(near) / RATE), leak=0.003)
        session.settle()
        (started,) = session.of(SpeechStarted)
        assert started.duplex.during_playback
        assert [event.stage for event in session.of(BargeIn)] == ["duck", "commit"]
        onset, commit = 4 * RATE, session.times[session.events.index(session.of(BargeIn)[1])]
        assert onset < session.times[0] <= onset + 0.5 * RATE
        assert commit <= onset + 1.2 * RATE
        assert {event.item_id for event in session.of(BargeIn)} == {started.item_id}
        assert len(session.of(TranscriptionCompleted)) == 1

    def test_the_first_syllable_is_kept_over_the_agent_too(
        self, turns: TurnService, service: RecognitionService, keeper: Keeper
    ):
        session = Session(turns, service)
        said = 0.3 * speech("tea")
        near = np.concatenate([silence(4), said, silence(2)])
        session.hear(near, self.agent(len(near) / RATE), leak=0.003)
        session.settle()
        onset = 4 * RATE + int(np.argmax(np.abs(said) > 0.01))
        start = round(session.of(SpeechStarted)[0].audio_start_ms * 16)
        assert start < onset
        syllable = slice(onset - start, onset - start + RATE // 4)
        np.testing.assert_allclose(keeper.heard[0][syllable], near[start:][syllable], atol=0.003)

    def test_the_client_knows_better_whether_it_plays(self, turns: TurnService):
        session = Session(turns, None)
        session.listener.playback(True)
        session.hear(np.concatenate([silence(0.5), speech("tea"), silence(2)]))
        assert session.of(SpeechStarted)[0].duplex.during_playback
        assert [event.stage for event in session.of(BargeIn)] == ["duck", "commit"]
        session.listener.playback(False)
        session.hear(np.concatenate([speech("tea"), silence(2)]))
        assert not session.of(SpeechStarted)[1].duplex.during_playback
        assert len(session.of(BargeIn)) == 2

    def test_a_client_whose_word_is_doubted_does_not(self, turns: TurnService):
        session = Session(turns, None)
        session.listener.playback(False)
        session.listener.doubts_client = True
        near = np.concatenate([silence(4), 0.3 * speech("tea"), silence(2)])
        session.hear(near, self.agent(len(near) / RATE), leak=0.003)
        assert session.of(SpeechStarted)[0].duplex.during_playback
        assert [event.stage for event in session.of(BargeIn)] == ["duck", "commit"]

    def test_a_cough_is_regretted(self, turns: TurnService, service: RecognitionService, keeper: Keeper):
        keeper.text = lambda samples: ""
        session = Session(turns, service)
        session.listener.playback(True)
        session.hear(np.concatenate([silence(0.5), speech("tea")[: RATE * 38 // 100], silence(3)]))
        session.settle()
        assert [event.stage for event in session.of(BargeIn)] == ["duck"]
        assert len(session.of(FalseInterruption)) == 1
        assert session.of(TranscriptionCompleted)[0].transcript == ""

    def test_a_short_stop_is_understood(
        self, turns: TurnService, service: RecognitionService, keeper: Keeper
    ):
        keeper.text = lambda samples: "stop"
        session = Session(turns, service)
        session.listener.playback(True)
        session.hear(np.concatenate([silence(0.5), speech("tea")[: RATE * 38 // 100], silence(0.4)]))
        session.wait_for(TranscriptionDelta)
        assert [event.stage for event in session.of(BargeIn)] == ["duck", "commit"]
        session.hear(silence(3))
        assert not session.of(FalseInterruption)

    @pytest.mark.parametrize("text", ["mm-hm, okay", "booked for seven o'clock"])
    def test_assent_and_the_agents_own_words_only_duck(
        self, turns: TurnService, service: RecognitionService, keeper: Keeper, text: str
    ):
        keeper.text = lambda samples: text
        session = Session(turns, service)
        session.listener.playback(True)
        session.listener.playing("Your table is booked for seven o'clock.")
        session.hear(np.concatenate([silence(1.5), speech("tea")[: RATE * 38 // 100], silence(1)]))
        session.settle()
        assert [event.stage for event in session.of(BargeIn)] == ["duck"]
        (event,) = session.of(FalseInterruption)
        assert event.reason == "backchannel"

    def test_the_recogniser_gets_silence_where_only_echo_is_left(
        self, turns: TurnService, service: RecognitionService, keeper: Keeper
    ):
        session = Session(turns, service, ListenerSettings(ServerVad(silence_duration_ms=2000)))
        near = np.concatenate([silence(4), 0.3 * speech("tea"), silence(3)])
        session.hear(near, self.agent(len(near) / RATE), leak=0.003)
        session.settle()
        (heard,) = keeper.heard
        assert np.abs(heard[-RATE:]).max() == 0
        said = 0.3 * speech("tea")[4000:-8000]
        match = np.correlate(heard, said[:8000]).argmax()
        assert np.corrcoef(heard[match : match + len(said)], said)[0, 1] > 0.99


class TestTrace:
    def test_it_tells_what_was_seen_and_decided_in_every_hop(
        self, turns: TurnService, service: RecognitionService
    ):
        session = Session(turns, service, ListenerSettings(trace=True))
        session.hear(np.concatenate([silence(1), speech("tea"), silence(3)]))
        traces = session.of(Trace)
        assert [trace.start_ms for trace in traces] == [200 * n for n in range(len(traces))]
        states = [state for trace in traces for state in trace.state]
        assert [state for n, state in enumerate(states) if n == 0 or state != states[n - 1]][-2:] == [
            "pausing",
            "idle",
        ]
        assert {len(trace.gate) for trace in traces} == {len(trace.near_dbfs) for trace in traces} == {10}
        decisions = [each for trace in traces for each in trace.decisions]
        started, *_, stopped = decisions
        assert started.about_ms == session.of(SpeechStarted)[0].audio_start_ms
        told = session.of(SpeechStopped)[0]
        assert (stopped.at_ms, stopped.reason, stopped.p_turn) == (
            told.audio_end_ms,
            told.duplex.reason,
            told.duplex.p_turn,
        )
        assert [each.decision for each in decisions][-3:] == ["paused", "judged", "stopped"]

    def test_it_is_off_until_it_is_asked_for_and_can_be_left_again(self, turns: TurnService):
        session = Session(turns, None)
        session.hear(silence(1))
        session.listener.configure(ListenerSettings(detection=None, trace=True))
        session.hear(silence(1))
        session.listener.configure(ListenerSettings())
        session.hear(silence(1))
        assert len(session.of(Trace)) == 5
        assert {state for trace in session.of(Trace) for state in trace.state} == {"recording"}

    def test_audio_that_was_left_out_is_not_traced(self, turns: TurnService):
        session = Session(turns, None, ListenerSettings(trace=True))
        session.hear(silence(0.3))
        session.now += 5 * RATE
        session.hear(silence(0.4))
        assert [trace.start_ms for trace in session.of(Trace)] == [0, 5300, 5500]


class TestCommands:
    def test_commit_ends_the_turn_now(self, turns: TurnService, service: RecognitionService):
        session = Session(turns, service)
        session.hear(np.concatenate([silence(0.5), speech("tea")[:RATE]]))
        stopped, committed = session.keep(session.listener.commit())
        assert isinstance(stopped, SpeechStopped)
        assert stopped.duplex.reason == "commit"
        assert stopped.audio_end_ms == session.now / 16
        assert isinstance(committed, InputAudioCommitted)
        assert [type(event) for event in session.settle()] == [TranscriptionCompleted]

    def test_commit_of_nothing_is_an_error(self, turns: TurnService):
        session = Session(turns, None)
        session.hear(silence(0.5))
        (error,) = session.listener.commit()
        assert isinstance(error, ErrorEvent)
        assert error.error.code == "input_audio_buffer_commit_empty"

    def test_clear_drops_the_turn_and_its_transcript(self, turns: TurnService, service: RecognitionService):
        session = Session(turns, service)
        session.hear(np.concatenate([silence(0.5), speech("tea")[:RATE]]))
        assert [type(event) for event in session.keep(session.listener.clear())] == [InputAudioCleared]
        session.hear(silence(2))
        assert not session.of(SpeechStopped) + session.of(TranscriptionCompleted)
        assert not session.listener.pending
        assert not service._open

    def test_clear_lets_a_ducked_agent_go_on(self, turns: TurnService):
        session = Session(turns, None)
        session.listener.playback(True)
        while not session.of(BargeIn):
            session.hear(speech("tea")[session.now : session.now + HOP])
        assert [type(event) for event in session.listener.clear()] == [FalseInterruption, InputAudioCleared]

    def test_a_new_detection_holds_from_the_next_pause(self, turns: TurnService):
        session = Session(turns, None)
        session.hear(np.concatenate([silence(0.5), speech("tea")]))
        session.listener.configure(ListenerSettings(ServerVad(silence_duration_ms=1500)))
        session.hear(silence(3))
        (stopped,) = session.of(SpeechStopped)
        assert stopped.duplex.silence_ms >= 1500

    def test_closing_frees_the_workers(self, turns: TurnService, service: RecognitionService):
        session = Session(turns, service)
        session.hear(np.concatenate([silence(0.5), speech("tea"), silence(1), speech("table")[:RATE]]))
        session.listener.close()
        assert not service._open
        assert not session.listener.drain()


class TestWithoutDetection:
    """`turn_detection: null`: a turn is what lies between two commits."""

    def test_commits_cut_the_stream_without_a_gap(
        self, turns: TurnService, service: RecognitionService, keeper: Keeper
    ):
        session = Session(turns, service, ListenerSettings(None))
        audio = speech("table")[: 100 * HOP]
        session.hear(audio[: 40 * HOP])
        session.keep(session.listener.commit())
        session.hear(audio[40 * HOP :])
        session.keep(session.listener.commit())
        session.settle()
        assert not session.of(SpeechStarted) + session.of(SpeechStopped)
        np.testing.assert_array_equal(np.concatenate(keeper.heard), audio)

    def test_nothing_is_lost_when_nobody_commits(
        self, turns: TurnService, service: RecognitionService, keeper: Keeper
    ):
        session = Session(turns, service, ListenerSettings(None))
        session.hear(silence(60))
        session.keep(session.listener.commit())
        session.settle()
        assert len(session.of(InputAudioCommitted)) == 3
        assert sum(map(len, keeper.heard)) == 60 * RATE

    def test_changing_to_detection_commits_what_there_is(
        self, turns: TurnService, service: RecognitionService
    ):
        session = Session(turns, service, ListenerSettings(None))
        session.hear(speech("table"))
        session.listener.configure(ListenerSettings(SemanticVad()))
        assert session.listener.pending
        session.hear(np.concatenate([speech("tea"), silence(2)]))
        session.settle()
        assert len(session.of(InputAudioCommitted)) == 2
        switch = len(speech("table")) // HOP * HOP / 16
        assert session.of(SpeechStarted)[0].audio_start_ms >= switch


class TestFailures:
    def test_a_recogniser_without_room_fails_the_item_after_its_commit(
        self, turns: TurnService, keeper: Keeper
    ):
        service = RecognitionService(keeper, Limits(utterances=0))
        session = Session(turns, service)
        session.hear(np.concatenate([silence(0.5), speech("tea"), silence(2)]))
        session.settle()
        kinds = [type(event) for event in session.events]
        assert kinds == [SpeechStarted, SpeechStopped, InputAudioCommitted, TranscriptionFailed]
        assert session.of(TranscriptionFailed)[0].error.code == "busy"
        service.close()

    def test_a_language_that_the_recogniser_lacks(self, turns: TurnService):
        service = RecognitionService(WhisperRecognizer())
        session = Session(turns, service, ListenerSettings(language="zh"))
        session.hear(np.concatenate([silence(0.5), speech("tea"), silence(2)]))
        session.settle()
        (failed,) = session.of(TranscriptionFailed)
        assert "knows only English" in failed.error.message
        service.close()

    def test_a_turn_model_that_hangs_or_fails_only_costs_time(self):
        class Broken:
            def predict(self, audio: np.ndarray) -> float:
                raise RuntimeError("no")

        service = TurnService(Broken())
        session = Session(service, None)
        session.hear(np.concatenate([silence(0.5), speech("tea"), silence(2)]))
        (stopped,) = session.of(SpeechStopped)
        assert (stopped.duplex.reason, stopped.duplex.p_turn) == ("model_late", None)
        service.close()

    def test_a_recogniser_that_hangs_does_not_stop_the_turns(self, turns: TurnService):
        held = threading.Event()
        keeper = Keeper(lambda samples: "late" if held.wait(30) else "")
        service = RecognitionService(keeper, Limits(finish_s=0.05))
        session = Session(turns, service)
        session.hear(np.concatenate([silence(0.5), speech("tea"), silence(2)]))
        assert len(session.of(SpeechStopped)) == 1
        session.settle()
        assert session.of(TranscriptionFailed)[0].error.code == "timeout"
        held.set()
        service.close()


def test_settings_come_from_the_sessions_configuration():
    assert ListenerSettings.of(SessionConfig()) == ListenerSettings()
    change = {
        "audio": {
            "input": {
                "turn_detection": {"type": "server_vad", "threshold": 0.6, "silence_duration_ms": 700},
                "transcription": {"language": "en"},
            }
        },
        "duplex": {"hotwords": ["tea"], "backchannels": ["go on"]},
    }
    settings = ListenerSettings.of(update_session(SessionConfig(), change))
    assert settings == ListenerSettings(ServerVad(0.6, 300, 700), True, "en", ("tea",), ("go on",))
    off = {"audio": {"input": {"turn_detection": None, "transcription": None}}}
    assert ListenerSettings.of(update_session(SessionConfig(), off)) == ListenerSettings(None, False)


def test_through_the_shipped_canceller(turns: TurnService):
    """Echo 120 ms late and 6 dB below the agent; the person answers at the level of the echo."""
    agent = np.tile(np.concatenate([speech("table"), silence(0.4)]), 3)
    person = np.zeros_like(agent)
    person[7 * RATE : 7 * RATE + len(speech("tea"))] = 0.5 * speech("tea")
    room = np.random.default_rng(0).normal(0, 3e-4, len(agent)).astype(np.float32)
    mic = np.concatenate([silence(0.12), 0.5 * agent])[: len(agent)] + person + room
    core, service = HopCanceller.pretrained(streams=1), RecognitionService(WhisperRecognizer())
    session = Session(turns, service)
    session.now = -core.latency
    for start in range(0, len(agent) // HOP * HOP, HOP):
        out = core.process(mic[None, start : start + HOP], agent[None, start : start + HOP], ONE)
        session.step(out.vad[0], out.asr[0], out.echo[0], out.ref[0])
    session.settle()
    (started,) = session.of(SpeechStarted)
    assert started.duplex.during_playback
    assert 6500 <= started.audio_start_ms <= 7200
    assert [event.stage for event in session.of(BargeIn)] == ["duck", "commit"]
    assert "change my order to green tea" in plain(session.of(TranscriptionCompleted)[0].transcript)
    service.close()
