"""Each event that matters to a person has a line."""

import pytest

from client.show import Timeline

PREFIX = "conversation.item.input_audio_transcription."


def line(event):
    text = Timeline().line(event)
    return None if text is None else text.plain


@pytest.mark.parametrize(
    ("event", "parts"),
    [
        (
            {
                "type": "input_audio_buffer.speech_started",
                "audio_start_ms": 8120,
                "item_id": "a",
                "duplex": {"during_playback": True},
            },
            ["8.12s", "speech started", "while the agent talks"],
        ),
        (
            {
                "type": "input_audio_buffer.speech_stopped",
                "audio_end_ms": 9000,
                "item_id": "a",
                "duplex": {"reason": "semantic", "silence_ms": 250, "p_turn": 0.95},
            },
            ["9.00s", "semantic", "250 ms", "0.95"],
        ),
        (
            {"type": "duplex.barge_in", "stage": "commit", "audio_ms": 420},
            ["commit", "should stop", "420 ms"],
        ),
        ({"type": PREFIX + "completed", "item_id": "a", "transcript": " Hi. "}, ["“Hi.”"]),
        (
            {"type": "session.replaced", "start_ms": 7500, "lost_ms": 1380.0, "message": "4404 unknown"},
            ["7.50s", "session replaced", "1380 ms of audio are lost", "4404 unknown"],
        ),
        ({"type": "error", "error": {"message": "no such thing"}}, ["no such thing"]),
        (
            {"type": "duplex.reference", "state": "missing", "at_ms": 1500.0},
            ["1.50s", "reference", "missing"],
        ),
    ],
)
def test_lines(event, parts):
    for part in parts:
        assert part in line(event)


@pytest.mark.parametrize("kind", ["duplex.ack", "duplex.aec.stats", "something.new"])
def test_housekeeping_has_none(kind):
    assert line({"type": kind}) is None


def test_deltas_add_up_for_each_item():
    timeline = Timeline()
    for item, delta in (("a", "one"), ("b", "other"), ("a", " two")):
        last = timeline.line({"type": PREFIX + "delta", "item_id": item, "delta": delta})
    assert "one two …" in last.plain
