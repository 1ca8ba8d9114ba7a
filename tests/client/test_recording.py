from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from scipy import signal

import client.recordings

HERE = Path(client.recordings.__file__).parent
FACTS = json.loads((HERE / "transcript.json").read_text(encoding="utf-8"))
RATE = FACTS["sample_rate"]


def read(name: str) -> np.ndarray:
    audio, rate = soundfile.read(HERE / name)
    assert rate == RATE == 16_000
    return audio


@pytest.fixture(scope="module")
def tracks() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return read("mic.wav"), read("ref.wav"), read("near.flac")


def test_files_are_mono_of_equal_length_and_do_not_clip(tracks):
    for track in tracks:
        assert track.shape == (FACTS["samples"],)
        assert 0.05 < np.abs(track).max() < 0.99
    assert 20 <= FACTS["samples"] / RATE <= 40


def test_person_talks_twice_while_the_agent_talks(tracks):
    _, ref, near = tracks
    assert len(FACTS["person"]) == 2
    for sentence in FACTS["person"]:
        spoken = slice(sentence["start"], sentence["end"])
        assert FACTS["agent"]["start"] < sentence["start"] < sentence["end"] < FACTS["agent"]["end"]
        assert np.std(near[spoken]) > 0.02
        assert np.std(ref[spoken]) > 0.05


def test_person_is_silent_elsewhere(tracks):
    near, silent = tracks[2].copy(), np.ones(FACTS["samples"], dtype=bool)
    for sentence in FACTS["person"]:
        silent[sentence["start"] : sentence["end"] + round(0.3 * RATE)] = (
            False  # the room rings after the last word
        )
    assert np.abs(near[silent]).max() == 0


def test_echo_is_ten_decibels_louder_than_the_person(tracks):
    mic, _, near = tracks
    spoken = np.zeros(FACTS["samples"], dtype=bool)
    for sentence in FACTS["person"]:
        spoken[sentence["start"] : sentence["end"]] = True
    ser_db = 20 * np.log10(np.std(near[spoken]) / np.std((mic - near)[spoken]))
    assert ser_db == pytest.approx(FACTS["ser_db"], abs=0.3)


def test_echo_lags_by_the_stated_delay(tracks):
    mic, ref, _ = tracks
    alone = slice(0, FACTS["person"][0]["start"])
    cross = np.fft.rfft(mic[alone], 2**18) * np.fft.rfft(ref[alone], 2**18).conj()
    lag = int(np.argmax(np.fft.irfft(cross / (np.abs(cross) + 1e-9))))
    assert lag == pytest.approx(FACTS["delay_ms"] * RATE / 1000, abs=16)


def test_echo_is_not_linear(tracks):
    mic, ref, _ = tracks
    alone, late = slice(8000, FACTS["person"][0]["start"]), FACTS["delay_ms"] * RATE // 1000
    _, power = signal.welch(mic[alone][late:], RATE, nperseg=4096)
    _, coherence = signal.coherence(mic[alone][late:], ref[alone][:-late], RATE, nperseg=4096)
    best_erle_db = -10 * np.log10(np.sum(power * (1 - coherence)) / np.sum(power))
    assert 6 < best_erle_db < 14, "a phone leaves this much to a linear filter, no less and no more"


def test_recording_is_small_enough_for_git():
    assert sum(path.stat().st_size for path in HERE.iterdir() if path.is_file()) < 2.5e6


def test_page_plays_the_same_agent(tracks):
    clip, rate = soundfile.read(HERE.parent / "web" / "agent.mp3")
    ref = tracks[1]
    assert rate == RATE
    size = 2 ** (len(ref) + len(clip)).bit_length()
    cross = np.fft.irfft(np.fft.rfft(clip, size) * np.fft.rfft(ref, size).conj())
    assert cross.max() > 0.95 * np.linalg.norm(clip) * np.linalg.norm(ref)


def test_readme_quotes_both_sentences():
    readme = (HERE / "README.md").read_text(encoding="utf-8")
    assert all(f"> {sentence['text']}" in readme for sentence in FACTS["person"])
