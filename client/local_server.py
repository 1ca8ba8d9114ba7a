"""A service of one's own for a while: `duplex serve` in a process beside this one."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

START_S = 60.0  # a cold disk reads the models slowly
STOP_S = 10.0
# What the service talks and listens with; who may come in and how much they may take is ours to say.
_KEPT = ("DUPLEX_AEC_", "DUPLEX_AGENT", "DUPLEX_ASR", "DUPLEX_LOG_")
# For one person: little memory, and no refusal because the machine is busy with something else.
SMALL = {"DUPLEX_MAX_SESSIONS": "8", "DUPLEX_MAX_LOAD": "1", "DUPLEX_MAX_BEHIND_S": "60"}


class ServerFailedError(Exception):
    """The service did not get ready; the message ends with what it logged."""


@dataclass(frozen=True)
class LocalServer:
    port: int
    pid: int = 0

    @property
    def page(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/v1/realtime"


@contextlib.contextmanager
def local_server(
    *options: str, port: int | None = None, limits: Mapping[str, str] = SMALL, log: Path | None = None
) -> Generator[LocalServer]:
    """Run `duplex serve` with `options` until the block ends.

    Args:
        options: Of the command.
        port: Where it listens; else any free one.
        limits: Settings as environment variables.
        log: Where its log is kept; else nowhere.

    Raises:
        ServerFailedError: If it exits, or is not ready within a minute.
    """
    server = LocalServer(port or free_port())
    with tempfile.TemporaryDirectory() as folder:
        log = log or Path(folder) / "server.log"
        process = spawn(["--port", str(server.port), *options], log, environment(limits))
        try:
            _wait_ready(server, process, log)
            yield replace(server, pid=process.pid)
        finally:
            _stop(process)


def spawn(options: Sequence[str], log: Path, env: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start `duplex serve` with `options`; it writes to `log`."""
    command = [sys.executable, "-m", "client.cli", "serve", *options]
    with log.open("wb") as sink:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.STDOUT, env=env
        )


def environment(limits: Mapping[str, str] = SMALL) -> dict[str, str]:
    """Return this process's environment without the settings of the user's other services.

    Models, agents and the log are chosen by it; a token, an address or limits are not taken over.
    """
    others = {name: value for name, value in os.environ.items() if not name.upper().startswith("DUPLEX_")}
    kept = {name: value for name, value in os.environ.items() if name.upper().startswith(_KEPT)}
    return others | kept | dict(limits)


def free_port() -> int:
    """Return a port that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_ready(server: LocalServer, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_S
    while not _answers(f"{server.page}readyz"):
        if process.poll() is not None:
            raise ServerFailedError(f"the server exited with {process.returncode}:\n{_tail(log)}")
        if time.monotonic() > deadline:
            raise ServerFailedError(f"the server was not ready after {START_S:.0f} s:\n{_tail(log)}")
        time.sleep(0.1)


def _answers(url: str) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # this machine needs no proxy
    try:
        with opener.open(url, timeout=2) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-15:])


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
