"""Dialogues through the service's engine: real canceller, detector and turn model, no socket."""

import numpy as np
import pytest

from aec_core import HOP, HopCanceller
from client.conversation.awaited import AwaitedRecognition, AwaitedTurns, FinalOnly
from client.conversation.dialogues import SERS_DB
from client.conversation.replay import Replay
from client.conversation.scoring import score
from client.conversation.session import Ears, listen
from tests.client.conversation.scripted import Counting


def test_the_service_hears_the_turns(dialogues, heard):
    """At 0 and +10 dB nothing is missed and nothing invented, with any weights worth shipping."""
    outcomes = [score(*pair, read=False) for pair in zip(dialogues, heard, strict=True)]
    easy = [outcome for outcome in outcomes if outcome.ser_db is not None and outcome.ser_db >= 0]
    assert len(easy) == 2
    for outcome in easy:
        assert outcome.missed == 0
        assert outcome.false_starts == 0
        assert len(outcome.onsets) == 2
        # 160 ms of speech are needed during playback, 120 ms otherwise; the canceller takes 20.
        assert min(outcome.onsets) >= 120


def test_it_says_the_same_again(dialogues, turn_model):
    call = dialogues[SERS_DB.index(0) : SERS_DB.index(0) + 1]

    def said():
        noticed = listen(HopCanceller.pretrained(streams=1), call, Ears(AwaitedTurns(turn_model), None))[0]
        return [(each.at, each.event.model_dump()) for each in noticed]

    first = said()
    assert first
    assert first == said()


def test_without_a_canceller_it_hears_the_agent(dialogues, turn_model):
    worst = dialogues[:1]
    core = Replay([(call.mic, call.ref, call.mic) for call in worst])
    outcome = score(worst[0], listen(core, worst, Ears(AwaitedTurns(turn_model), None))[0], read=False)
    assert outcome.found is not None
    assert outcome.found.p_false > 0.3


def test_the_recogniser_answers_before_the_next_hop(dialogues, turn_model):
    call = dialogues[SERS_DB.index(10)]
    counting = Counting()
    service = AwaitedRecognition(counting)
    try:
        noticed = listen(HopCanceller.pretrained(streams=1), [call], Ears(AwaitedTurns(turn_model), service))[
            0
        ]
    finally:
        service.close()
    deltas = [each for each in noticed if each.event.type.endswith("delta")]
    stops = [each.at for each in noticed if each.event.type.endswith("speech_stopped")]
    finals = [each for each in noticed if each.event.type.endswith("completed")]
    assert len(deltas) > 5
    for (
        each
    ) in deltas:  # what it was given lately is there: 200 ms of batching, 200 ms held back, a hop or two
        assert each.at - each.event.end_ms * 16 <= 0.5 * 16_000
    assert [each.at for each in finals] == stops
    outcome = score(call, noticed, read=True)
    assert outcome.words is not None
    assert outcome.words.said == sum(len(turn.text.split()) for turn in call.turns)


def test_without_partials_the_final_text_is_the_same():
    audio = np.ones((3, 500), np.float32)
    plain, final = Counting(), Counting()
    said = []
    for recognizer in (plain, FinalOnly(final)):
        utterance = recognizer.open("en", ())
        for piece in audio:
            utterance.feed(piece)
        said.append(utterance.finish(np.zeros(7, np.float32)).text)
    assert said == ["1507 samples", "1507 samples"]
    assert (plain.fed, final.fed) == (3, 0)


def test_what_another_canceller_made_is_played_back_a_hop_late():
    rng = np.random.default_rng(0)
    mic, ref, cleaned = rng.standard_normal((3, 4 * HOP)).astype(np.float32)
    replay = Replay([(mic, ref, cleaned), (mic[:HOP], ref[:HOP], cleaned[:HOP])])
    nothing = np.zeros((2, HOP), np.float32)
    both = np.array([True, True])
    hops = [replay.process(nothing, nothing, both) for _ in range(2)]
    hops += [replay.process(nothing, nothing, np.array([True, False])) for _ in range(3)]
    assert not hops[0].vad.any()
    np.testing.assert_array_equal(np.concatenate([hop.vad[0] for hop in hops[1:]]), cleaned)
    np.testing.assert_array_equal(np.concatenate([hop.ref[0] for hop in hops[1:]]), ref)
    np.testing.assert_array_equal(np.concatenate([hop.echo[0] for hop in hops[1:]]), mic - cleaned)
    np.testing.assert_array_equal(hops[1].vad[1], cleaned[:HOP])
    replay.reset(0)
    assert not replay.process(nothing, nothing, both).vad[0].any()


def test_a_session_that_fails_is_no_result(dialogues):
    class Broken:
        def submit(self, audio):
            raise RuntimeError("no model")

    core = HopCanceller.pretrained(streams=1)
    with pytest.raises(RuntimeError, match="session 0 was closed"):
        listen(core, dialogues[3:], Ears(Broken(), None))
