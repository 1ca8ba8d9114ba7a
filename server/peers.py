"""What one address, or one token, may take of the service; on the event loop."""

from __future__ import annotations

import ipaddress
from collections import Counter, OrderedDict
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

from server.admission import Refusal

MISSES = 10  # wrong tokens from one address …
MISSES_S = 60  # … in so long, and it is not even asked for a while
_REMEMBERED = 4096  # addresses; the one that failed longest ago is forgotten
_RETRY_S = 10


@dataclass(frozen=True, slots=True)
class Peer:
    """Who connects.

    Attributes:
        address: IPv4 address or IPv6 network of 64 bits, which is what one household gets. None for this
            machine itself: behind a proxy that does not name its clients it would be all of them.
        token: Which of the server's tokens it shows; None for another worker, where that was counted.
    """

    address: str | None
    token: int | None = 0


class Peers:
    """Counts connections and wrong tokens.

    Args:
        per_address: Connections that one address may hold; 0 is no limit.
        per_token: The same of one token.
    """

    def __init__(self, per_address: int, per_token: int) -> None:
        self._limits = per_address, per_token
        self._held: Counter[str | int] = Counter()
        self._missed: OrderedDict[str, tuple[int, float]] = OrderedDict()  # how often, and since when

    def barred(self, address: str | None, now: float) -> Refusal | None:
        """Say whether an address has guessed too often; `now` is in monotonic seconds."""
        count, since = self._missed.get(address or "", (0, now))
        left = since + MISSES_S - now
        if count < MISSES or left <= 0:
            return None
        return Refusal(429, "too many wrong tokens", round(left) + 1)

    def missed(self, address: str | None, now: float) -> None:
        """Take note of a wrong token."""
        if address is None:
            return
        count, since = self._missed.pop(address, (0, now))
        self._missed[address] = (count + 1, since) if now - since < MISSES_S else (1, now)
        while len(self._missed) > _REMEMBERED:
            self._missed.popitem(last=False)

    def admit(self, peer: Peer) -> Refusal | None:
        """Say whether a peer may hold one more connection."""
        for key, limit, name in zip(_keys(peer), self._limits, ("address", "token"), strict=True):
            if limit and key is not None and self._held[key] >= limit:
                return Refusal(429, f"this {name} holds {limit} sessions already", _RETRY_S)
        return None

    @contextmanager
    def holding(self, peer: Peer) -> Generator[None]:
        """Count a connection until the block ends."""
        keys = [key for key in _keys(peer) if key is not None]
        self._held.update(keys)
        try:
            yield
        finally:
            self._held.subtract(keys)
            for key in keys:
                if not self._held[key]:
                    del self._held[key]


def address_of(host: str | None) -> str | None:
    """Return what stands for a peer's address in `Peer`."""
    try:
        ip = ipaddress.ip_address((host or "").partition("%")[0])
    except ValueError:
        return None
    ip = getattr(ip, "ipv4_mapped", None) or ip
    if ip.is_loopback:
        return None
    return str(ip) if ip.version == 4 else str(ipaddress.ip_network((ip, 64), strict=False))


def _keys(peer: Peer) -> tuple[str | None, int | None]:
    return peer.address, peer.token
