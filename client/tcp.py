"""What a connection costs on the wire, as the kernel counts it: TLS, framing, headers, acknowledgements."""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass
from typing import Any

HEADERS = 20 + 32  # bytes of a segment: IPv4, and TCP with its time stamps
_TCP_INFO = 11  # of Linux's <linux/tcp.h>: `struct tcp_info`
_COUNTERS = struct.Struct("<QQII")  # bytes_acked, bytes_received, segs_out, segs_in
_COUNTERS_AT = 120


@dataclass(frozen=True)
class Traffic:
    """Bytes of IP packets, with their headers."""

    sent: int = 0
    received: int = 0

    def __add__(self, other: Traffic) -> Traffic:
        return Traffic(self.sent + other.sent, self.received + other.received)

    def __sub__(self, other: Traffic) -> Traffic:
        return Traffic(self.sent - other.sent, self.received - other.received)


NOTHING = Traffic()


def traffic(transport: Any) -> Traffic:
    """Read the kernel's counters of an asyncio transport; zeros where it has none (not on Linux)."""
    connection = transport.get_extra_info("socket")
    size = _COUNTERS_AT + _COUNTERS.size
    try:
        info = connection.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, size)
    except (OSError, AttributeError):
        return NOTHING
    if len(info) < size:
        return NOTHING
    acked, received, segments_out, segments_in = _COUNTERS.unpack_from(info, _COUNTERS_AT)
    return Traffic(acked + HEADERS * segments_out, received + HEADERS * segments_in)
