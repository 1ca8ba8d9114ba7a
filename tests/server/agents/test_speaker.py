"""An agent's voice on the sample clock, with sounds that are easy to count."""

from concurrent.futures import Future
from itertools import count

import numpy as np
import pytest

from client.wire import unpack
from server.agent_events import ItemTruncated, ResponseCreated, ResponseDone, TranscriptDelta
from server.agents.piece import Piece, heard_text
from server.agents.said import Said
from server.agents.speaker import LEAD, Speaker
from server.agents.voices import VoiceError
from server.events import ErrorEvent
from server.outbox import Item
from server.protocol import encode_agent

RATE = 16_000
FRAME = 320
TEN_WORDS = "one two three four five six seven eight nine ten"


class Voices:
    """Speaks when told to: a second for each text, ramps that tell the samples apart."""

    def __init__(self, at_once: bool = True) -> None:
        self.at_once = at_once
        self.asked: list[tuple[str, Future[np.ndarray]]] = []

    def submit(self, text: str, rate: int) -> Future[np.ndarray]:
        self.asked.append((text, Future()))
        if self.at_once:
            self.speak()
        return self.asked[-1][1]

    def speak(self) -> None:
        for text, future in self.asked:
            if not future.done():
                if text == "unspeakable":
                    future.set_exception(VoiceError("no"))
                else:
                    future.set_result(np.arange(1, RATE + 1).astype(np.int16))


class Stage:
    def __init__(self, voices: Voices | None = None) -> None:
        numbers = count(1)
        self.voices = voices or Voices()
        self.texts: list[str] = []
        self.speaker = Speaker(
            self.voices,
            RATE,
            lambda said, audio: encode_agent(said.sent, 0, audio, 0),
            lambda: Said(f"resp_{next(numbers)}", "item"),
            self.texts.append,
        )
        self.items: list[Item] = []
        self.sent = 0

    def hops(self, number: int, may_begin: bool = True) -> list[Item]:
        new = [item for _ in range(number) for item in self.speaker.hop(may_begin)]
        self.items += new
        return new

    @property
    def audio(self) -> np.ndarray:
        frames = [unpack(item) for item in self.items if isinstance(item, bytes)]
        assert all(frame.audio.shape == (FRAME, 1) for frame in frames)
        starts = [frame.mic_start for frame in frames]
        assert starts == [FRAME * n for n in range(len(starts))]
        return np.concatenate([frame.audio[:, 0] for frame in frames] or [np.zeros(0, np.int16)])


def of(kind: type, items: list[Item]) -> list:
    return [item for item in items if isinstance(item, kind)]


def test_a_response_is_one_item_paced_by_the_hops():
    stage = Stage()
    stage.speaker.say([Piece("hello there"), Piece("you two")])
    first = stage.hops(1)
    assert isinstance(first[0], ResponseCreated)
    assert isinstance(first[1], TranscriptDelta)
    assert len(of(bytes, first)) == LEAD  # 200 ms at once …
    assert [len(of(bytes, stage.hops(1))) for _ in range(20)] == [1] * 20  # … then one for one
    stage.hops(100)
    np.testing.assert_array_equal(stage.audio, np.tile(np.arange(1, RATE + 1), 2))
    assert "".join(delta.delta for delta in of(TranscriptDelta, stage.items)) == "hello there you two"
    assert [delta.duplex.start_ms for delta in of(TranscriptDelta, stage.items)] == [0, 1000]
    assert stage.texts == ["hello there", "you two"]
    assert [done.response.status for done in of(ResponseDone, stage.items)] == ["completed"]
    assert not stage.speaker.busy


def test_it_is_done_when_its_time_has_passed_and_not_when_it_is_sent():
    stage = Stage()
    stage.speaker.say([Piece("hello")])
    stage.hops(41)  # 50 frames are out
    assert len(of(bytes, stage.items)) == 50
    assert not of(ResponseDone, stage.items)
    assert not of(ResponseDone, stage.hops(9))
    assert of(ResponseDone, stage.hops(1))


def test_a_late_voice_does_not_let_a_burst_follow():
    stage = Stage(Voices(at_once=False))
    stage.speaker.say([Piece("hello"), Piece("world")])
    assert stage.hops(100) == []
    stage.voices.speak()
    assert len(of(bytes, stage.hops(1))) == LEAD


