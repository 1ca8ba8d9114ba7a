"""How a WebSocket of the service is opened, and why not."""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode, urlsplit, urlunsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI
from websockets.typing import Subprotocol

from client.wire import SUBPROTOCOL

MAX_MESSAGE_BYTES = 1 << 20
PING_S, PONG_S = 5.0, 15.0  # together well below the time for which a server keeps a lost session
_RETRY_AFTER = re.compile(r"retry_after=(\d+)")


class DuplexError(Exception):
    """The service cannot be reached, refused, or closed the session; the message says which."""


class RefusedError(DuplexError):
    """The service does not let a session begin.

    Attributes:
        status: Of HTTP: 401 (token), 403 (origin), 503 (loading or stopping), or what a proxy says; or the
            close code 4429 (full, or at its capacity).
        retry_after: Seconds after which another try makes sense; None if the service did not say.
    """

    def __init__(self, message: str, status: int, retry_after: float | None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after


class ClosedError(DuplexError):
    """The session is over although the client did not end it.

    Attributes:
        code: The close code (docs/protocol.md); None if the connection broke.
    """

    def __init__(self, message: str, code: int | None) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Address:
    """Where a service is, and what it wants to see.

    Attributes:
        url: `ws://…` or `wss://…`.
        token: Of the server, if it wants one.
        ca: PEM file of a certificate to trust beside the system's, for a service that made its own.
        timeout_s: How long the handshake may take.
    """

    url: str
    token: str | None = None
    ca: Path | None = None
    timeout_s: float = 10.0

    async def open(self, session: str | None = None) -> ClientConnection:
        """Connect.

        Args:
            session: That is to be resumed; stands in the address, for whoever routes.

        Raises:
            RefusedError: If the service refuses.
            DuplexError: If nobody listens there, or it cannot be trusted.
        """
        local = urlsplit(self.url).hostname in ("127.0.0.1", "localhost", "::1")
        try:
            return await connect(
                _with_session(self.url, session) if session else self.url,
                subprotocols=[Subprotocol(SUBPROTOCOL)],
                additional_headers={"Authorization": f"Bearer {self.token}"} if self.token else None,
                ssl=self._trust(),
                compression=None,
                max_size=MAX_MESSAGE_BYTES,
                open_timeout=self.timeout_s,
                ping_interval=PING_S,
                ping_timeout=PONG_S,
                proxy=None if local else True,
            )
        except (InvalidHandshake, InvalidURI, ValueError, OSError) as error:
            raise self._explain(error) from error

    def _trust(self) -> ssl.SSLContext | None:
        secure = urlsplit(self.url).scheme == "wss"
        if self.ca is not None and not secure:
            raise DuplexError(f"{self.url} is not encrypted: a certificate belongs to a wss:// address")
        if not secure:
            return None
        context = ssl.create_default_context()
        if self.ca is not None:
            try:
                context.load_verify_locations(self.ca)
            except OSError as error:
                raise DuplexError(f"{self.ca}: holds no certificate ({error.strerror or error})") from error
        return context

    def _explain(self, error: Exception) -> DuplexError:
        match error:
            case InvalidStatus():
                return self._refusal(error)
            case TimeoutError():
                return DuplexError(f"{self.url} did not answer within {self.timeout_s:.0f} s")
            case ssl.SSLCertVerificationError():
                return DuplexError(
                    f"{self.url} shows a certificate that is not trusted ({error.verify_message}): "
                    "if the service made it, name its file (`ca`)"
                )
            case ssl.SSLError():
                return DuplexError(f"{self.url} does not speak TLS ({error.reason})")
            case OSError():
                return DuplexError(
                    f"nothing listens at {self.url} ({error.strerror or error}): start it with `duplex serve`"
                )
            case _:
                return DuplexError(f"{self.url} is no service of ours: {error}")

    def _refusal(self, error: InvalidStatus) -> RefusedError:
        status, headers = error.response.status_code, error.response.headers
        after = headers.get("Retry-After", "")
        seconds = float(after) if after.isdecimal() else None
        advice = f"; try again in {after} s" if seconds is not None else ""
        meaning = {401: " (its token is missing or wrong)", 403: " (not from here)"}.get(status, "")
        return RefusedError(
            f"{self.url} refused the connection with HTTP {status}{meaning}{advice}", status, seconds
        )


def _with_session(url: str, session: str) -> str:
    address = urlsplit(url)
    query = "&".join(filter(None, (address.query, urlencode({"session": session}))))
    return urlunsplit(address._replace(query=query))


def closed(error: ConnectionClosed) -> ClosedError | RefusedError:
    """Say why a connection is over."""
    if error.rcvd is None:
        return ClosedError("the connection was lost", None)
    code, reason = error.rcvd.code, error.rcvd.reason
    if code in (1013, 4429) and (wait := _RETRY_AFTER.search(reason)):
        why, seconds = reason[: wait.start()].rstrip("; "), wait[1]
        return RefusedError(
            f"the server takes no session now: {why}; try again in {seconds} s", code, float(seconds)
        )
    return ClosedError(f"the server closed the session: {code} {reason}".rstrip(), code)
