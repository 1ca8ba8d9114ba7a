import csv

import numpy as np
import pytest
import soundfile as sf

from aec_core.train.manifest import (
    Skipped,
    UnusableError,
    borrow_speech,
    read_audio,
    read_rows,
    refuse_clipped,
    summary,
    write_manifest,
    write_skipped,
)
from aec_core.train.sources import load_sources
from aec_core.types import SAMPLE_RATE
from tests.aec_core.train.corpus import voice

COLUMNS = ("path", "kind", "corpus", "speaker", "split")


def line(path, kind="speech", split="train", **more):
    return {"path": path, "kind": kind, "corpus": "mine", "speaker": "a", "split": split, **more}


def written(folder, name, audio, rate=SAMPLE_RATE, **options):
    sf.write(folder / name, audio, rate, **options)
    return folder / name


@pytest.mark.parametrize(
    ("name", "make", "reason"),
    [
        ("rate.wav", lambda good: (good, 44_100), "not at 16 kHz"),
        ("stereo.wav", lambda good: (np.stack([good, good], 1), SAMPLE_RATE), "not mono"),
        ("short.wav", lambda good: (good[:3999], SAMPLE_RATE), "shorter than 250 ms"),
        ("silent.wav", lambda good: (0.006 * good, SAMPLE_RATE), "silent"),
    ],
)
def test_each_fault_has_its_reason(tmp_path, name, make, reason):
    good = voice(1, 0)
    audio, rate = make(good / np.abs(good).max())
    with pytest.raises(UnusableError, match=reason):
        read_audio(written(tmp_path, name, audio, rate))


def test_values_that_are_no_numbers_are_found(tmp_path):
    audio = voice(1, 0)
    audio[100] = np.nan
    with pytest.raises(UnusableError, match="not a number"):
        read_audio(written(tmp_path, "nan.wav", audio, subtype="FLOAT"))


def test_missing_unreadable_and_folders(tmp_path):
    (tmp_path / "text.wav").write_text("no sound at all")
    (tmp_path / "folder.wav").mkdir()
    for name, reason in (("none.wav", "missing"), ("text.wav", "unreadable"), ("folder.wav", "missing")):
        with pytest.raises(UnusableError, match=reason):
            read_audio(tmp_path / name)


def test_samples_are_read_as_they_are_stored_and_too_loud_ones_do_not_wrap(tmp_path):
    stored = (20_000 * voice(1, 0)).astype(np.int16)
    np.testing.assert_array_equal(read_audio(written(tmp_path, "a.flac", stored)), stored)
    loud = np.linspace(-2, 2, 8000, dtype=np.float32)
    heard = read_audio(written(tmp_path, "loud.wav", loud, subtype="FLOAT"))
    assert (np.diff(heard.astype(int)) >= 0).all()


def test_a_target_may_touch_full_scale_but_not_stay_there():
    audio = np.zeros(10_000, np.int16)
    audio[:10] = -32768
    refuse_clipped(audio)
    audio[:11] = 32767
    with pytest.raises(UnusableError, match="clipped"):
        refuse_clipped(audio)


def test_clipped_speech_is_no_target_but_a_clipped_far_end_plays(tmp_path):
    clipped = np.clip(20 * voice(1, 0), -1, 1)
    written(tmp_path, "a.wav", clipped)
    written(tmp_path, "b.wav", voice(1, 0))
    manifest = tmp_path / "manifest.csv"
    write_manifest(manifest, [line("a.wav"), line("a.wav", "far"), line("b.wav")])
    sources = load_sources(manifest, "train", tmp_path / "skipped.csv")
    assert len(sources._far) == 2
    skipped = list(csv.reader((tmp_path / "skipped.csv").read_text().splitlines()))
    assert skipped == [["path", "reason"], [str(tmp_path / "a.wav"), "clipped"]]


def test_the_summary_counts_by_reason_and_names_some(tmp_path):
    skipped = [Skipped(tmp_path / f"{n}.wav", "missing") for n in range(5)]
    skipped.insert(0, Skipped(tmp_path / "x.wav", "silent"))
    assert summary(skipped) == "5 missing (0.wav, 1.wav, 2.wav, …); 1 silent (x.wav)"
    write_skipped(tmp_path / "new" / "skipped.csv", skipped)
    assert len((tmp_path / "new" / "skipped.csv").read_text().splitlines()) == 7


def test_nothing_usable_says_what_was_wrong(tmp_path):
    write_manifest(tmp_path / "m.csv", [line("none.wav"), line("neither.wav")])
    with pytest.raises(ValueError, match=r"no usable speech.*; 2 of 2 clips of split train were skipped"):
        load_sources(tmp_path / "m.csv", "train")


def test_spreadsheets_mark_the_byte_order(tmp_path):
    path = tmp_path / "m.csv"
    path.write_text(",".join(COLUMNS) + "\na.wav,speech,mine,a,train\n", encoding="utf-8-sig")
    assert [row.path for row in read_rows(path, "train")] == [tmp_path / "a.wav"]


def test_a_manifest_that_is_no_text_is_named(tmp_path):
    path = tmp_path / "m.csv"
    path.write_bytes(b"\xff\xfe\x00path,kind")
    with pytest.raises(ValueError, match=r"m\.csv is no CSV file"):
        read_rows(path, "train")


def test_echoes_count_only_where_references_can_be_named(tmp_path):
    path = tmp_path / "m.csv"
    path.write_text(",".join(COLUMNS) + "\nmic.wav,echo,phone,,train\n")
    assert read_rows(path, "train") == []
    write_manifest(path, [line("mic.wav", "echo", ref="ref.wav"), line("mic.wav", "echo")])
    assert [row.ref for row in read_rows(path, "train")] == [tmp_path / "ref.wav", None]


def test_recorded_echoes_borrow_people_and_noise_from_another_manifest(tmp_path):
    phone, speech = tmp_path / "phone" / "my_phone.csv", tmp_path / "speech.csv"
    write_manifest(phone, [line("mic.wav", "echo", ref="ref.wav")])
    write_manifest(
        speech, [line("a.wav", transcript="the words"), line("n.wav", "noise"), line("m.wav", "music")]
    )
    whole = borrow_speech(phone, [speech], tmp_path / "cache")
    rows = {row.kind: row for row in read_rows(whole, "train")}
    assert set(rows) == {"echo", "near", "noise"}
    assert (rows["echo"].path, rows["echo"].ref) == (
        tmp_path / "phone" / "mic.wav",
        tmp_path / "phone" / "ref.wav",
    )
    assert rows["near"].path == tmp_path / "a.wav"
    assert "the words" in whole.read_text()
    assert borrow_speech(phone, [speech], tmp_path / "cache") == whole
    write_manifest(speech, [line("b.wav")])
    assert borrow_speech(phone, [speech], tmp_path / "cache") != whole  # a new data set


def test_what_has_speech_or_no_echo_borrows_nothing(tmp_path):
    path = tmp_path / "m.csv"
    for lines in ([line("a.wav")], [line("a.wav", "near"), line("m.wav", "echo", ref="r.wav")]):
        write_manifest(path, lines)
        assert borrow_speech(path, [path], tmp_path / "cache") == path
    assert not (tmp_path / "cache").exists()
