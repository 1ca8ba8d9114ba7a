"""`duplex stream --jsonl`: five dialogues into a live server with a real recogniser; the order of its events.

What is said of each turn is asserted for every weight and threshold; which turns are found, where it is easy.
"""

import json
from itertools import pairwise

import pytest
import soundfile
from typer.testing import CliRunner

pytest.importorskip("faster_whisper")

from client.cli import app
from client.conversation.dialogues import SERS_DB, make_dialogues
from tests.conftest import running_server

COUNT = 5
AUDIO = "input_audio_buffer."
TEXT = "conversation.item.input_audio_transcription."
BARGE_IN = "duplex.barge_in"


@pytest.fixture(scope="module")
def calls(voices):
    return make_dialogues(voices, COUNT, seed=11, turns=2)


@pytest.fixture(scope="module")
def streamed(calls, tmp_path_factory):
    """Return the events of each dialogue, as one process after the other prints them."""
    folder = tmp_path_factory.mktemp("calls")
    with running_server(asr="whisper") as server:
        return [_stream(server.url, call, folder) for call in calls]


def _stream(url, call, folder):
    pair = [folder / "mic.wav", folder / "ref.wav"]
    for path, audio in zip(pair, (call.mic, call.ref), strict=True):
        soundfile.write(path, audio, 16_000, subtype="PCM_16")
    result = CliRunner().invoke(app, ["stream", *map(str, pair), "--url", url, "--speed", "max", "--jsonl"])
    assert result.exit_code == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.fixture(
    params=range(COUNT), ids=[f"{SERS_DB[number % len(SERS_DB)]}dB-{number}" for number in range(COUNT)]
)
def number(request):
    return request.param


@pytest.fixture
def events(streamed, number):
    return streamed[number]


def kinds(events):
    return [event["type"] for event in events]


def by_item(events):
    items = {}
    for event in events:
        if event.get("item_id") is not None:
            items.setdefault(event["item_id"], []).append(event)
    return items


def place(events, kind, **wanted):
    """Return where the only event of a kind is, or None."""
    found = [
        at
        for at, event in enumerate(events)
        if event["type"] == kind and all(event[name] == value for name, value in wanted.items())
    ]
    assert len(found) <= 1
    return found[0] if found else None


def test_a_session_begins_with_what_it_is(events):
    assert kinds(events)[:2] == ["session.created", "session.updated"]
    assert "whisper" in events[0]["session"]["backends"]["asr"]
    assert "error" not in kinds(events)


def test_the_turns_are_found_and_stop_the_agent(events, calls, number):
    call = calls[number]
    if call.ser_db < 0:  # what is found there is the evaluation's to say
        return
    for turn in call.turns:
        starts = [
            event
            for event in events
            if event["type"] == AUDIO + "speech_started"
            and turn.start / 16 - 500 <= event["audio_start_ms"] <= turn.stop / 16
        ]
        assert starts, f"nothing was heard of {turn.text!r}"
    assert any(event["type"] == BARGE_IN and event["stage"] == "commit" for event in events)


def test_every_turn_is_told_in_order(events):
    for own in by_item(events).values():
        order = [place(own, AUDIO + kind) for kind in ("speech_started", "speech_stopped", "committed")]
        ends = [place(own, TEXT + kind) for kind in ("completed", "failed")]
        assert ends.count(None) == 1
        order += [end for end in ends if end is not None]
        assert None not in order
        assert order == sorted(order)
        assert order[0] == 0
        deltas = [at for at, event in enumerate(own) if event["type"] == TEXT + "delta"]
        assert all(order[0] < at < order[1] for at in deltas)


def test_a_duck_is_taken_back_or_becomes_a_barge_in(events):
    """A commit may come without a duck, and after a regret: words may be understood late."""
    ducked = False
    for event in events:
        if event["type"] == BARGE_IN:
            assert event["audio_ms"] > 0
            if event["stage"] == "duck":
                assert not ducked
            ducked = event["stage"] == "duck"
        elif event["type"] == "duplex.false_interruption":
            assert ducked
            ducked = False


def test_times_go_forward(events, calls, number):
    items = by_item(events)
    before = 0.0
    for own in items.values():
        start = own[0]["audio_start_ms"]
        stop = own[place(own, AUDIO + "speech_stopped")]
        assert before <= start < stop["audio_end_ms"] <= len(calls[number].mic) / 16 + 2000
        assert 0 <= stop["duplex"]["silence_ms"] < stop["audio_end_ms"] - start
        before = stop["audio_end_ms"]
        deltas = [event for event in own if event["type"] == TEXT + "delta"]
        assert all(start - 20 <= event["start_ms"] <= event["end_ms"] for event in deltas)
        ends = [event["end_ms"] for event in deltas]
        assert ends == sorted(ends)
    sent = [event["event_id"] for event in events]
    assert len(set(sent)) == len(sent)


def test_items_form_a_chain(events):
    committed = [event for event in events if event["type"] == AUDIO + "committed"]
    assert [event["previous_item_id"] for event in committed[:1]] in ([], [None])
    for earlier, later in pairwise(committed):
        assert later["previous_item_id"] == earlier["item_id"]
    assert [event["item_id"] for event in committed] == list(by_item(events))


def test_deltas_add_up(events):
    """What the deltas append is never taken back, and is the beginning of the text that is stable."""
    for own in by_item(events).values():
        said = ""
        for event in own:
            if event["type"] == TEXT + "delta":
                said += event["delta"]
                if event["stable"]:
                    assert event["text"] == said


def test_partial_texts_come(streamed):
    assert any(TEXT + "delta" in kinds(events) for events in streamed)
