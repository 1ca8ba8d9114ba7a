"""Sessions that come and go for minutes: the server's memory does not run away."""

import asyncio

import pytest

from client.local_server import local_server
from tests.chaos.soak import failures, run

MINUTES = 4


@pytest.mark.slow
def test_memory_does_not_grow_with_the_sessions_that_were():
    with local_server("--asr", "none") as server:
        samples = asyncio.run(run(server, MINUTES))
        assert failures(server).endswith(" 0.0")
    half, last = samples[len(samples) // 2][1], samples[-1][1]
    assert last - half < 3, f"{half} MB at half time, {last} MB at the end"
