"""Long calls of known utterances, and what listeners make of them."""

import csv

import numpy as np
import pytest

from aec_core.evaluate.listen import CLEAN, Listeners, listen, near_end, rates, through
from aec_core.evaluate.spoken import LEVELS_DB, load_utterances, make_segments
from aec_core.evaluate.systems import UNPROCESSED, unprocessed
from aec_core.metrics import power_db
from aec_core.train.sources import load_sources


@pytest.fixture(scope="module")
def segments(manifest):
    return make_segments(load_utterances(manifest, "test"), load_sources(manifest, "test"), 1, seed=4)


def test_utterances_are_those_whose_words_are_told(manifest, tmp_path):
    assert [text for text, _ in load_utterances(manifest, "test")] == [f"WORD NUMBER {i}" for i in range(3)]
    assert load_utterances(manifest, "train") == []
    with manifest.open() as file:
        rows = list(csv.DictReader(file))
    rows[0]["transcript"], rows[1]["language"], rows[2]["path"] = "", "de", "gone.wav"
    changed = manifest.with_name("changed.csv")
    with changed.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    assert load_utterances(changed, "test") == []


def test_levels_differ_in_the_echo_alone(segments):
    assert [segment.level_db for segment in segments] == list(LEVELS_DB)
    first, second = (segment.mixture for segment in segments)
    np.testing.assert_array_equal(first.ref, second.ref)
    ratios = [power_db(mixture.near) - power_db(mixture.echo) for mixture in (first, second)]
    assert ratios[0] - ratios[1] == pytest.approx(LEVELS_DB[0] - LEVELS_DB[1], abs=0.01)


def test_utterances_are_where_they_are_said_to_be(segments):
    near = segments[0].mixture.near
    assert {said.text for said in segments[0].spoken} == {f"WORD NUMBER {i}" for i in range(3)}
    for said in segments[0].spoken:
        before, inside = near[max(said.start - 16000, 0) : said.start], near[said.start : said.stop]
        assert power_db(inside) - power_db(before) > 20


def test_no_utterances_no_segments(manifest):
    assert make_segments([], load_sources(manifest, "test"), 2, seed=1) == []


def test_listeners_hear_each_signal_of_each_level(segments):
    lengths = []

    def recognise(audio):
        lengths.append(len(audio) / 16000)
        return "word number"

    def detect(audio):
        hops = audio[: len(audio) // 320 * 320].reshape(-1, 320)
        return (np.mean(hops**2, axis=1) > 1e-3 * np.mean(hops**2)).astype(np.float32)

    listeners, steps = Listeners(recognise, detect), []
    clean = rates(listen(near_end, segments, listeners, steps.append)[CLEAN])
    assert clean["wer"] == pytest.approx(1 / 3, abs=1e-3)
    assert clean["dcf"] < 0.15
    assert clean["missed_utterances"] == 0
    assert max(lengths) < 5  # an utterance at a time
    assert steps == [1, 1]
    mic = rates(listen(through(unprocessed()), segments, listeners, steps.append)[UNPROCESSED])
    assert mic["p_false"] > clean["p_false"] + 0.2
    assert set(mic["dcf_by_ser"]) == set(map(str, LEVELS_DB))


def test_nobody_listening_gives_no_rates(segments):
    heard = listen(near_end, segments[:1], Listeners(), lambda _: None)
    assert rates(heard[CLEAN])["wer"] is None
    assert rates(heard[CLEAN])["dcf"] is None
