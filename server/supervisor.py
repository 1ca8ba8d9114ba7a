"""Several workers behind one address: each socket goes to the least busy, and who dies is replaced.

It loads no models and reads no byte of a peer. Kernels that spread connections over processes go by a hash:
of 40 sessions one of two got 28.
"""

from __future__ import annotations

import asyncio
import logging
import pickle
import signal
import socket
import sys
import tempfile
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from server.channel import SupervisorEnd
from server.logs import configure_logging
from server.settings import Settings

BACKLOG = 2048
LASTING_S = 60.0  # a worker that lived so long is started again at once
RETRY_S = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0)  # the last one again and again

logger = logging.getLogger(__name__)


class WorkerFailedError(Exception):
    """A worker could not begin; its log says why."""


def worker_names(settings: Settings, workers: int) -> list[str]:
    """Return what the workers are called in their sessions' ids: `0`, `1`, … behind a name that was set."""
    prefix = f"{settings.worker}-" if "worker" in settings.model_fields_set else ""
    return [f"{prefix}{number}" for number in range(workers)]


def supervise(settings: Settings, workers: int, listening: Sequence[socket.socket]) -> None:
    """Run the service in several processes until it is told to stop; sessions are told first.

    Args:
        settings: Of each of them.
        workers: How many.
        listening: Bound sockets.

    Raises:
        WorkerFailedError: If a worker cannot begin.
    """
    configure_logging(settings)
    with tempfile.TemporaryDirectory(prefix="duplex-") as folder:  # for the owner only
        supervisor = Supervisor(settings, worker_names(settings, workers), Path(folder))
        asyncio.run(supervisor.run(listening))


class Supervisor:
    """Accepts for its workers, and keeps them running.

    Args:
        settings: Of each of them.
        names: Theirs.
        folder: Where they listen to each other.
    """

    def __init__(self, settings: Settings, names: Sequence[str], folder: Path) -> None:
        self._settings = settings
        self._names = names
        self._folder = folder
        self._workers: dict[str, tuple[Process, SupervisorEnd]] = {}  # that run
        self._served: set[str] = set()  # that were ready once
        self._stopping = asyncio.Event()

    async def run(self, listening: Sequence[socket.socket]) -> None:
        """Serve until a signal comes, and all workers have ended.

        Raises:
            WorkerFailedError: If one of them cannot begin.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stop, number)
        for each in listening:
            each.listen(BACKLOG)
            loop.add_reader(each, self._accept, each)
        keepers = [asyncio.create_task(self._keep(name)) for name in self._names]
        try:
            await asyncio.gather(*keepers)
        finally:
            self._stop(signal.SIGTERM)
            await asyncio.gather(*keepers, return_exceptions=True)
            for each in listening:
                loop.remove_reader(each)
                each.close()

    def _stop(self, number: signal.Signals) -> None:
        """Let the workers drain; a second Ctrl-C ends that."""
        again = self._stopping.is_set() and number == signal.SIGINT
        self._stopping.set()
        for process, _ in self._workers.values():
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGINT if again else signal.SIGTERM)

    async def _keep(self, name: str) -> None:
        """Start a worker again and again.

        Raises:
            WorkerFailedError: If it ends by itself before it was ever ready.
        """
        failures = 0
        while not self._stopping.is_set():
            began = time.monotonic()
            code = await self._run(name)
            if self._stopping.is_set():
                return
            if code > 0 and name not in self._served:
                raise WorkerFailedError(
                    f"worker {name} ended with {code} before it was ready; its log says why"
                )
            failures = 1 if time.monotonic() - began > LASTING_S else failures + 1
            pause = RETRY_S[min(failures, len(RETRY_S)) - 1]
            logger.error("worker %s ended (%d); its successor starts in %g s", name, code, pause)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)

    async def _run(self, name: str) -> int:
        """Run a worker to its end; return how it ended."""
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        with theirs:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "server.worker", name, str(theirs.fileno())),
                stdin=PIPE,
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # a terminal's Ctrl-C is for the supervisor, who passes it on
            )
        channel = SupervisorEnd(ours)
        self._workers[name] = process, channel
        loop.add_reader(channel, self._listen, name, channel)
        given = dict(self._settings)
        if self._stopping.is_set():
            process.terminate()
        with suppress(ConnectionError):
            await process.communicate(pickle.dumps((given, self._folder)))
        loop.remove_reader(channel)
        channel.close()
        del self._workers[name]
        return await process.wait()

    def _listen(self, name: str, channel: SupervisorEnd) -> None:
        before = channel.ready
        if not channel.read():
            asyncio.get_running_loop().remove_reader(channel)
        elif channel.ready and not before:
            self._served.add(name)
            logger.info("worker %s is ready", name)

    def _accept(self, listening: socket.socket) -> None:
        try:
            connection, _ = listening.accept()
        except OSError:  # the peer has gone already
            return
        with connection:
            channels = [channel for _, channel in self._workers.values()]
            for channel in sorted(channels, key=lambda each: (not each.ready, each.load)):
                if channel.hand(connection):
                    return