def test_only_the_next_pieces_are_made_into_sound():
    stage = Stage()
    stage.speaker.say([Piece(str(n)) for n in range(50)])
    stage.hops(1)
    assert len(stage.voices.asked) == 3  # the one that is spoken, and two more


def test_nobody_begins_while_another_has_the_floor():
    stage = Stage()
    stage.speaker.say([Piece("hello")])
    assert stage.hops(10, may_begin=False) == []
    assert stage.hops(1)
    assert len(of(bytes, stage.hops(5, may_begin=False))) == 5  # what has begun goes on


def test_a_stop_ends_at_what_was_heard_by_the_clock():
    stage = Stage()
    stage.speaker.say([Piece(TEN_WORDS), Piece("after that")])
    stage.hops(26)  # the clock stands at 500 ms since the first frame left
    items, rest = stage.speaker.stop()
    truncated, done = items
    assert isinstance(truncated, ItemTruncated)
    assert truncated.audio_end_ms == 500
    assert truncated.duplex is not None
    assert truncated.duplex.transcript == "one two three four five"
    assert isinstance(done, ResponseDone)
    assert done.response.status == "cancelled"
    assert [piece.text for piece in rest] == ["six seven eight nine ten", "after that"]
    assert rest[0].audio is not None
    np.testing.assert_array_equal(rest[0].audio, np.arange(RATE // 2 + 1, RATE + 1))
    assert stage.hops(10) == []


@pytest.mark.parametrize(
    ("played_ms", "hops", "playing", "heard_ms"),
    [
        (300, 0, True, 300),
        (300, 5, True, 400),  # it plays on after the report
        (300, 5, False, 300),
        (0, 0, True, 0),
        (90_000, 5, False, 700),  # no more than was sent at the time of the report
    ],
)
def test_the_client_knows_what_was_heard(played_ms: float, hops: int, playing: bool, heard_ms: float):
    stage = Stage()
    stage.speaker.say([Piece(TEN_WORDS)])
    stage.hops(26)
    stage.speaker.report("another", True, 10)
    stage.speaker.report("item", playing, played_ms)
    stage.hops(hops)
    (truncated, _), _ = stage.speaker.stop()
    assert isinstance(truncated, ItemTruncated)
    assert truncated.audio_end_ms == heard_ms


def test_what_is_left_is_said_in_a_response_of_its_own():
    stage = Stage()
    stage.speaker.say([Piece(TEN_WORDS)])
    stage.hops(26)
    _, rest = stage.speaker.stop()
    stage.items = []
    stage.speaker.say(rest)
    stage.hops(60)
    np.testing.assert_array_equal(stage.audio, np.arange(RATE // 2 + 1, RATE + 1))
    assert of(ResponseCreated, stage.items)[0].response.id == "resp_2"


def test_what_cannot_be_said_is_reported_and_left_out():
    stage = Stage()
    stage.speaker.say([Piece("unspeakable"), Piece("hello")])
    items = stage.hops(2)
    assert [error.error.code for error in of(ErrorEvent, items)] == ["voice_failed"]
    assert [delta.delta for delta in of(TranscriptDelta, items)] == ["hello"]
    stage.hops(60)
    stage.speaker.say([Piece("unspeakable")])
    assert [type(item) for item in stage.hops(2)] == [ErrorEvent]
    assert not stage.speaker.busy


def test_a_response_stays_open_for_more():
    stage = Stage()
    stage.speaker.say([Piece("hello")], more=True)
    stage.hops(200)
    assert not of(ResponseDone, stage.items)
    stage.speaker.say([Piece("world")])
    assert len(of(bytes, stage.hops(1))) == LEAD
    stage.hops(60)
    assert len(of(ResponseCreated, stage.items)) == len(of(ResponseDone, stage.items)) == 1


@pytest.mark.parametrize(
    ("text", "share", "words"),
    [
        ("one two three", 0, ""),
        ("one two three", 0.2, ""),
        ("one two three", 0.3, "one"),
        ("one two three", 0.6, "one two"),
        ("one two three", 1, "one two three"),
        ("one", 0.9, ""),
        ("今天天气很好", 0.5, "今天天"),
    ],
)
def test_words_are_heard_whole(text: str, share: float, words: str):
    assert heard_text(text, share) == words
