"""How late the event loop is: what waits for a socket waits as long."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import perf_counter

PERIOD_S = 0.05


async def watch_loop(observe: Callable[[float], object]) -> None:
    """Sleep again and again, and tell by how many seconds each sleep was too long; until it is cancelled."""
    while True:
        due = perf_counter() + PERIOD_S
        await asyncio.sleep(PERIOD_S)
        observe(max(perf_counter() - due, 0.0))
