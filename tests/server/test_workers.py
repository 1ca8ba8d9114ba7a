"""`duplex serve --workers`: real processes behind one port, over real sockets."""

import asyncio
import json
import os
import re
import signal
import stat
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile
from prometheus_client.parser import text_string_to_metric_families
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from client.connect import Address
from client.duplex import DuplexClient, RefusedError
from client.local_server import spawn
from client.recording import shipped
from client.scrape import ServerMetrics
from server.settings import Settings
from server.siblings import merge_metrics
from server.supervisor import worker_names
from tests.client.cable import Cable

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads Linux's list of processes")
RATE = 16_000
SMALL = {"DUPLEX_MAX_SESSIONS": "8", "DUPLEX_MAX_LOAD": "1", "DUPLEX_MAX_BEHIND_S": "60"}
PASSING = {"aec": {"enabled": False}, "audio": {"input": {"turn_detection": None}}}


class Service:
    """A running `duplex serve`."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path):
        self.process = process
        self._log = log
        self.folder = log.parent

    @property
    def log(self) -> str:
        return self._log.read_text()

    @property
    def port(self) -> int:
        return int(re.search(r"page +https?://127\.0\.0\.1:(\d+)/", self.log)[1])

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/v1/realtime"

    @property
    def workers(self) -> dict[str, int]:
        """The process of each worker."""
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        lines = {child: Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0") for child in children}
        return {words[3].decode(): int(child) for child, words in lines.items() if b"server.worker" in words}

    def until_ready(self, times: int) -> None:
        """Wait until workers have become ready so often."""
        deadline = time.monotonic() + 60
        while self.log.count("is ready") < times:
            assert self.process.poll() is None, self.log
            assert time.monotonic() < deadline, self.log
            time.sleep(0.02)

    def get(self, path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}") as answer:
            return answer.read().decode()

    def metric(self, name: str) -> dict[str, float]:
        """Return the metric of each worker."""
        families = text_string_to_metric_families(self.get("/metrics"))
        samples = (sample for family in families for sample in family.samples)
        return {each.labels["worker"]: each.value for each in samples if each.name == name}

    async def shows(self, name: str, expected: dict[str, float]) -> None:
        for _ in range(200):
            if (shown := await asyncio.to_thread(self.metric, name)) == expected:
                return
            await asyncio.sleep(0.05)
        pytest.fail(f"{name} is {shown}")


@contextmanager
def serving(log: Path, *options: str, **environment: str):
    env = os.environ | SMALL | {"DUPLEX_DRAIN_S": "1"} | environment
    process = spawn(["--port", "0", "--asr", "none", *options], log, env)
    try:
        yield Service(process, log)
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory):
    """Two workers."""
    folder = tmp_path_factory.mktemp("workers")
    with serving(folder / "log", "--workers", "2", TMPDIR=str(folder)) as running:
        running.until_ready(2)
        yield running


def owner(client: DuplexClient) -> str:
    return client.session["id"].split("_")[1]


def noise(seconds: float) -> np.ndarray:
    return np.random.default_rng(3).integers(-3000, 3000, round(seconds * RATE)).astype(np.int16)


async def all_counted() -> None:
    """Let a busy machine tell the supervisor who has gone."""
    await asyncio.sleep(0.2)


async def until_acked(client: DuplexClient, seq: int) -> list[dict]:
    events = []
    while client.acked_seq < seq:
        events.append(await anext(aiter(client)))
    return events


async def test_sessions_are_spread_evenly_and_seen_through_either_worker(service):
    await all_counted()
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(DuplexClient(service.url)) for _ in range(8)]
        assert Counter(map(owner, clients)) == {"0": 4, "1": 4}
        await service.shows("duplex_sessions", {"0": 4, "1": 4})
        for _ in range(2):  # asked of the one, then of the other
            listed = json.loads(await asyncio.to_thread(service.get, "/v1/sessions"))["sessions"]
            assert {each["id"] for each in listed} == {each.session["id"] for each in clients}
    (between,) = service.folder.glob("duplex-*")
    assert stat.S_IMODE(between.stat().st_mode) == 0o700
    await service.shows("duplex_sessions", {"0": 0, "1": 0})


async def test_the_load_generator_counts_all_workers(service):
    names = [f"duplex_turnaround_seconds_{each}" for each in ("sum", "count")]
    looks = await asyncio.to_thread(ServerMetrics, Address(service.url))
    before = [await asyncio.to_thread(service.metric, name) for name in names]
    await all_counted()
    async with DuplexClient(service.url) as one, DuplexClient(service.url) as two:
        for each in (one, two):
            await each.send(noise(1), noise(1))
            await until_acked(each, 50)
    after = [await asyncio.to_thread(service.metric, name) for name in names]
    figures = await asyncio.to_thread(looks.since)
    seconds, counted = (
        {name: new[name] - old[name] for name in new} for old, new in zip(before, after, strict=True)
    )
    assert min(counted.values()) > 0, "either worker had a session"
    assert figures["turnaround_ms"] == pytest.approx(
        1000 * sum(seconds.values()) / sum(counted.values()), rel=0.1
    )


async def test_a_session_is_resumed_through_the_worker_that_does_not_have_it(service):
    mic = noise(3)
    async with (
        Cable(service.url) as cable,
        DuplexClient(cable.url, session=PASSING, collect=True) as client,
        AsyncExitStack() as stack,
    ):
        here, other = owner(client), {"0": "1", "1": "0"}[owner(client)]
        await client.send(mic[:RATE], mic[:RATE])
        await until_acked(client, 50)
        for beside in [await stack.enter_async_context(DuplexClient(service.url)) for _ in range(4)]:
            if owner(beside) == other:
                await beside.close()
        await all_counted()
        cable.cut()
        await client.send(mic[RATE : 2 * RATE], mic[RATE : 2 * RATE])
        events = await until_acked(client, 100)
        (resumed,) = (event["session"] for event in events if event["type"] == "session.updated")
        assert (resumed["resumed"], resumed["id"]) == (True, client.session["id"])
        await service.shows("duplex_sessions_relayed", {here: 0, other: 1})
        await client.send(mic[2 * RATE :], mic[2 * RATE :])
        await client.finish()
        kinds = {event["type"] async for event in client} | {event["type"] for event in events}
        assert not {"duplex.gap", "session.replaced"} & kinds
        vad, _ = client.cleaned.arrays(len(mic))
        np.testing.assert_array_equal(vad, mic)
    await service.shows("duplex_sessions", {here: 0, other: 0})
    await service.shows("duplex_sessions_kept", {here: 0, other: 0})


async def test_a_killed_worker_is_replaced_and_the_sessions_of_others_lose_nothing(service):
    await all_counted()
    mic = noise(3)
    async with (
        DuplexClient(service.url, session=PASSING, collect=True) as one,
        DuplexClient(service.url, session=PASSING, collect=True) as two,
    ):
        both, killed, ready = (one, two), owner(one), service.log.count("is ready")
        assert owner(two) != killed
        victim = service.workers[killed]
        seen = []
        for second in range(3):
            piece = mic[second * RATE : (second + 1) * RATE]
            for each in both:
                await each.send(piece, piece)
            if second == 1:
                os.kill(victim, signal.SIGKILL)
            await until_acked(one, 50 * (second + 1))
            seen += await until_acked(two, 50 * (second + 1))
        await two.finish()
        seen += [event async for event in two]
        assert not {"duplex.gap", "connection.lost"} & {event["type"] for event in seen}
        np.testing.assert_array_equal(two.cleaned.arrays(len(mic))[0], mic)
        assert (one.replaced, two.replaced) == (1, 0)
    await asyncio.to_thread(service.until_ready, ready + 1)
    assert f"worker {killed} ended (-9)" in service.log
    assert service.workers[killed] != victim
    assert set(service.workers) == {"0", "1"}


def test_workers_end_when_their_supervisor_is_killed(service):
    workers = list(service.workers.values())
    os.kill(service.process.pid, signal.SIGKILL)
    service.process.wait()
    deadline = time.monotonic() + 20
    while any(Path(f"/proc/{pid}").exists() for pid in workers):
        assert time.monotonic() < deadline, service.log
        time.sleep(0.05)
    assert "the supervisor has gone" in service.log


async def test_ctrl_c_drains_all_workers_and_a_second_one_waits_no_longer(tmp_path):
    options = {"DUPLEX_DRAIN_S": "60", "DUPLEX_WORKER": "pod", "TMPDIR": str(tmp_path)}
    with serving(tmp_path / "log", "--workers", "2", **options) as service:
        service.until_ready(2)
        async with connect(service.url, proxy=None) as one, connect(service.url, proxy=None) as two:
            workers = set()
            for socket in (one, two):
                workers.add(json.loads(await socket.recv())["session"]["id"].split("_")[1])
            assert workers == {"pod-0", "pod-1"}
            service.process.send_signal(signal.SIGINT)
            for socket in (one, two):
                assert json.loads(await socket.recv())["type"] == "duplex.draining"
            service.process.send_signal(signal.SIGINT)
            for socket in (one, two):
                with pytest.raises(ConnectionClosed) as closed:
                    await socket.recv()
                assert closed.value.rcvd.code == 1012
        assert await asyncio.to_thread(service.process.wait, 10) == 0
    assert "Traceback" not in service.log
    assert not list(tmp_path.glob("duplex-*"))


@pytest.mark.slow
def test_duplex_stream_goes_on_when_its_worker_is_killed(tmp_path):
    recording, here = shipped(), slice(4 * RATE, 13 * RATE)
    for name, audio in (("mic.wav", recording.mic), ("ref.wav", recording.ref)):
        soundfile.write(tmp_path / name, audio[here], RATE)
    with serving(tmp_path / "log", "--workers", "2") as service:
        service.until_ready(2)
        command = [sys.executable, "-m", "client.cli", "stream", "mic.wav", "ref.wav", "--jsonl"]
        command += ["--url", service.url]
        with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=tmp_path) as stream:
            events, victims = [], []
            for line in stream.stdout:
                events.append(event := json.loads(line))
                if event["type"] == "duplex.barge_in" and event["stage"] == "commit" and not victims:
                    victims.append(events[0]["session"]["id"])
                    os.kill(service.workers[victims[0].split("_")[1]], signal.SIGKILL)
        assert stream.returncode == 0
    (replaced,) = (event for event in events if event["type"] == "session.replaced")
    (started, *_) = (event for event in events if event["type"] == "input_audio_buffer.speech_started")
    assert replaced["items"] == [started["item_id"]]
    assert replaced["lost_ms"] == replaced["start_ms"] - started["audio_start_ms"]
    assert replaced["session"]["id"] not in victims
    heard_ms = [event["at_ms"] for event in events if event["type"] == "duplex.aec.stats"]
    assert max(heard_ms) > 10_800, "the file and its silent end"


@pytest.mark.slow
async def test_tls_tokens_recordings_and_a_file_of_settings_hold_for_every_worker(tmp_path):
    (tmp_path / "duplex.toml").write_text("resume_s = 7\n")
    options = [
        *("--workers", "2", "--tls", "--host", "127.0.0.1"),
        *("--record", str(tmp_path / "kept"), "--config", str(tmp_path / "duplex.toml")),
    ]
    settings = {"DUPLEX_TOKEN": "s3cret", "DUPLEX_MAX_SESSIONS": "24", "XDG_DATA_HOME": str(tmp_path)}
    with serving(tmp_path / "log", *options, **settings) as service:
        service.until_ready(2)
        url, ca = service.url.replace("ws:", "wss:"), tmp_path / "duplex" / "tls" / "certificate.pem"
        clients = [DuplexClient(url, ca=ca, token="s3cret") for _ in range(40)]
        await asyncio.gather(*(client.__aenter__() for client in clients))  # at once
        assert Counter(map(owner, clients)) == {"0": 20, "1": 20}
        assert {client.session["limits"]["resume_ms"] for client in clients} == {7000}
        await asyncio.gather(*(client.close() for client in clients))
        with pytest.raises(RefusedError, match="401"):
            await DuplexClient(url, ca=ca).__aenter__()
    kept = {each.name.split("_", 1)[1] for each in (tmp_path / "kept").iterdir()}
    assert kept == {client.session["id"] for client in clients}
    assert "s3cret" not in service.log


def test_models_that_cannot_be_loaded_end_the_command(tmp_path):
    wrong = tmp_path / "wrong.safetensors"
    wrong.write_bytes(b"no checkpoint")
    with serving(tmp_path / "log", "--workers", "2", "--model", str(wrong)) as service:
        assert service.process.wait(60) == 1
    assert "error: cannot serve: worker" in service.log
    assert "successor" not in service.log


def test_workers_are_named_after_the_process_where_it_has_a_name():
    assert worker_names(Settings(), 2) == ["0", "1"]
    assert worker_names(Settings(worker="pod"), 2) == ["pod-0", "pod-1"]


def test_metrics_of_workers_stand_beside_each_other():
    text = '# HELP a_total A\n# TYPE a_total counter\na_total{code="1"} 2.0\n'
    (family,) = text_string_to_metric_families(merge_metrics({"0": text, "1": text}).decode())
    samples = [(each.name, each.labels["worker"], each.value) for each in family.samples]
    assert samples == [("a_total", "0", 2), ("a_total", "1", 2)]
    assert {each.labels["code"] for each in family.samples} == {"1"}
