"""Real servers behind the real router: parts of it go, and the sessions go on."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from client.local_server import SMALL, free_port
from tests.cluster.caller import talking, workers
from tests.cluster.failover import running_cluster
from tests.cluster.pods import Pod
from tests.cluster.router import NGINX, Router

pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")
SETTINGS = SMALL | {"DUPLEX_DRAIN_S": "0.5"}
PROMISED_HOPS = 100  # 2 s: what a client keeps
WAY_BACK_HOPS = 25


async def until(holds: Callable[[], bool]) -> None:
    for _ in range(600):
        if holds():
            return
        await asyncio.sleep(0.05)
    pytest.fail("it did not happen within 30 s")


def test_nginx_takes_the_configuration(tmp_path: Path):
    port = free_port()
    router = Router(tmp_path, [Pod(0, port, {})], port, "127.0.0.1")
    assert "test is successful" in router.check()
    broken = tmp_path / "conf.d" / "duplex.conf"
    broken.write_text(broken.read_text().replace("least_conn;", "least_con;"))
    assert 'unknown directive "least_con"' in router.check()


async def test_sessions_go_on_whatever_goes():
    async with running_cluster(SETTINGS) as cluster, talking(cluster.router.url, 6) as callers:
        drained, killed, left = cluster.pods
        spread = workers(callers)
        assert set(spread) == {pod.name for pod in cluster.pods}
        assert max(spread.values()) <= 3
        before = [caller.worker for caller in callers]
        await until(lambda: all(len(caller.came) > 25 for caller in callers))

        cluster.router.kill()
        cluster.router.start()
        await until(lambda: all(caller.became == ["resumed"] for caller in callers))
        assert [caller.worker for caller in callers] == before

        others = [caller for caller in callers if caller.worker == left.name]
        hit = [caller for caller in callers if caller not in others]
        drained.drain()
        killed.kill()
        await until(lambda: workers(callers) == {left.name: 6})
        await asyncio.sleep(0.5)
        ended = time.perf_counter()

    assert not any(caller.error for caller in callers)
    # Twice, if the drained one took a session of the killed one in its last moment.
    assert all(set(caller.became[1:]) == {"replaced"} for caller in hit)
    assert all(caller.became == ["resumed"] for caller in others)
    assert max(caller.missing(0, ended) for caller in hit) < PROMISED_HOPS
    # What was on its way back when the router was killed is lost; what was on its way there is not.
    assert max(caller.missing(0, ended) for caller in others) < WAY_BACK_HOPS
