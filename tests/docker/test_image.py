"""The Dockerfile, built and run for real where there is no Docker: buildah, podman and runc from Debian.

No registry of images is needed: the base image is made from Debian's packages. Where pip needs a
configuration to reach its index, `DUPLEX_TEST_BUILD_ARGS="-v /etc/pip.conf:/etc/pip.conf:ro"` shows it.
The figures are logged: `pytest --log-cli-level=info`.
"""

import json
import logging
import os
import re
import shlex
import shutil
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
import websockets

from client.local_server import free_port
from client.recording import shipped
from client.stream import stream_pair
from client.wer import word_error_rate

ROOT = Path(__file__).parents[2]
PYTHON = "localhost/debian-python"
TOKEN = "0123456789abcdef0123456789abcdef"
PROGRAMS = ("buildah", "podman", "runc", "mmdebstrap")
DEBIAN = "python3.11,python3.11-venv,ca-certificates,netbase,tzdata"
# Where the official image has it.
RECIPE = (
    "FROM scratch\nADD root.tar /\nRUN ln -s /usr/bin/python3.11 /usr/local/bin/python\nENV LANG=C.UTF-8\n"
)
START_S = 60.0
logger = logging.getLogger(__name__)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        os.geteuid() != 0 or not all(map(shutil.which, PROGRAMS)),
        reason=f"needs root and the Debian packages {', '.join(PROGRAMS)}",
    ),
]


