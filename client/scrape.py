"""What a service says of itself at `/metrics`, from one moment to another."""

from __future__ import annotations

import re
import ssl
from collections import defaultdict
from itertools import pairwise
from math import inf
from typing import Any
from urllib.parse import urlsplit

import httpx
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from client.connect import Address

_TIMEOUT_S = 5.0

Buckets = dict[float, float]
"""Upper bound of each bucket, and how many values so far were not above it."""


class ServerMetrics:
    """The service's own figures for the time between two looks, of all workers.

    Behind a balancer the two may reach two processes; where a counter went back, nothing is said.
    """

    def __init__(self, address: Address) -> None:
        """Take the first look."""
        self._address = address
        self._before = _read(address)

    def since(self) -> dict[str, Any] | None:
        """Return load, times and gaps since the first look; None if they cannot be read."""
        before, after = self._before, _read(self._address)
        if not before or not after:
            return None
        frames = _grown(before, after, "duplex_turnaround_seconds", "_count")
        if frames < 0:
            return None
        lag_s = quantile(_buckets(before), _buckets(after), 0.99)
        return {
            "load": round(max(_values(after, "duplex_engine_load"), default=0.0), 3),
            "round_ms": _mean_ms(before, after, "duplex_engine_round_seconds"),
            "turnaround_ms": _mean_ms(before, after, "duplex_turnaround_seconds"),
            "gap_s": round(_grown(before, after, "duplex_gap_seconds", "_total"), 2),
            "loop_lag_p99_ms": None if lag_s is None else round(1000 * lag_s, 1),
        }


def page_of(url: str) -> str:
    """Return where the service answers over HTTP, for the address of its socket.

    >>> page_of("ws://127.0.0.1:8080/v1/realtime")
    'http://127.0.0.1:8080/'
    """
    return re.sub(r"^ws(s?://[^/]+)/.*$", r"http\1/", url)


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


def _read(address: Address) -> dict[str, Metric]:
    """Read all metrics by name; nothing where the service does not tell."""
    local = urlsplit(address.url).hostname in ("127.0.0.1", "localhost", "::1")
    try:
        answer = httpx.get(
            f"{page_of(address.url)}metrics",
            headers={"Authorization": f"Bearer {address.token}"} if address.token else None,
            verify=ssl.create_default_context(cafile=address.ca) if address.ca else True,
            timeout=_TIMEOUT_S,
            trust_env=not local,  # as the sockets take a proxy
        )
    except (httpx.HTTPError, OSError):
        return {}
    if not answer.is_success:
        return {}
    return {family.name: family for family in text_string_to_metric_families(answer.text)}


def _values(metrics: dict[str, Metric], name: str, suffix: str = "") -> list[float]:
    """Return one value of each worker."""
    samples = metrics[name].samples if name in metrics else []
    return [sample.value for sample in samples if sample.name == name + suffix]


def _buckets(metrics: dict[str, Metric]) -> Buckets:
    samples = metrics["duplex_loop_lag_seconds"].samples if "duplex_loop_lag_seconds" in metrics else []
    counts: Buckets = defaultdict(float)
    for sample in samples:
        if sample.name.endswith("_bucket"):
            counts[float(sample.labels["le"])] += sample.value
    return counts


def _grown(before: dict[str, Metric], after: dict[str, Metric], name: str, suffix: str) -> float:
    return sum(_values(after, name, suffix)) - sum(_values(before, name, suffix))


def _mean_ms(before: dict[str, Metric], after: dict[str, Metric], name: str) -> float | None:
    count = _grown(before, after, name, "_count")
    return round(1000 * _grown(before, after, name, "_sum") / count, 2) if count else None
