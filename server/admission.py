"""May one more session join? Asked before a connection is accepted."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from aec_core.types import HOP, SAMPLE_RATE
from server.network import is_loopback

BUDGET_S = HOP / SAMPLE_RATE
RETRY_AFTER_S = 5
_CALLS = 2  # in the time of a hop, at 10 ms a tick
_LONGEST_RATIO = 5.0


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a connection is not accepted.

    Attributes:
        status: HTTP status of the answer; or a `CloseCode`, where the WebSocket is accepted and closed at
            once, for a browser shows its page neither the status nor the headers of a failed handshake.
        reason: In words, for the peer.
        retry_after_s: When another try makes sense.
    """

    status: int
    reason: str
    retry_after_s: int | None = None

    @property
    def close_reason(self) -> str:
        """The same for a close frame."""
        return (
            self.reason if self.retry_after_s is None else f"{self.reason}; retry_after={self.retry_after_s}"
        )


class LoadMeter:
    """What share of real time the engine needs for its sessions.

    A batched call costs something once and something for each stream. Both are measured at the start;
    later calls only say by what factor reality is slower.
    """

    def __init__(self, smoothing: float = 0.01) -> None:
        self._smoothing = smoothing
        self._once_s = 0.0
        self._stream_s = 0.0
        self._scale = 1.0

    def calibrate(self, one_s: float, all_s: float, streams: int) -> None:
        """Take the durations of a call over one stream and over all of them."""
        if streams > 1:
            self._stream_s = max(all_s - one_s, 0.0) / (streams - 1)
        else:
            self._stream_s = one_s
        self._once_s = max(one_s - self._stream_s, 0.0)

    def observe(self, seconds: float, streams: int) -> None:
        """Take the duration of one call."""
        expected = self._once_s + streams * self._stream_s
        if expected:
            # One pause of the machine says nothing about the next hour.
            ratio = min(seconds / expected, _LONGEST_RATIO)
            self._scale += self._smoothing * (ratio - self._scale)

    def load(self, sessions: int) -> float:
        """Return the share of the budget that so many live sessions take."""
        return self._scale * (_CALLS * self._once_s + sessions * self._stream_s) / BUDGET_S


def check_origin(allowed: tuple[str, ...], headers: Mapping[str, str], by_any_name: bool) -> Refusal | None:
    """Let in what is no browser, the server's own page, and the origins that the settings name.

    Args:
        allowed: Those origins.
        headers: Of the request.
        by_any_name: The own page may be reached under any name. Otherwise only under this machine's
            own: a stranger's page can let its name point here, and would be taken for ours.
    """
    origin = headers.get("origin")
    if origin is None or "*" in allowed or origin in allowed:
        return None
    host = headers.get("host", "")
    with suppress(ValueError):  # what is no address at all
        own = urlsplit(origin).netloc == host
        if own and (by_any_name or is_loopback(urlsplit(f"//{host}").hostname or "")):
            return None
    return Refusal(403, "this origin is not allowed")
