"""What live sessions lose when a part of the socket tier goes: `python -m tests.cluster.failover`.

Three servers behind the router of `docker/nginx`, and sessions that talk through it in real time. Then the
router is killed, one server is drained and another is killed; what is gone starts again, as in a cluster.
Prints a Markdown table, which says something about latency only where nothing else runs.
"""

import argparse
import asyncio
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from client.local_server import SMALL, free_port
from tests.cluster.caller import PERIOD_S, STRAGGLERS_S, Caller, talking
from tests.cluster.names import Names
from tests.cluster.pods import Pod
from tests.cluster.router import NGINX, Router

PODS = 3
SETTLE_S = 3.0


@dataclass
class Cluster:
    """Pods, their names and the router in front of them."""

    pods: list[Pod]
    router: Router

    async def start(self, *pods: Pod) -> None:
        """Start pods, and wait until all of them are ready."""
        for pod in pods:
            await asyncio.to_thread(pod.wait_gone)
            pod.start()
        await asyncio.gather(*(asyncio.to_thread(pod.wait_ready) for pod in pods))


@asynccontextmanager
async def running_cluster(settings: dict[str, str], nginx: str | None = NGINX) -> AsyncIterator[Cluster]:
    port = free_port()
    pods = [Pod(number, port, settings) for number in range(PODS)]
    names = Names(pods)
    names.start()
    with tempfile.TemporaryDirectory() as folder:
        cluster = Cluster(pods, Router(Path(folder), pods, port, names.address, nginx))
        try:
            await cluster.start(*pods)
            cluster.router.start()
            yield cluster
        finally:
            cluster.router.kill()
            for pod in pods:
                pod.kill()
                pod.wait_gone()
            names.stop()


@dataclass(frozen=True)
class Blow:
    """What one event did to the sessions.

    Attributes:
        name: Of the event.
        hit: Sessions that it concerned.
        resumed: Those of them that went on where they were, with their filters.
        replaced: Those that began anew, on another server.
        silent_ms: The longest time without cleaned audio, of each of them.
        lost_ms: Audio that never came back, of each of them.
        before_ms: Turnaround of all frames of the other sessions, before the event …
        during_ms: … and after it.
        elsewhere_lost_ms: Audio of those that never came back.
    """

    name: str
    hit: int
    resumed: int
    replaced: int
    silent_ms: list[float]
    lost_ms: list[float]
    before_ms: list[float]
    during_ms: list[float]
    elsewhere_lost_ms: float


class Trial:
    """Sessions on a cluster, and one event after the other.

    Args:
        cluster: That runs.
        callers: Who talk.
        seconds: Before and after each event.
    """

    def __init__(self, cluster: Cluster, callers: list[Caller], seconds: float) -> None:
        self._cluster = cluster
        self._callers = callers
        self._seconds = seconds
        self._windows: list[tuple[str, float, float, float, list[Caller]]] = []

    async def run(self) -> None:
        """Let everything happen."""
        first, second, _ = self._cluster.pods
        await asyncio.sleep(SETTLE_S)
        await self._event("the router is killed", self._callers, self._restart_router)
        await self._event("a server is drained", self._held_by(first), first.drain)
        await self._restart(first)
        await self._event("a server is killed", self._held_by(second), second.kill)

    def judge(self) -> list[Blow]:
        """Say what it did, once the sessions are over."""
        return [self._judge(*window) for window in self._windows]

    async def _event(self, name: str, hit: list[Caller], action: Callable[[], None]) -> None:
        await asyncio.sleep(self._seconds)
        at = time.perf_counter()
        await asyncio.to_thread(action)
        await asyncio.sleep(self._seconds)
        self._windows.append((name, at - self._seconds, at, time.perf_counter(), hit))

    async def _restart(self, pod: Pod) -> None:
        await self._cluster.start(pod)
        await asyncio.sleep(SETTLE_S)

    def _restart_router(self) -> None:
        self._cluster.router.kill()
        self._cluster.router.start()

    def _held_by(self, pod: Pod) -> list[Caller]:
        return [caller for caller in self._callers if caller.worker == pod.name]

    def _judge(self, name: str, begin: float, at: float, end: float, hit: list[Caller]) -> Blow:
        others = [caller for caller in self._callers if caller not in hit]
        became = [change.how for caller in hit for change in caller.changes if at < change.at < end]
        return Blow(
            name,
            len(hit),
            became.count("resumed"),
            became.count("replaced"),
            [longest_silence_ms(caller, at, end) for caller in hit],
            [lost_ms(caller, begin, end) for caller in hit],
            [took for caller in others for took in turnarounds_ms(caller, begin, at)],
            [took for caller in others for took in turnarounds_ms(caller, at, end)],
            sum(lost_ms(caller, begin, end) for caller in others),
        )


def turnarounds_ms(caller: Caller, begin: float, end: float) -> list[float]:
    return [each.turnaround_ms for each in caller.came.values() if begin < each.at < end]


def longest_silence_ms(caller: Caller, begin: float, end: float) -> float:
    times = sorted(each.at for each in caller.came.values() if begin <= each.at <= end)
    return 1000 * float(np.diff([begin, *times, end]).max())


def lost_ms(caller: Caller, begin: float, end: float) -> float:
    return 1000 * PERIOD_S * caller.missing(begin, end - STRAGGLERS_S)


def table(blows: Sequence[Blow]) -> str:
    """Return Markdown."""
    lines = [
        "| event | sessions | resumed | begun anew | silent, ms: median / most | lost, ms: mean / most "
        "| others' p99 before → during, ms | others lost, ms |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for blow in blows:
        others = f"{_p99(blow.before_ms)} → {_p99(blow.during_ms)}" if blow.before_ms else "there are none"
        lines.append(
            f"| {blow.name} | {blow.hit} | {blow.resumed} | {blow.replaced} "
            f"| {np.median(blow.silent_ms):.0f} / {max(blow.silent_ms):.0f} "
            f"| {np.mean(blow.lost_ms):.0f} / {max(blow.lost_ms):.0f} | {others} "
            f"| {blow.elsewhere_lost_ms:.0f} |"
        )
    return "\n".join(lines)


def _p99(values: Sequence[float]) -> str:
    return f"{np.percentile(values, 99):.1f}"


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=60)
    parser.add_argument("--seconds", type=float, default=10, help="before and after each event")
    parser.add_argument("--nginx", default=NGINX, help="another than the one in the path")
    options = parser.parse_args()
    settings = SMALL | {"DUPLEX_MAX_SESSIONS": str(options.sessions), "DUPLEX_DRAIN_S": "3"}
    async with (
        running_cluster(settings, options.nginx) as cluster,
        talking(cluster.router.url, options.sessions) as callers,
    ):
        trial = Trial(cluster, callers, options.seconds)
        await trial.run()
    print(table(trial.judge()))
    for error, times in Counter(str(caller.error) for caller in callers if caller.error).items():
        print(f"{times} sessions ended: {error}")


if __name__ == "__main__":
    asyncio.run(main())
