"""A real server on a free port for every test that talks over a socket."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

# No test asserts speed, and a found counterexample is not lost: hypothesis prints it.
settings.register_profile(
    "any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("any-machine")

if TYPE_CHECKING:  # a test of the core must not need the server
    from fastapi import FastAPI

    from server.app import DrainingServer
    from server.service import LoadModels, Service
    from server.session import Session


class RunningServer:
    """A server in a thread of this process."""

    def __init__(self, server: DrainingServer) -> None:
        self._server = server
        self._thread = threading.Thread(target=server.run, name="server", daemon=True)
        self.port = server.service.settings.port
        self.http = f"http://127.0.0.1:{self.port}"
        self.url = f"ws://127.0.0.1:{self.port}/v1/realtime"

    @property
    def service(self) -> Service:
        return self._server.service

    @property
    def app(self) -> FastAPI:
        return self._server.config.app  # type: ignore[return-value]

    def metrics(self) -> str:
        return self.service.metrics.exposition().decode()

    def sessions(self) -> list[Session]:
        """Return those that are connected."""
        registry = self.service.registry
        return list(registry._connected.values()) if registry else []

    async def shows(self, line: str) -> None:
        """Wait until the metrics have a line that begins with this."""
        for _ in range(2000):
            if f"\n{line}" in self.metrics():
                return
            await asyncio.sleep(0.01)
        pytest.fail(f"the metrics never say {line}")

    async def keeps_sockets(self, count: int) -> None:
        """Wait until so many are open, whatever they are."""
        for _ in range(1000):
            if len(self._server.server_state.connections) == count:
                return
            await asyncio.sleep(0.01)
        pytest.fail(f"there are {len(self._server.server_state.connections)} sockets, not {count}")

    def start(self) -> None:
        self._thread.start()
        deadline = time.monotonic() + 60
        while not self._is_ready():
            assert time.monotonic() < deadline, "the server did not become ready"
            time.sleep(0.05)

    def begin_stop(self) -> None:
        self._server.should_exit = True

    def stop(self) -> None:
        self.begin_stop()
        self._thread.join(30)
        assert not self._thread.is_alive(), "the server did not stop"

    def _is_ready(self) -> bool:
        return self._server.started and self.service.unready is None


@contextmanager
def running_server(load: LoadModels | None = None, **overrides: Any) -> Iterator[RunningServer]:
    from server.app import create_app, make_server
    from server.models import load_models
    from server.settings import Settings

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    defaults = {"asr": "none", "max_sessions": 4, "max_load": 1.0, "drain_s": 1, "port": port}
    app = create_app(Settings(**(defaults | overrides)), load or load_models)
    server = RunningServer(make_server(app))
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def server() -> Iterator[RunningServer]:
    """Four sessions, no recogniser."""
    with running_server() as running:
        yield running


@pytest.fixture(scope="module")
def start_servers() -> Iterator[Callable[..., RunningServer]]:
    """Like `start_server`, for all tests of a module."""
    with ExitStack() as stack:
        yield lambda **overrides: stack.enter_context(running_server(**overrides))


@pytest.fixture
def start_server() -> Iterator[Callable[..., RunningServer]]:
    """Start servers with other settings: `start_server(idle_s=1)`."""
    with ExitStack() as stack:
        yield lambda **overrides: stack.enter_context(running_server(**overrides))
