"""The addresses under which this machine is reached, and which of them leave it."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable

import ifaddr

_PROBE = ("203.0.113.1", 9)  # of the range for documentation: nothing is sent there


def is_loopback(host: str) -> bool:
    """Say whether only this machine can reach a server that listens on `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_every(host: str) -> bool:
    """Say whether `host` stands for all addresses of the machine."""
    return host in ("", "0.0.0.0", "::")


def lan_addresses() -> list[str]:
    """Return the addresses of this machine that others may use, the likeliest first.

    That is the address of the default route, then those of other interfaces, IPv4 before IPv6. Addresses
    that hold for one link only are left out: a browser cannot open them.
    """
    return usable(_interface_addresses(), _default_route())


def usable(addresses: Iterable[str], first: str | None) -> list[str]:
    """Leave out of `addresses` what nobody else can use, and sort as `lan_addresses` says."""
    kept = {address for address in addresses if _reachable(address)}
    return sorted(kept, key=lambda address: (address != first, ":" in address, address))


def _interface_addresses() -> list[str]:
    ips = (ip.ip for adapter in ifaddr.get_adapters() for ip in adapter.ips)
    return [ip if isinstance(ip, str) else ip[0] for ip in ips]


def _default_route() -> str | None:
    """Return the address from which packets leave; connecting a UDP socket sends none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(_PROBE)
        except OSError:
            return None
        return str(probe.getsockname()[0])


def _reachable(address: str) -> bool:
    ip = ipaddress.ip_address(address.partition("%")[0])
    return not (ip.is_loopback or ip.is_link_local or ip.is_unspecified or ip.is_multicast)
