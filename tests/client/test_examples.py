"""Each example as a user runs it, all against one server."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from client.recording import shipped

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
RATE = 16_000


@pytest.fixture(scope="module")
def url(start_servers):
    return start_servers(asr="whisper", max_behind_s=60).url


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    """Return files with the shipped call around the first sentence, and the person in it alone."""
    folder, recording = tmp_path_factory.mktemp("sounds"), shipped()
    near, _ = soundfile.read(Path(__file__).parents[2] / "client" / "recordings" / "near.flac")
    for name, audio in {"mic": recording.mic, "ref": recording.ref, "near": near}.items():
        soundfile.write(folder / f"{name}.wav", audio[6 * RATE : 12 * RATE], RATE)
    return folder


def run(name, *arguments):
    command = [sys.executable, str(EXAMPLES / name), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_minimal(url, sounds):
    said = run("minimal.py", sounds / "mic.wav", sounds / "ref.wav", "--url", url)
    assert "input_audio_buffer.speech_started" in said
    assert "weather" in said


def test_captions(url, sounds):
    said = run("captions.py", sounds / "mic.wav", sounds / "ref.wav", "--url", url, "--speed", "max")
    assert "weather" in said.splitlines()[-1]


def test_own_agent(url, sounds):
    said = run("own_agent.py", sounds / "ref.wav", sounds / "near.wav", "--url", url)
    assert "interrupted after 2." in said
    assert "weather" in said


def test_clean(sounds, tmp_path):
    run("clean.py", sounds / "mic.wav", sounds / "ref.wav", tmp_path / "out.wav")
    mic, near, out = (
        soundfile.read(path)[0] for path in (sounds / "mic.wav", sounds / "near.wav", tmp_path / "out.wav")
    )
    assert len(out) == len(mic)
    assert np.corrcoef(mic, near)[0, 1] < 0.2
    assert np.corrcoef(out, near)[0, 1] > 0.6


def test_a_dialogue_with_pytest():
    command = [sys.executable, "-m", "pytest", "-q", str(EXAMPLES / "test_dialogue.py")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout
