"""The sockets of an address, bound before anything is printed or loaded."""

from __future__ import annotations

import os
import socket

SEND_BUFFER_BYTES = 1 << 17  # two seconds of cleaned audio


def bind(host: str, port: int) -> list[socket.socket]:
    """Bind a socket to each address that `host` stands for; port 0 is any free one, the same for all.

    The kernel keeps little of what a peer does not read: with its usual megabytes a slow reader would get
    minutes of stale results before any of them could be merged here. Accepted sockets inherit the size.

    Raises:
        OSError: If there is no such address, or it is taken.
    """
    found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    bound: list[socket.socket] = []
    try:
        for family, kind, protocol, _, address in dict.fromkeys(found):
            bound.append(listening := socket.socket(family, kind, protocol))
            if os.name == "posix":
                listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
            listening.setblocking(False)
            listening.bind((address[0], port, *address[2:]))
            port = port or int(listening.getsockname()[1])
    except OSError:
        for each in bound:
            each.close()
        raise
    return bound