@dataclass(frozen=True)
class Engine:
    """Images and containers of the tests alone."""

    folder: Path

    def run(self, *arguments: str, check: bool = True) -> str:
        program, *rest = arguments
        places = ("--root", str(self.folder / "images"), "--runroot", str(self.folder / "run"))
        options = ("--runtime", "runc", "--cgroup-manager", "cgroupfs") if program == "podman" else ()
        done = subprocess.run(
            [program, *options, *places, *rest], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert not check or done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        return done.stdout

    def build(self, *arguments: str) -> None:
        self.run("buildah", "build", "--isolation", "chroot", "--format", "docker", *arguments)


@dataclass(frozen=True)
class Container:
    engine: Engine
    port: int
    ready_s: float
    name: str = "duplex"

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/v1/realtime"

    def sh(self, command: str) -> str:
        return self.engine.run("podman", "exec", self.name, "sh", "-c", command, check=False)


@pytest.fixture(scope="module")
def engine(tmp_path_factory) -> Iterator[Engine]:
    folder = tmp_path_factory.mktemp("engine")
    engine = Engine(folder)
    debian = folder / "debian"
    debian.mkdir()
    (debian / "Dockerfile").write_text(RECIPE)
    bootstrap = ("mmdebstrap", "--quiet", "--variant=minbase", f"--include={DEBIAN}", "bookworm")
    subprocess.run([*bootstrap, debian / "root.tar"], check=True)
    engine.build("-t", PYTHON, str(debian))
    shutil.rmtree(debian)
    yield engine
    engine.run("podman", "rmi", "--all", "--force")
    shutil.rmtree(folder)


@pytest.fixture(scope="module", params=["none", "embedded"])
def image(request, engine) -> str:
    tag = f"localhost/duplex-aec:{request.param}"
    more = shlex.split(os.environ.get("DUPLEX_TEST_BUILD_ARGS", ""))
    arguments = ("--build-arg", f"PYTHON_IMAGE={PYTHON}", "--build-arg", f"BACKEND={request.param}")
    engine.build(*more, *arguments, "-t", tag, "-f", "docker/Dockerfile", ".")
    return tag


@pytest.fixture
def container(engine, image) -> Iterator[Container]:
    port = free_port()
    settings = {"PORT": port, "TOKEN": TOKEN, "DRAIN_S": 2, "MAX_LOAD": 1}
    confined = ("--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")
    # Those of podman are above what a container in a container may ask for.
    limits = ("--ulimit", "nofile=1024:4096", "--ulimit", "nproc=1024:1024", "--memory", "2g")
    given = [f"--env=DUPLEX_{name}={value}" for name, value in settings.items()]
    began = time.monotonic()
    fixed = ("--detach", "--name", "duplex", "--network", "host")
    engine.run("podman", "run", *fixed, *confined, *limits, *given, image)
    try:
        while not is_ready(port):
            assert time.monotonic() < began + START_S, engine.run("podman", "logs", "duplex", check=False)
            time.sleep(0.05)
        yield Container(engine, port, time.monotonic() - began)
    finally:
        engine.run("podman", "rm", "--force", "duplex")


def is_ready(port: int) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://127.0.0.1:{port}/readyz", timeout=2) as answer:
            return answer.status == 200
    except OSError:
        return False


def test_it_runs_with_nothing_and_writes_nothing(engine, image, container):
    assert container.sh("id -u").strip() == "10001"
    assert container.sh("touch /opt/duplex/x /etc/x /x && echo written") == ""
    status = container.sh("cat /proc/1/status")
    for line in ("CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"):
        assert line in status
    engine.run("podman", "healthcheck", "run", "duplex")
    resident = int(re.findall(r"VmRSS:\s+(\d+)", status)[0]) // 1024
    size = json.loads(engine.run("podman", "image", "inspect", image))[0]["Size"] // 1_000_000
    logger.info("%s: %d MB, ready after %.1f s, %d MB resident", image, size, container.ready_s, resident)


async def test_the_shipped_recording_is_understood(image, container):
    recording = shipped()
    heard = await stream_pair(container.url, recording.mic, recording.ref, speed="max", token=TOKEN)
    assert len(heard.of("input_audio_buffer.speech_started")) == len(recording.sentences)
    if image.endswith("embedded"):
        said = " ".join(sentence.text for sentence in recording.sentences)
        assert word_error_rate(said, " ".join(heard.transcripts)) < 0.2
    resident = re.findall(r"VmHWM:\s+(\d+)", container.sh("cat /proc/1/status"))
    logger.info("%s: %d MB resident at most", image, int(resident[0]) // 1024)


async def test_docker_stop_drains(engine, container):
    shown = {"Authorization": f"Bearer {TOKEN}"}
    async with websockets.connect(container.url, additional_headers=shown, proxy=None) as socket:
        assert json.loads(await socket.recv())["type"] == "session.created"
        began = time.monotonic()
        os.kill(int(engine.run("podman", "inspect", "--format", "{{.State.Pid}}", "duplex")), signal.SIGTERM)
        kinds: list[str] = []
        with suppress(websockets.ConnectionClosed):
            async for message in socket:
                kinds += [json.loads(message)["type"]] if isinstance(message, str) else []
    assert "duplex.draining" in kinds
    assert socket.close_code == 1012
    assert 1.5 < time.monotonic() - began < 10, "the session had its two seconds"
    assert engine.run("podman", "wait", "duplex").strip() == "0"


def test_the_list_of_parts_is_that_of_the_lock(image, container):
    parts = json.loads(container.sh("cat /opt/duplex/sbom.cdx.json"))
    assert parts["bomFormat"] == "CycloneDX"
    assert parts["metadata"]["component"]["name"] == "duplex-aec"
    lock = (ROOT / "docker" / "requirements" / f"{image.rsplit(':')[-1]}.txt").read_text("utf-8")
    locked = set(re.findall(r"^([\w.-]+)==(\S+)", lock, re.MULTILINE))
    named = {(re.sub(r"[-_.]+", "-", part["name"]).lower(), part["version"]) for part in parts["components"]}
    assert named == locked


def test_nothing_is_in_it_that_only_building_needs(container):
    assert container.sh("ls /build /opt/duplex/bin/pip") == ""
    assert container.sh("find /opt/duplex -type d -name tests") == ""
    assert container.sh("command -v gcc") == ""
