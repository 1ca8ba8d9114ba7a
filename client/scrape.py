"""A histogram of a service's `/metrics`, from one moment to another."""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from itertools import pairwise
from math import inf

Buckets = dict[float, float]
"""Upper bound of each bucket, and how many values so far were not above it."""


def page_of(url: str) -> str:
    """Return where the service answers over HTTP, for the address of its socket.

    >>> page_of("ws://127.0.0.1:8080/v1/realtime")
    'http://127.0.0.1:8080/'
    """
    return re.sub(r"^ws(s?://[^/]+)/.*$", r"http\1/", url)


def read_buckets(url: str, name: str, token: str | None = None) -> Buckets:
    """Read a histogram without labels; empty where the service does not tell."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    request = urllib.request.Request(f"{page_of(url)}metrics", headers=headers)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # as the sockets take none
    try:
        with opener.open(request, timeout=5) as answer:
            text = answer.read().decode()
    except (urllib.error.URLError, OSError):
        return {}
    found = re.findall(rf'^{name}_bucket{{le="([^"]+)"}} (\S+)$', text, re.MULTILINE)
    return {float(bound): float(count) for bound, count in found}


def quantile(before: Buckets, after: Buckets, share: float) -> float | None:
    """Return the value below which that share of what came between lies, as Prometheus estimates it."""
    counts = {bound: after[bound] - before.get(bound, 0.0) for bound in sorted(after)}
    total = counts.get(inf, 0.0)
    if not total:
        return None
    below = {0.0: 0.0, **counts}
    for (low, less), (high, more) in pairwise(below.items()):
        if more >= share * total:
            return low if high == inf else low + (high - low) * (share * total - less) / (more - less)
    return None
