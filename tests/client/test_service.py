"""The client and the commands against the real server, over real sockets."""

import json
import socket
import subprocess
import sys
import urllib.request
from itertools import pairwise

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner
from websockets.sync.client import connect

from aec_core import EchoCanceller
from client.cancel import cancel
from client.cli import app
from client.duplex import DuplexClient
from client.local_server import ServerFailedError, local_server
from client.recording import shipped
from client.stream import stream_pair

RATE = 16_000


@pytest.fixture(scope="module")
def pair():
    """Return the seconds of the shipped recording around the person's first sentence."""
    recording, here = shipped(), slice(4 * RATE, 13 * RATE)
    return recording.mic[here], recording.ref[here]


@pytest.fixture
def files(tmp_path, pair):
    paths = tmp_path / "mic.wav", tmp_path / "ref.wav"
    for path, audio in zip(paths, pair, strict=True):
        soundfile.write(path, audio, RATE)
    return paths


def kinds(events):
    return [event["type"] for event in events]


async def test_the_cleaned_audio_is_the_cancellers(server, pair):
    short = [audio[: 3 * RATE] for audio in pair]
    result = await stream_pair(server.url, *short, speed="max")
    quantised = [np.round(audio * 32768) / np.float32(32768) for audio in short]
    expected = cancel(EchoCanceller.pretrained(), *quantised, "full", lambda *_: None)
    assert len(result.vad) == len(result.asr) == 3 * RATE
    np.testing.assert_allclose(result.asr / 32768, expected, atol=2e-4)


async def test_the_session_holds_what_was_asked_for(server):
    async with DuplexClient(server.url, rate=48_000, session={"aec": {"enabled": False}}) as client:
        assert client.session["audio"]["input"]["format"]["rate"] == 48_000
        assert client.session["aec"]["enabled"] is False
        assert client.session["backends"]["asr"] == "none"
        await client.update_session({"duplex": {"stats_hz": 10}})
        async for event in client:
            if event["type"] == "session.updated":
                break
        assert event["session"]["duplex"]["stats_hz"] == 10


@pytest.mark.parametrize("detection", [{"type": "semantic_vad", "eagerness": "auto"}, None])
async def test_the_iteration_ends_with_the_last_turn(server, pair, detection):
    mic, ref = (audio[: 5 * RATE] for audio in pair)  # ends while the person speaks
    session = {"audio": {"input": {"turn_detection": detection}}}
    async with DuplexClient(server.url, session=session) as client:
        await client.send(mic, ref)
        await client.finish()
        events = [event async for event in client]
        assert [event async for event in client] == []
    assert "input_audio_buffer.committed" in kinds(events)


async def test_the_iteration_ends_although_nobody_spoke(server):
    async with DuplexClient(server.url) as client:
        await client.send(np.zeros(RATE, np.float32), np.zeros(RATE, np.float32))
        await client.finish()
        events = [event async for event in client]
    assert events
    assert "error" not in kinds(events)


async def test_the_server_understands_all_that_the_client_can_say(server):
    silence = np.zeros(RATE, np.int16)
    async with DuplexClient(server.url) as client:
        await client.playback(True, "item_1", 20)
        await client.playback(False)
        await client.clear()
        await client.cancel_response()
        await client.truncate("item_1", 1500)
        await client.commit()
        await client.send(silence, silence)
        await client.finish()
        errors = [event["error"] async for event in client if event["type"] == "error"]
    # Understood, though there is no agent and nobody spoke.
    assert [error["code"] for error in errors] == ["no_agent", "no_agent", "input_audio_buffer_commit_empty"]


async def test_two_sessions_at_once_do_not_mix(server, pair):
    mic, ref = (audio[: 2 * RATE] for audio in pair)
    alone = await stream_pair(server.url, mic, ref, speed="max")
    async with DuplexClient(server.url) as other:
        noise = np.random.default_rng(0).normal(0, 0.1, RATE).astype(np.float32)
        await other.send(noise[:3200], noise[:3200])
        beside = await stream_pair(server.url, mic, ref, speed="max")
    np.testing.assert_allclose(beside.asr, alone.asr, atol=3)


