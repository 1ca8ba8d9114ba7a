"""Who may talk, and what counts as a sentence."""

import csv
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from client.conversation.voices import Saying, load_voices

CLIPS = Path(__file__).parents[3] / "aec_core" / "train" / "clips"


def test_the_shipped_clips_are_cut_into_their_sentences(voices):
    with (CLIPS / "manifest.csv").open(encoding="utf-8") as file:
        texts = [line["transcript"] for line in csv.DictReader(file) if line["split"] == "test"]
    sentences = [saying.text for talker in voices.talkers for saying in talker.sayings]
    assert sorted(" ".join(texts).split(". ")) == sorted(" ".join(sentences).split(". "))
    assert len(sentences) == 2 * len(texts)
    for talker in voices.talkers:
        assert talker.english
        assert talker.whole == talker.sayings
        for saying in talker.sayings:
            assert 1.0 <= len(saying.audio) / 16_000 <= 5.0
            edges = [np.abs(saying.audio[part]).max() for part in (slice(320), slice(-640, None))]
            assert min(edges) > 0.005 * np.abs(saying.audio).max()  # nothing but speech


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("It rains.", True),
        ("Does it?", True),
        ("„Nein!“", False),
        ("“No!”", True),
        ("下雨了。", True),
        ("AND THEN HE", False),
        ("Well,", False),
    ],
)
def test_a_whole_sentence_ends_as_sentences_do(text, whole):
    assert Saying(np.zeros(1, np.float32), text).whole is whole


def write(folder, speakers):
    rng = np.random.default_rng(0)
    lines = ["path,kind,corpus,speaker,split,language,transcript"]
    for name, (split, language, text) in speakers.items():
        sf.write(folder / f"{name}.wav", 0.1 * rng.standard_normal(32_000), 16_000)
        lines.append(f"{name}.wav,speech,c,{name},{split},{language},{text}")
    (folder / "m.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder / "m.csv"


def test_a_split_and_those_that_are_asked_for_besides(tmp_path):
    manifest = write(
        tmp_path,
        {
            "a": ("test", "en", "One."),
            "b": ("test", "de", "Zwei."),
            "c": ("train", "en", "three"),
            "d": ("test", "en", ""),
        },
    )
    voices = load_voices(manifest, "test")
    assert [talker.name for talker in voices.talkers] == ["c/a", "c/b"]
    assert [talker.english for talker in voices.talkers] == [True, False]
    with_c = load_voices(manifest, "test", ["c", "nobody"])
    assert [talker.name for talker in with_c.talkers] == ["c/a", "c/b", "c/c"]
    assert not with_c.talkers[2].whole
    with pytest.raises(ValueError, match="0 speakers with transcripts in split valid"):
        load_voices(manifest, "valid")


def test_a_missing_file_is_left_out(tmp_path):
    manifest = write(tmp_path, dict.fromkeys("abc", ("test", "en", "One.")))
    (tmp_path / "b.wav").unlink()
    assert [talker.name for talker in load_voices(manifest, "test").talkers] == ["c/a", "c/c"]
