"""JACK's dummy sound card: real audio threads, a clock of its own, and cables that tests plug in."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

TOOLS = ("jackd", "jack_lsp", "jack_connect")
START_S = 30
CARD = "system, JACK"  # by name: ALSA may offer the same server once more


@dataclass
class Jack:
    """A running JACK server."""

    name: str
    process: subprocess.Popen[bytes]

    @property
    def env(self) -> dict[str, str]:
        own = {
            "JACK_DEFAULT_SERVER": self.name,
            "JACK_NO_START_SERVER": "1",
            "JACK_NO_AUDIO_RESERVATION": "1",
        }
        return os.environ | own | {"DUPLEX_MAX_LOAD": "1"}

    def run(self, *command: str) -> str:
        return subprocess.run(command, env=self.env, capture_output=True, text=True, check=False).stdout

    def wait_for(self, port: str) -> None:
        deadline = time.monotonic() + START_S
        while port not in self.run("jack_lsp"):
            assert time.monotonic() < deadline, f"no {port}"
            time.sleep(0.1)

    def plug(self, source: str, sink: str) -> None:
        """Join two ports as soon as both are there."""
        self.wait_for(source)
        self.wait_for(sink)
        subprocess.run(["jack_connect", source, sink], env=self.env, capture_output=True, check=True)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(30)


@pytest.fixture
def start_jack() -> Iterator[Callable[..., Jack]]:
    """Start a JACK server: `start_jack(16_000, 320)`; skipped where that is impossible."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed: scripts/install-system-packages would")
    started: list[Jack] = []

    def start(rate: int, period: int, *options: str) -> Jack:
        name = f"test{os.getpid()}n{len(started)}"
        command = ["jackd", "-r", "--no-mlock", "-t", "10000", "-n", name, "-d", "dummy"]
        process = subprocess.Popen(
            [*command, "-r", str(rate), "-p", str(period), *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"JACK_NO_AUDIO_RESERVATION": "1"},
        )
        jack = Jack(name, process)
        started.append(jack)
        deadline = time.monotonic() + START_S
        while "system:playback_1" not in jack.run("jack_lsp"):
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.skip("no JACK server can be started here")
            time.sleep(0.1)
        return jack

    yield start
    for jack in started:
        jack.stop()


@pytest.fixture
def loopback(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start `duplex loopback` with options on a JACK server."""
    started: list[subprocess.Popen[str]] = []

    def start(jack: Jack, *options: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "client.cli", "loopback", "-i", CARD, "-o", CARD, *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=jack.env | {"COLUMNS": "200"},
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()
