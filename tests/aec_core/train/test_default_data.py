import csv

import numpy as np
import pytest

from aec_core.train.default_data import complete, default_manifest
from aec_core.train.manifest import read_audio, read_rows, write_manifest
from aec_core.train.sources import load_sources
from aec_core.types import SAMPLE_RATE


@pytest.fixture(scope="module")
def default(tmp_path_factory):
    return default_manifest(tmp_path_factory.mktemp("cache"))


@pytest.mark.parametrize("split", ["train", "valid", "test"])
def test_every_split_has_all_it_takes_and_nothing_is_skipped(default, split, caplog):
    sources = load_sources(default, split)
    assert caplog.text == ""
    rng = np.random.default_rng(0)
    for draw in (sources.near, sources.far, sources.noise):
        assert draw(SAMPLE_RATE, rng).any()
    kinds = {row.kind for row in read_rows(default, split)}
    assert kinds == {"speech", "noise", "music"}


def test_the_words_of_every_voice_are_told(default):
    with default.open(newline="") as file:
        lines = [line for line in csv.DictReader(file) if line["kind"] == "speech"]
    assert all(line["language"] == "en" and len(line["transcript"].split()) > 10 for line in lines)


def test_no_voice_and_no_file_is_in_two_splits(default):
    with default.open(newline="") as file:
        rows = list(csv.DictReader(file))
    for column in ("path", "speaker"):
        splits = {}
        for row in rows:
            if row["kind"] == "speech" or column == "path":
                splits.setdefault(row[column], set()).add(row["split"])
        assert all(len(own) == 1 for own in splits.values())


def test_noises_differ_between_splits_and_are_neither_silent_nor_clipped(default):
    for name in ("car", "fan", "hum", "keys", "rain", "music"):
        train, test = (read_audio(default.parent / f"{split}-{name}.flac") for split in ("train", "test"))
        assert np.abs(train).max() <= 16_400
        assert abs(np.corrcoef(train, test)[0, 1]) < 0.7
        assert np.sqrt(np.mean(train.astype(float) ** 2)) > 300


def test_a_second_call_changes_nothing(default):
    before = {path: path.read_bytes() for path in default.parent.iterdir()}
    assert default_manifest(default.parent.parent) == default
    assert {path: path.read_bytes() for path in default.parent.iterdir()} == before


def test_without_manifests_the_default_is_taken_and_missing_ones_are_named(default, tmp_path):
    cache = default.parent.parent
    assert complete([], cache) == (default,)
    with pytest.raises(FileNotFoundError, match=r"no manifest at .*none\.csv"):
        complete([default, tmp_path / "none.csv"], cache)


def test_echoes_take_people_from_the_other_manifest_or_the_default(default, tmp_path):
    cache = default.parent.parent
    line = {"path": "a.wav", "corpus": "mine", "speaker": "a", "split": "train"}
    phone, speech = tmp_path / "phone.csv", tmp_path / "speech.csv"
    write_manifest(phone, [{**line, "kind": "echo", "ref": "ref.wav"}])
    write_manifest(speech, [{**line, "kind": "speech"}])
    alone, with_speech = complete([phone], cache)[0], complete([phone, speech], cache)
    assert with_speech[1] == speech
    for path, people in ((alone, 40), (with_speech[0], 1)):
        kinds = [row.kind for row in read_rows(path, "train")]
        assert (kinds.count("echo"), kinds.count("near")) == (1, people)
