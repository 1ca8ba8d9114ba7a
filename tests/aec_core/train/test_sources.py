import logging

import numpy as np
import pytest
import soundfile as sf

from aec_core.train.sources import Clip, Sources, load_sources
from aec_core.types import SAMPLE_RATE
from tests.aec_core.train.corpus import voice, write_manifest

N = 6 * SAMPLE_RATE


def rms(x):
    return float(np.sqrt(np.mean(x**2)))


def speakers(sources):
    """`(near, far)` speakers by name."""
    near = {clip.speaker for corpus in sources._near.values() for own in corpus for clip in own}
    return near, {clip.speaker for clip in sources._far}


def tone(hz, speaker):
    wave = 9000 * np.sin(2 * np.pi * hz * np.arange(SAMPLE_RATE) / SAMPLE_RATE)
    return Clip(wave.astype(np.int16), "vctk", speaker)


def one_clip(folder, **columns):
    sf.write(folder / "a.wav", voice(1, 0), SAMPLE_RATE)
    row = {
        "path": "a.wav",
        "kind": "speech",
        "corpus": "mine",
        "speaker": "a",
        "split": "train",
        "dyn_dB": "",
    }
    row |= columns
    return write_manifest(folder, [tuple(row.values())])


def test_a_split_has_its_own_speakers_in_their_roles(manifest):
    near, far = speakers(load_sources(manifest, "train"))
    assert near == {"librispeech/a", "vctk/b"}
    assert far == {"librispeech/a", "vctk/b", "fillets_ng/c", "moh/tune.flac"}
    held_out = {"librispeech/d", "librispeech/e"}
    assert speakers(load_sources(manifest, "valid")) == (held_out, held_out)


def test_noisy_recordings_play_but_are_no_target(tmp_path):
    for name in ("clean.wav", "noisy.wav"):
        sf.write(tmp_path / name, voice(1, 0), SAMPLE_RATE)
    rows = [
        ("clean.wav", "speech", "vctk", "clean", "train", "22"),
        ("noisy.wav", "speech", "vctk", "noisy", "train", "21.9"),
    ]
    near, far = speakers(load_sources(write_manifest(tmp_path, rows), "train"))
    assert near == {"vctk/clean"}
    assert far == {"vctk/clean", "vctk/noisy"}


def test_a_corpus_of_ones_own_serves_as_near_end_but_music_never(tmp_path):
    for name in ("a.wav", "tune.wav"):
        sf.write(tmp_path / name, voice(1, 0), SAMPLE_RATE)
    rows = [("a.wav", "speech", "mine", "a", "train", ""), ("tune.wav", "music", "mine", "", "train", "")]
    assert speakers(load_sources(write_manifest(tmp_path, rows), "train"))[0] == {"mine/a"}
    with pytest.raises(ValueError, match="no usable speech"):
        load_sources(write_manifest(tmp_path, rows[1:]), "train")


def test_what_cannot_be_used_is_skipped_and_counted(tmp_path, caplog):
    good = voice(1, 0)
    sf.write(tmp_path / "good.wav", good, SAMPLE_RATE)
    sf.write(tmp_path / "telephone.wav", good[:8000], 8000)
    sf.write(tmp_path / "stereo.wav", np.stack([good, good], axis=1), SAMPLE_RATE)
    sf.write(tmp_path / "short.wav", good[:3999], SAMPLE_RATE)
    sf.write(tmp_path / "silent.wav", np.zeros(8000), SAMPLE_RATE)
    (tmp_path / "broken.ogg").write_bytes(b"OggS" + bytes(100))
    names = ["good", "telephone", "stereo", "short", "silent", "missing"]
    rows = [(f"{name}.wav", "speech", "vctk", name, "train", "") for name in names]
    rows += [
        ("broken.ogg", "speech", "vctk", "broken", "train", ""),
        ("room.flac", "rir", "x", "", "train", ""),
    ]
    with caplog.at_level(logging.WARNING):
        near, far = speakers(load_sources(write_manifest(tmp_path, rows), "train"))
    assert near == far == {"vctk/good"}
    assert "6 of 7 clips of split train were skipped" in caplog.text
    assert "broken.ogg" in caplog.text


