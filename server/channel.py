"""What a supervisor and one of its workers tell each other, over a pair of UNIX sockets.

Down go accepted sockets, each with one byte; up go reports of a fixed size. When either end closes, its
process has gone.
"""

from __future__ import annotations

import socket
import struct
from contextlib import suppress
from dataclasses import dataclass

_REPORT = struct.Struct("<?II")
_BYTE = b"\0"


@dataclass(frozen=True, slots=True)
class Report:
    """How a worker is.

    Attributes:
        ready: It has loaded its models.
        taken: Sockets that it has been handed so far.
        open: Connections that it holds.
    """

    ready: bool = False
    taken: int = 0
    open: int = 0


class SupervisorEnd:
    """The supervisor's end; nothing waits."""

    def __init__(self, end: socket.socket) -> None:
        end.setblocking(False)
        self._end = end
        self._rest = b""
        self._handed = 0
        self._report = Report()

    def fileno(self) -> int:
        """Return what can be waited for: a report, or the end."""
        return self._end.fileno()

    @property
    def ready(self) -> bool:
        """The worker has loaded its models."""
        return self._report.ready

    @property
    def load(self) -> int:
        """Connections of the worker, with those that it has not taken yet."""
        return self._report.open + self._handed - self._report.taken

    def hand(self, connection: socket.socket) -> bool:
        """Give the worker a copy of a socket; False if it takes none now."""
        try:
            socket.send_fds(self._end, [_BYTE], [connection.fileno()])
        except OSError:
            return False
        self._handed += 1
        return True

    def read(self) -> bool:
        """Take the reports that are here; False if the worker has gone."""
        try:
            data = self._end.recv(4096)
        except BlockingIOError:
            return True
        except OSError:
            return False
        self._rest += data
        whole = len(self._rest) - len(self._rest) % _REPORT.size
        if whole:
            self._report = Report(*_REPORT.unpack(self._rest[whole - _REPORT.size : whole]))
        self._rest = self._rest[whole:]
        return bool(data)

    def close(self) -> None:
        """Let the worker know that nobody watches it."""
        self._end.close()


class WorkerEnd:
    """The worker's end; nothing waits."""

    def __init__(self, end: socket.socket) -> None:
        end.setblocking(False)
        self._end = end
        self._told = Report()
        self.taken = 0

    def fileno(self) -> int:
        """Return what can be waited for: a socket, or the end."""
        return self._end.fileno()

    def take(self) -> socket.socket | None:
        """Return the next socket.

        Raises:
            EOFError: If the supervisor has gone.
        """
        try:
            data, handles, _, _ = socket.recv_fds(self._end, 1, 1)
        except BlockingIOError:
            return None
        except OSError as error:
            raise EOFError from error
        if not data:
            raise EOFError
        self.taken += 1
        if not handles:  # this process has no room for more
            return None
        connection = socket.socket(fileno=handles[0])
        connection.setblocking(False)
        return connection

    def tell(self, ready: bool, connections: int) -> None:
        """Report, if something has changed."""
        report = Report(ready, self.taken, connections)
        if report != self._told:
            with suppress(OSError):  # full, or gone: the next one will say the same, or nobody asks
                self._end.send(_REPORT.pack(report.ready, report.taken, report.open))
                self._told = report
