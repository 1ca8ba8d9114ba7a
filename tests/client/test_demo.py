"""How the demo judges what was heard; the demo itself runs at the end, over real sockets."""

import io
import re

import pytest
from rich.console import Console

from client.demo import Turn, compare, match, strangers, turns
from client.recording import Sentence, shipped

FIRST = Sentence("Wait, what is the weather in Paris?", 8_000, 11_000)
SECOND = Sentence("Thank you, that is all.", 18_000, 20_000)


def started(item, ms):
    return {"type": "input_audio_buffer.speech_started", "item_id": item, "audio_start_ms": ms}


def stopped(item, ms):
    return {"type": "input_audio_buffer.speech_stopped", "item_id": item, "audio_end_ms": ms}


def completed(item, text):
    kind = "conversation.item.input_audio_transcription.completed"
    return {"type": kind, "item_id": item, "transcript": text}


def test_turns_join_by_item_even_if_a_transcript_comes_late():
    events = [started("a", 10), stopped("a", 20), started("b", 30), completed("a", " one "), stopped("b", 40)]
    assert turns([*events, completed("b", "two")]) == [Turn(10, 20, "one"), Turn(30, 40, "two")]


def test_a_sentence_cut_in_two_turns_is_still_one_sentence():
    found = [
        Turn(8_050, 8_600, "Wait,"),
        Turn(9_000, 11_300, "what's the weather in Paris?"),
        Turn(18_000, 20_100, "Thanks"),
    ]
    heard = match(FIRST, found)
    assert heard.text == "Wait, what's the weather in Paris?"
    assert heard.error_rate == pytest.approx(2 / 7)


def test_a_turn_elsewhere_is_a_stranger_and_no_help():
    found = [Turn(2_000, 4_000, FIRST.text)]
    assert match(FIRST, found).error_rate == 1
    assert strangers((FIRST, SECOND), found) == found


def test_the_table_shows_text_with_brackets_as_it_is():
    console = Console(width=160, file=io.StringIO())
    console.print(compare((FIRST,), [Turn(8_000, 11_000, "[red] Paris")], [Turn(0, 1_000, "agent")]))
    text = re.sub(r"\s+", " ", console.file.getvalue())
    assert "“[red] Paris”" in text
    assert "word error rate 100%" in text
    assert "agent" in text


def test_the_recording_is_whole():
    recording = shipped()
    assert len(recording.mic) == len(recording.ref)
    assert 20 <= len(recording.mic) / 16_000 <= 40
    assert len(recording.sentences) == 2
    for sentence in recording.sentences:
        assert 0 < sentence.start_ms < sentence.end_ms < len(recording.mic) / 16
