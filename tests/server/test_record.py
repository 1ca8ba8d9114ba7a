"""Recordings: who can read them, how long they stay, and that a session can be run again from one."""

import json
import os
import stat
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner
from websockets.asyncio.client import connect

from client.cli import app
from client.duplex import DuplexClient
from client.replay import replay
from server.bundle import Bundle, prune, read_messages, read_sound
from server.metrics import Metrics
from server.record import QUEUED, Recorder

ID = "sess_0_0123456789abcdef"


async def talk(url: str, seconds: float = 2.0) -> dict[str, Any]:
    """Send an echo with some noise over it; return the description of the session."""
    random = np.random.default_rng(3)
    ref = (3000 * random.standard_normal(round(16_000 * seconds))).astype(np.int16)
    mic = (np.roll(ref, 900) // 2 + 300 * random.standard_normal(len(ref))).astype(np.int16)
    async with DuplexClient(url, collect=True, session={"aec": {"beta_asr": 0.3}}) as client:
        for start in range(0, len(mic), 320):
            await client.send(mic[start : start + 320], ref[start : start + 320])
            while client.sent - client.cleaned.end > 3200:
                client.progress.clear()
                await client.progress.wait()
        await client.commit()
        while client.sent - client.cleaned.end > client.session["latency_samples"]:
            client.progress.clear()
            await client.progress.wait()
        return client.session


@pytest.fixture
def recorded(start_server: Callable[..., Any], tmp_path: Path):
    """Return how to record a session: its bundle, complete, and its description."""
    server = start_server(record=tmp_path / "kept", max_behind_s=60)

    with urllib.request.urlopen(f"{server.http}/v1/config", timeout=10) as answer:
        assert json.load(answer)["recorded"] is True, "people can know"

    async def record() -> tuple[Path, dict[str, Any]]:
        session = await talk(server.url)
        server.stop = lambda: None  # it is stopped here: then all is written
        type(server).stop(server)
        (bundle,) = (tmp_path / "kept").iterdir()
        return bundle, session

    return record


async def test_a_recorded_session_runs_again_bit_for_bit(recorded: Callable[[], Any]):
    bundle, session = await recorded()
    again = replay(bundle)
    then = read_sound(bundle, "asr")
    assert (again.different, again.largest) == (0, 0)
    assert len(then) >= 1.9 * 16_000
    assert np.abs(then).max() > 0
    np.testing.assert_array_equal(then, again.asr[: len(then)])
    shown = CliRunner().invoke(app, ["replay", str(bundle)])
    assert shown.exit_code == 0, shown.output
    assert "different  0 samples" in shown.output

    files = {path.name: path for path in bundle.iterdir()}
    assert set(files) == {
        "mic.wav",
        "ref.wav",
        "vad.wav",
        "asr.wav",
        "events.jsonl",
        "messages.bin",
        "config.json",
    }
    assert stat.S_IMODE(bundle.stat().st_mode) == stat.S_IMODE(bundle.parent.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in files.values()} == {0o600}
    for path in files.values():
        assert session["resume_token"].encode() not in path.read_bytes(), path.name
    events = [json.loads(line)["type"] for line in files["events.jsonl"].read_text().splitlines()]
    assert events[:2] == ["session.created", "session.updated"]
    assert "duplex.recording.gap" not in events

    data = bytearray(files["messages.bin"].read_bytes())
    data[-20_000:-10_000] = bytes(10_000)  # what is no frame of ours
    files["messages.bin"].write_bytes(data)
    broken = CliRunner().invoke(app, ["replay", str(bundle)])
    assert broken.exit_code == 1
    assert "Traceback" not in broken.output


async def test_without_record_nothing_is_stored(server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    opened: list[str] = []
    real = os.open
    monkeypatch.setattr(
        os, "open", lambda path, *rest, **named: opened.append(str(path)) or real(path, *rest, **named)
    )
    async with connect(server.url, proxy=None) as socket:
        await socket.recv()
    assert server.service.settings.record is None
    assert not opened


def bundle_of(folder: Path, when: str, size: int) -> Path:
    path = folder / f"{when}_{ID}"
    path.mkdir()
    (path / "mic.wav").write_bytes(bytes(size))
    return path


def test_old_bundles_and_then_the_oldest_go(tmp_path: Path):
    old, second, third = (
        bundle_of(tmp_path, when, 100)
        for when in ("20200101T000000Z", "20990101T000000Z", "20990102T000000Z")
    )
    mine = tmp_path / "holiday"
    mine.mkdir()
    (tmp_path / f"20200101T000001Z_{ID}").symlink_to(mine)

    assert prune(tmp_path, 3600, 1000) == [old]
    assert prune(tmp_path, 3600, 150) == [second]
    assert third.exists()
    assert mine.exists()


def test_what_another_process_still_writes_is_left_alone(tmp_path: Path):
    script = (
        "import sys, time; from pathlib import Path; from server.bundle import Bundle;"
        f"bundle = Bundle(Path({str(tmp_path)!r}), {ID!r}, {{}}); print('.', flush=True); sys.stdin.read()"
    )
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", script], **pipes) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        (bundle,) = tmp_path.iterdir()
        assert prune(tmp_path, -60, 1e9) == []
        writer.kill()  # even then it is not kept for ever
        writer.wait()
        assert prune(tmp_path, -60, 1e9) == [bundle]


def test_names_cannot_leave_the_folder_and_nothing_is_overwritten(tmp_path: Path):
    Bundle(tmp_path, ID, {}).close()
    (bundle,) = tmp_path.iterdir()
    assert bundle.name.endswith(ID)
    with pytest.raises(OSError):  # noqa: PT011 (another error on each system)
        Bundle(tmp_path, "../../escape", {})


def test_messages_are_read_as_they_were_written_and_a_cut_end_is_left_out(tmp_path: Path):
    bundle = Bundle(tmp_path, ID, {})
    bundle.add_message(b"\x00\xff")
    bundle.add_message('{"type": "ü"}')
    bundle.add_message(b"cut")
    bundle.close()
    file = bundle.path / "messages.bin"
    file.write_bytes(file.read_bytes()[:-1])
    assert list(read_messages(bundle.path)) == [b"\x00\xff", '{"type": "ü"}']


def test_a_slow_disk_costs_the_recording_only(tmp_path: Path):
    recorder = Recorder(tmp_path, 3600, 1e9, Metrics())
    held = threading.Event()
    recorder._put(lambda: bool(held.wait(30)) and None)
    dropped = [recorder._put(lambda: None) for _ in range(QUEUED + 10)].count(False)
    held.set()
    recorder.close()
    assert dropped >= 9
    assert recorder._metrics.unrecorded._value.get() == dropped
