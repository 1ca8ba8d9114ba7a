"""What an agent says, between the socket and the loudspeaker."""

import numpy as np
import pytest

from client.agent_voice import HELD_S, AgentVoice
from client.dialogue import Room

RATE = 16_000


def begin(voice: AgentVoice, item_id: str = "a") -> None:
    voice.hear(
        {"type": "response.created", "response": {"id": "r", "status": "in_progress", "item_id": item_id}}
    )


def ramp(samples: int, start: int = 1) -> np.ndarray:
    return np.arange(start, start + samples).astype(np.int16)


def test_frames_are_played_in_order_and_any_length():
    voice = AgentVoice(RATE)
    begin(voice)
    for start in (1, 321, 641):
        voice.add(ramp(320, start))
    played = np.concatenate([voice.take(n) for n in (100, 500, 0, 360, 100)])
    np.testing.assert_array_equal(played[:960], ramp(960))
    assert not played[960:].any()


def test_the_report_says_what_was_played():
    voice = AgentVoice(RATE)
    assert voice.report is None
    begin(voice)
    voice.add(ramp(320))
    assert voice.report is None
    voice.take(160)
    assert voice.report == {"type": "duplex.playback", "playing": True, "item_id": "a", "played_ms": 10.0}
    voice.take(320)
    assert voice.report["played_ms"] == 20.0
    voice.take(320)
    assert voice.report["playing"] is False
    begin(voice, "b")
    voice.add(ramp(320))
    voice.take(320)
    assert (voice.report["item_id"], voice.report["played_ms"]) == ("b", 20.0)


@pytest.mark.parametrize(
    "event",
    [
        {"type": "duplex.barge_in", "stage": "commit"},
        {"type": "response.done", "response": {"status": "cancelled"}},
    ],
)
def test_what_was_stopped_is_not_played(event: dict):
    voice = AgentVoice(RATE)
    begin(voice)
    voice.add(ramp(320))
    voice.take(100)
    voice.hear(event)
    assert not voice.take(320).any()
    assert voice.report["played_ms"] == 6.25


def test_the_end_of_a_response_leaves_what_is_not_played():
    voice = AgentVoice(RATE)
    begin(voice)
    voice.add(ramp(320))
    voice.hear({"type": "response.done", "response": {"status": "completed"}})
    np.testing.assert_array_equal(voice.take(320), ramp(320))


def test_a_duck_lowers_the_voice_until_it_was_nothing():
    voice = AgentVoice(RATE)
    begin(voice)
    voice.add(np.full(960, 1000, np.int16))
    voice.hear({"type": "duplex.barge_in", "stage": "duck"})
    assert set(voice.take(320)) == {250}
    voice.hear({"type": "duplex.false_interruption"})
    assert set(voice.take(320)) == {1000}
    voice.hear({"type": "duplex.barge_in", "stage": "duck"})
    begin(voice, "b")
    assert set(voice.take(320)) == {1000}


def test_a_player_that_stands_still_does_not_fill_the_memory():
    voice = AgentVoice(RATE)
    voice.add(ramp(320))  # of no item: nobody knows what it is
    assert voice.waiting == 0
    begin(voice)
    for _ in range(100 * HELD_S):
        voice.add(ramp(320))
    assert voice.waiting == HELD_S * RATE


def test_a_room_gives_back_what_is_played_late_and_quieter():
    room = Room(delay_ms=10, echo=0.5)
    near, played = np.full(320, 10, np.int16), np.full(320, 100, np.int16)
    np.testing.assert_array_equal(room.microphone(near, played), [10] * 160 + [60] * 160)
    np.testing.assert_array_equal(room.microphone(0 * near, 0 * played), [50] * 160 + [0] * 160)
    with pytest.raises(ValueError, match="1000 ms"):
        Room(delay_ms=-1)
