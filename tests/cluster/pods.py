"""Server processes as the pods of the StatefulSet are: a name, an address, and the port that all have."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

from client.local_server import START_S

_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Pod:
    """One server.

    Args:
        number: Its ordinal; its name and its address follow from it.
        port: The same for all.
        settings: As environment variables.
    """

    def __init__(self, number: int, port: int, settings: dict[str, str]) -> None:
        self.name = f"duplex-{number}"
        self.address = f"127.0.0.{number + 2}"
        self._port = port
        self._environment = os.environ | {"DUPLEX_TOKEN": "", "DUPLEX_WORKER": self.name} | settings
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it; does not wait until it is ready."""
        options = ["--host", self.address, "--port", str(self._port), "--no-tls", "--asr", "none"]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "client.cli", "serve", *options],
            env=self._environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def wait_ready(self) -> None:
        deadline = time.monotonic() + START_S
        while not self.answers("/readyz"):
            if not self.running or time.monotonic() > deadline:
                raise RuntimeError(f"{self.name} did not become ready")
            time.sleep(0.1)

    def answers(self, path: str) -> bool:
        """Say whether it is there and answers with 200, as a probe does."""
        try:
            with _OPENER.open(f"http://{self.address}:{self._port}{path}", timeout=2) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False

    def drain(self) -> None:
        """Tell it to stop, as Kubernetes does."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        self._signal(signal.SIGKILL)

    def wait_gone(self) -> None:
        if self._process is not None:
            self._process.wait()

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)
