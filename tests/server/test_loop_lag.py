import asyncio
import time

from server.loop_lag import PERIOD_S, watch_loop


async def test_a_loop_that_is_held_up_is_seen_to_lag():
    lags: list[float] = []
    watching = asyncio.create_task(watch_loop(lags.append))
    await asyncio.sleep(2.5 * PERIOD_S)
    time.sleep(0.3)  # noqa: ASYNC251 - holding up the loop is the point
    await asyncio.sleep(2 * PERIOD_S)
    watching.cancel()
    assert min(lags) >= 0
    assert max(lags) > 0.2
