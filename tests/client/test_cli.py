"""The command line without a server: help, and what it says to bad input."""

import subprocess
import sys

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from client.cli import app
from client.local_server import free_port

COMMANDS = ("demo", "cancel", "serve", "stream", "loopback", "bench", "evaluate", "train", "ablate", "export")
HEAVY = ("numpy", "scipy", "torch", "onnxruntime", "soundfile", "fastapi", "websockets", "aec_core", "server")


def run(*args: object):
    return CliRunner().invoke(app, [str(arg) for arg in args])


def write(path, audio, rate=16_000):
    soundfile.write(path, audio, rate)
    return path


@pytest.fixture
def noise(tmp_path):
    return write(tmp_path / "noise.wav", np.random.default_rng(0).normal(0, 0.05, 16_000))


def test_help_names_every_command():
    result = run("--help")
    assert result.exit_code == 0
    for command in COMMANDS:
        assert command in result.output


@pytest.mark.parametrize("args", [["--help"], *([command, "--help"] for command in COMMANDS)])
def test_help_imports_nothing_heavy(args):
    code = (
        "import sys\nfrom client.cli import app\n"
        f"try:\n    app({args!r})\nexcept SystemExit as stop:\n    assert not stop.code, stop.code\n"
        f"heavy = [name for name in {HEAVY!r} if name in sys.modules]\nassert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_without_arguments_shows_the_help():
    assert "duplex" in run().output.lower() or "usage" in run().output.lower()


class TestCancelRefuses:
    def test_a_missing_file(self, tmp_path, noise):
        result = run("cancel", tmp_path / "none.wav", noise, tmp_path / "out.wav")
        assert result.exit_code == 1
        assert "none.wav: no such file" in result.stderr

    def test_a_file_that_is_no_audio(self, tmp_path, noise):
        text = tmp_path / "text.wav"
        text.write_text("hello")
        result = run("cancel", text, noise, tmp_path / "out.wav")
        assert result.exit_code == 1
        assert "not a readable audio file" in result.stderr

    def test_an_empty_file(self, tmp_path, noise):
        result = run("cancel", noise, write(tmp_path / "empty.wav", np.zeros(0)), tmp_path / "out.wav")
        assert result.exit_code == 1
        assert "empty.wav: holds no samples" in result.stderr

    def test_nan(self, tmp_path, noise):
        bad = tmp_path / "bad.wav"
        soundfile.write(bad, np.array([0.0, np.nan, 0.0]), 16_000, subtype="FLOAT")
        result = run("cancel", noise, bad, tmp_path / "out.wav")
        assert result.exit_code == 1
        assert "NaN" in result.stderr

    @pytest.mark.parametrize("which", [0, 1])
    def test_to_overwrite_an_input(self, tmp_path, noise, which):
        other = write(tmp_path / "other.wav", np.zeros(16_000))
        before = noise.read_bytes(), other.read_bytes()
        result = run("cancel", noise, other, (noise, other)[which])
        assert result.exit_code == 1
        assert "overwritten" in result.stderr
        assert (noise.read_bytes(), other.read_bytes()) == before

    def test_a_directory_that_is_not_there(self, tmp_path, noise):
        result = run("cancel", noise, noise, tmp_path / "none" / "out.wav")
        assert result.exit_code == 1
        assert "no such directory" in result.stderr

    @pytest.mark.parametrize("name", ["out.mp3", "out.txt", "out"])
    def test_a_name_that_is_no_format(self, tmp_path, noise, name):
        result = run("cancel", noise, noise, tmp_path / name)
        assert result.exit_code == 1
        assert ".wav or .flac" in result.stderr

    @pytest.mark.parametrize("option", [("--beta", "3"), ("--linear", "nlms"), ("--stage", "half")])
    def test_options_out_of_range(self, tmp_path, noise, option):
        assert run("cancel", noise, noise, tmp_path / "out.wav", *option).exit_code == 2


class TestServeRefuses:
    def test_an_unknown_key_in_the_config(self, tmp_path):
        config = tmp_path / "duplex.toml"
        config.write_text("colour = 'red'\n")
        result = run("serve", "--config", config)
        assert result.exit_code == 2
        assert "colour" in result.stderr

    def test_a_model_that_is_none(self, tmp_path):
        model = tmp_path / "model.safetensors"
        model.write_text("weights")
        result = run("serve", "--model", model, "--port", free_port(), "--asr", "none")
        assert result.exit_code == 1
        assert f"{model} is not a safetensors file" in result.output

    def test_a_recogniser_that_is_not_whole(self, tmp_path):
        (tmp_path / "config.yaml").touch()
        options = ("--asr", "paraformer", "--asr-model", tmp_path, "--port", free_port())
        result = run("serve", *options)
        assert result.exit_code == 1
        assert f"{tmp_path} is not a Paraformer directory: it lacks model.pt" in result.output

    def test_a_missing_config(self, tmp_path):
        result = run("serve", "--config", tmp_path / "none.toml")
        assert result.exit_code == 2
        assert "none.toml" in result.stderr


def test_stream_says_that_nobody_listens(noise):
    result = run("stream", noise, noise, "--url", "ws://127.0.0.1:9/v1/realtime", "--jsonl")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "nothing listens at ws://127.0.0.1:9" in result.stderr


def test_stream_says_that_an_address_is_none(noise):
    result = run("stream", noise, noise, "--url", "telnet://127.0.0.1:9/")
    assert result.exit_code == 1
    assert "telnet" in result.stderr


def test_stream_makes_the_directory_before_it_plays(noise):
    result = run("stream", noise, noise, "--url", "ws://127.0.0.1:9/", "--save-dir", noise / "below")
    assert result.exit_code == 1
    assert "below: cannot be made" in result.stderr


@pytest.mark.parametrize("streams", ["none", "0", "1,-2", ""])
def test_bench_refuses_bad_counts(streams):
    result = run("bench", "--streams", streams)
    assert result.exit_code == 2
    assert "--streams" in result.stderr
