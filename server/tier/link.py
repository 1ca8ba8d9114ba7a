"""The server's end of the way to the tier: one HTTP client for all its threads."""

from __future__ import annotations

import httpx

from server.tier.wire import SESSION_HEADER

_CONNECT_S = 1.0
_FAULT = 422  # the application's word, where 500 is what a replica leaves behind
_NOBODY = (404, 429, 503)  # not deployed, busy, no replica or no room


class TierAway(Exception):
    """Nobody is there, or has time; the request was not begun."""


class TierLost(Exception):
    """Whoever was asked did not answer; the request may be what ended it."""


class Link:
    """Requests to one path of the tier. Any thread may ask."""

    def __init__(self, address: str, path: str) -> None:
        """Remember where the tier is; nothing is sent yet.

        Args:
            address: `ray://HOST:PORT` of Ray Serve's HTTP proxy or of a balancer in front of several.
            path: Of the application.
        """
        self._url = httpx.URL(address.replace("ray://", "http://", 1)).copy_with(path=path)
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=32, keepalive_expiry=5)
        self._client = httpx.Client(limits=limits, trust_env=False)

    def get(self, timeout_s: float) -> bytes:
        """Ask for the application's description; raises as `post` does."""
        return self._ask("GET", timeout_s).content

    def post(self, body: bytes, timeout_s: float, session: str = "") -> tuple[bool, bytes]:
        """Send a body; requests of one session go to one replica where the tier is set up so.

        Returns:
            Whether the application did what was asked, and what it says.

        Raises:
            TierAway: If nobody is there.
            TierLost: If no answer comes.
        """
        answer = self._ask("POST", timeout_s, content=body, headers={SESSION_HEADER: session})
        return answer.is_success, answer.content

    def close(self) -> None:
        """Drop the connections."""
        self._client.close()

    def _ask(
        self,
        method: str,
        timeout_s: float,
        content: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> httpx.Response:
        timeout = httpx.Timeout(timeout_s, connect=min(timeout_s, _CONNECT_S))
        try:
            answer = self._client.request(
                method, self._url, content=content, headers=headers, timeout=timeout
            )
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise TierAway(str(error)) from error
        except (httpx.HTTPError, RuntimeError) as error:  # RuntimeError: the client was closed meanwhile
            raise TierLost(str(error)) from error
        if answer.status_code in _NOBODY:
            raise TierAway(f"status {answer.status_code}")
        if not answer.is_success and answer.status_code != _FAULT:
            raise TierLost(f"status {answer.status_code}")
        return answer