def test_kinds_near_and_far_keep_to_their_end(tmp_path):
    for name in ("a", "b"):
        sf.write(tmp_path / f"{name}.wav", voice(1, 0), SAMPLE_RATE)
    rows = [("a.wav", "near", "librispeech", "a", "train", ""), ("b.wav", "far", "tts", "b", "train", "")]
    near, far = speakers(load_sources(write_manifest(tmp_path, rows), "train"))
    assert (near, far) == ({"librispeech/a"}, {"tts/b"})


@pytest.mark.parametrize("columns", [{"path": "missing.wav"}, {"split": "test"}, {"kind": "noise"}])
def test_nothing_left_is_an_error(tmp_path, columns):
    with pytest.raises(ValueError, match="no usable speech"):
        load_sources(one_clip(tmp_path, **columns), "train")


def test_wrong_manifests_are_named(tmp_path):
    with pytest.raises(ValueError, match="lacks the columns speaker, split"):
        load_sources(write_manifest(tmp_path, [], ("path", "kind", "corpus")), "train")
    with pytest.raises(ValueError, match=r"dyn_dB of a\.wav is 'loud'"):
        load_sources(one_clip(tmp_path, dyn_dB="loud"), "train")


def test_a_short_row_and_no_dynamics_are_forgiven(tmp_path):
    sf.write(tmp_path / "a.wav", voice(1, 0), SAMPLE_RATE)
    path = write_manifest(
        tmp_path, [("train", "speech", "a.wav")], ("split", "kind", "path", "corpus", "speaker")
    )
    assert speakers(load_sources(path, "train"))[0] == {"/a.wav"}


@pytest.mark.parametrize("kind", ["near", "one_talker", "far", "noise"])
def test_draws_have_the_length_and_follow_the_seed(sources, kind):
    draw = getattr(sources, kind)
    first, again, other = (draw(N, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first.shape == (N,)
    assert np.isfinite(first).all()
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-3


def test_near_and_far_are_never_silent(sources):
    rng = np.random.default_rng(0)
    for _ in range(30):
        assert rms(sources.near(SAMPLE_RATE, rng)) > 1e-3
        assert rms(sources.far(SAMPLE_RATE, rng)) > 1e-3


def test_near_end_speech_has_gaps_and_the_far_end_is_one_speaker():
    sources = Sources([tone(500, "a")], [tone(1000, "b"), tone(2000, "c")], [])
    rng = np.random.default_rng(3)
    near = sources.near(20 * SAMPLE_RATE, rng)
    assert 0.05 < np.mean(near == 0) < 0.9
    for _ in range(5):
        power = np.abs(np.fft.rfft(sources.far(SAMPLE_RATE * 4, rng))) ** 2
        b, c = (power[4 * hz - 40 : 4 * hz + 40].sum() for hz in (1000, 2000))
        assert min(b, c) < 1e-3 * max(b, c)


def test_one_talker_is_one_voice_without_gaps_or_overlaps():
    seconds = 20
    sources = Sources([tone(500, "a"), tone(1000, "b"), tone(2000, "c")], [tone(500, "a")], [])
    for seed in range(5):
        talk = sources.one_talker(seconds * SAMPLE_RATE, np.random.default_rng(seed))
        power = np.abs(np.fft.rfft(talk)) ** 2
        voices = sorted(power[seconds * (hz - 5) : seconds * (hz + 5)].sum() for hz in (500, 1000, 2000))
        assert voices[1] < 1e-3 * voices[2]
        level = np.sqrt(np.mean(talk[SAMPLE_RATE // 2 :].reshape(-1, 800) ** 2, axis=1))
        np.testing.assert_allclose(level, 0.1, rtol=0.02)  # two at once, or a gap, would show


def test_without_recordings_noise_is_white_to_pink():
    sources = Sources(*[[Clip(np.full(8000, 900, np.int16), "vctk", "a")]] * 2, [])
    power = np.abs(np.fft.rfft(sources.noise(N, np.random.default_rng(5)))) ** 2
    low, high = power[len(power) // 100 : len(power) // 10].mean(), power[len(power) // 2 :].mean()
    assert 1 <= low / high < 100
