"""Files become mono at one rate, and pairs equally long."""

import numpy as np
import pytest
import soundfile

from client.audio import AudioFileError, load_mono, load_pair, save


def tone(rate, seconds, hz=440.0):
    return 0.5 * np.sin(2 * np.pi * hz * np.arange(round(rate * seconds)) / rate)


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 48_000])
def test_any_rate_keeps_pitch_and_length(tmp_path, rate):
    path = tmp_path / "tone.wav"
    soundfile.write(path, tone(rate, 1.0), rate)
    audio = load_mono(path, 16_000)
    assert audio.dtype == np.float32
    assert abs(len(audio) - 16_000) <= 1
    middle = slice(2_000, 14_000)
    np.testing.assert_allclose(audio[middle], tone(16_000, 1.0)[middle], atol=2e-3)


def test_stereo_becomes_the_mean(tmp_path):
    path = tmp_path / "stereo.wav"
    soundfile.write(path, np.stack([tone(16_000, 0.1), np.zeros(1_600)], axis=1), 16_000)
    np.testing.assert_allclose(load_mono(path, 16_000), tone(16_000, 0.1) / 2, atol=1e-4)


@pytest.mark.parametrize(("seconds", "word"), [(0.5, "shorter"), (1.5, "longer")])
def test_the_reference_gets_the_length_of_the_microphone(tmp_path, seconds, word):
    mic, ref = tmp_path / "mic.wav", tmp_path / "ref.wav"
    soundfile.write(mic, tone(16_000, 1.0), 16_000)
    soundfile.write(ref, tone(16_000, seconds), 16_000)
    mic_audio, ref_audio, warning = load_pair(mic, ref, 16_000)
    assert len(mic_audio) == len(ref_audio) == 16_000
    assert warning is not None
    assert f"0.50 s {word}" in warning
    assert not ref_audio[8_000:].any() or word == "longer"


def test_equal_lengths_need_no_warning(tmp_path):
    path = tmp_path / "tone.wav"
    soundfile.write(path, tone(16_000, 1.0), 16_000)
    assert load_pair(path, path, 16_000)[2] is None


def test_save_clips_instead_of_wrapping(tmp_path):
    save(tmp_path / "loud.wav", np.array([2.0, -2.0], np.float32), 16_000)
    audio, _ = soundfile.read(tmp_path / "loud.wav", dtype="int16")
    assert audio.tolist() == [32767, -32768]


def test_save_says_why_it_cannot(tmp_path):
    with pytest.raises(AudioFileError, match=r"out\.nothing"):
        save(tmp_path / "out.nothing", np.zeros(10, np.float32), 16_000)