def test_stream_prints_json_and_saves(server, files, tmp_path):
    out = tmp_path / "out"
    arguments = [
        "stream",
        *map(str, files),
        "--url",
        server.url,
        "--speed",
        "max",
        "--jsonl",
        "--save-dir",
        str(out),
    ]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.stderr
    events = [json.loads(line) for line in result.stdout.splitlines()]
    assert kinds(events)[:2] == ["session.created", "session.updated"]
    assert "error" not in kinds(events)
    acks = [event["next_seq"] for event in events if event["type"] == "duplex.ack"]
    assert all(a < b for a, b in pairwise(acks))
    for name in ("vad.wav", "asr.wav"):
        audio, rate = soundfile.read(out / name)
        assert (rate, audio.shape) == (RATE, (9 * RATE,))


def test_stream_for_people(server, files):
    result = CliRunner().invoke(app, ["stream", *map(str, files), "--url", server.url, "--speed", "max"])
    assert result.exit_code == 0, result.stderr
    assert "session" in result.stdout
    assert "{" not in result.stdout


def test_stream_draws_why_turns_began_and_ended(server, files, tmp_path):
    picture = tmp_path / "new" / "trace.png"
    command = ["stream", *map(str, files), "--url", server.url, "--speed", "max", "--jsonl"]
    result = CliRunner().invoke(app, [*command, "--trace", str(picture)])
    assert result.exit_code == 0, result.stderr
    assert picture.read_bytes().startswith(b"\x89PNG")
    traces = [
        event for event in map(json.loads, result.stdout.splitlines()) if event["type"] == "duplex.trace"
    ]
    hops = sum(len(trace["speech"]) for trace in traces)
    assert hops >= 9 * RATE / 320
    decisions = [each["decision"] for trace in traces for each in trace["decisions"]]
    assert decisions[:2] == ["started", "duck"]
    assert "stopped" in decisions

    result = CliRunner().invoke(app, [*command, "--trace", "trace.jpg"])
    assert (result.exit_code, "trace.jpg should end in .png" in result.stderr) == (2, True)


def test_stream_says_that_the_server_refused(start_server, files):
    server = start_server(token="secret")
    result = CliRunner().invoke(app, ["stream", *map(str, files), "--url", server.url])
    assert result.exit_code == 1
    assert "HTTP 401" in result.stderr
    command = ["stream", *map(str, files), "--url", server.url, "--speed", "max"]
    shown = CliRunner().invoke(app, command, env={"DUPLEX_TOKEN": "secret"})
    assert shown.exit_code == 0, shown.stderr


class TestLocalServer:
    def test_serves_and_stops(self):
        with local_server("--asr", "none") as running:
            answer = urllib.request.urlopen(f"{running.page}v1/config", timeout=5).read()
            assert json.loads(answer)["backends"]["asr"] == "none"
        with pytest.raises(OSError, match="refused"):
            urllib.request.urlopen(running.page, timeout=5)

    def test_the_limits_of_other_services_are_not_its_own(self, monkeypatch):
        for name, value in (
            ("TOKEN", "secret"),
            ("IDLE_S", "0.1"),
            ("MAX_SESSIONS", "1"),
            ("AGENT", "parrot"),
        ):
            monkeypatch.setenv(f"DUPLEX_{name}", value)
        with local_server("--asr", "none") as running, connect(running.url, proxy=None) as socket:
            session = json.loads(socket.recv())["session"]
            assert session["limits"]["idle_ms"] == 60_000
            assert session["duplex"]["agent"] == "parrot"
            with connect(running.url, proxy=None) as other:
                assert json.loads(other.recv())["type"] == "session.created"

    def test_says_what_the_server_said(self):
        with pytest.raises(ServerFailedError, match="--asr"), local_server("--asr", "nonsense"):
            pass

    def test_a_port_in_use_is_named(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            with (
                pytest.raises(ServerFailedError, match="in use"),
                local_server("--asr", "none", port=taken.getsockname()[1]),
            ):
                pass


@pytest.mark.slow
def test_the_demo_recognises_both_sentences():
    done = subprocess.run(
        [sys.executable, "-m", "client.cli", "demo", "--once"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
