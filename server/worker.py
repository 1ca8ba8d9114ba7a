"""One of several processes that serve together: its sockets come from a supervisor, not from the network."""

from __future__ import annotations

import asyncio
import logging
import pickle
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import uvicorn

from aec_core.memory import keep_freed_memory
from server.app import DrainingServer, create_app, server_config
from server.channel import WorkerEnd
from server.logs import configure_logging
from server.service import Service
from server.settings import Settings
from server.siblings import INSIDE, Siblings

logger = logging.getLogger(__name__)


class WorkerServer(DrainingServer):
    """Serves what the supervisor hands over, and what siblings ask.

    When the supervisor goes away it drains, as on a signal.
    """

    def __init__(
        self, config: uvicorn.Config, service: Service, channel: WorkerEnd, siblings: Siblings
    ) -> None:
        super().__init__(config, service)
        self._channel = channel
        self._siblings = service.siblings = siblings
        self._arriving = _Watched(self._report_soon)  # tasks
        self.server_state.connections = _Watched(self._report_soon)
        self._report_due = False

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen to the siblings and to the supervisor."""
        await self.lifespan.startup()
        loop = asyncio.get_running_loop()
        self._siblings.path.unlink(missing_ok=True)  # of a predecessor that was killed
        inside = await loop.create_unix_server(self._protocol({INSIDE: True}), self._siblings.path)
        self.servers = [inside]
        loop.add_reader(self._channel, self._take)
        self.started = True

    async def on_tick(self, counter: int) -> bool:
        """Report, if only that the models are loaded."""
        self._report()
        return await super().on_tick(counter)

    async def drain(self) -> None:
        """Let the sessions end; new ones are refused meanwhile."""
        await super().drain()
        asyncio.get_running_loop().remove_reader(self._channel)

    def _report_soon(self) -> None:
        """Report that a connection has gone, unless it only goes on: after a handshake, as a WebSocket."""
        if not self._report_due:
            self._report_due = True
            asyncio.get_running_loop().call_soon(self._report)

    def _report(self) -> None:
        self._report_due = False
        connections = len(self._arriving) + len(self.server_state.connections)
        self._channel.tell(self.service.unready is None, connections)

    def _take(self) -> None:
        try:
            connection = self._channel.take()
        except EOFError:
            logger.warning("the supervisor has gone")
            asyncio.get_running_loop().remove_reader(self._channel)
            self.should_exit = True
            return
        if connection is not None:
            task = asyncio.create_task(self._welcome(connection))
            self._arriving.add(task)
            task.add_done_callback(self._arriving.discard)

    async def _welcome(self, connection: socket.socket) -> None:
        tls = self.config.ssl
        limit = self.service.settings.handshake_s if tls else None
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                self._protocol({}), connection, ssl=tls, ssl_handshake_timeout=limit
            )
        except OSError as error:  # TLS that the peer does not speak, or it has gone
            logger.debug("no connection: %s", error)
            connection.close()

    def _protocol(self, state: dict[str, Any]) -> Any:
        kind: Any = self.config.http_protocol_class
        return partial(
            kind, self.config, self.server_state, app_state={**self.lifespan.state, **state}, _loop=None
        )


class _Watched(set[Any]):
    """A set that says when something leaves it."""

    def __init__(self, left: Callable[[], None]) -> None:
        super().__init__()
        self._left = left

    def discard(self, element: Any) -> None:
        super().discard(element)
        self._left()


def run(settings: Settings, folder: Path, channel: WorkerEnd) -> int:
    """Serve until the end; return the exit code.

    Args:
        settings: As the supervisor has them, and the name of this worker.
        folder: Where the siblings listen.
        channel: To the supervisor.
    """
    configure_logging(settings)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it has a line for each question to a sibling
    keep_freed_memory()
    app = create_app(settings)
    service: Service = app.state.service
    server = WorkerServer(
        server_config(app), service, channel, Siblings(folder, settings.worker, service.metrics)
    )
    with suppress(KeyboardInterrupt):
        server.run()
    return int(service.failure is not None)


def main() -> None:
    """Take what the supervisor gives: a name and the number of a socket as arguments, all else over stdin."""
    name, number = sys.argv[1:]
    given: dict[str, Any]
    given, folder = pickle.load(sys.stdin.buffer)
    given["worker"] = name
    channel = WorkerEnd(socket.socket(fileno=int(number)))
    sys.exit(run(Settings(**given), folder, channel))


if __name__ == "__main__":
    main()
