"""Ten minutes on the page: it stays quick and its memory flat. Prints what the main thread costs."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest
from playwright.sync_api import Browser, CDPSession, Page

from tests.client.page.chromium import ECHO_PATH, choose_agent, element, eventually

MINUTES = 10
PAGE_BYTES = 4096


def metrics(session: CDPSession) -> dict[str, float]:
    session.send("HeapProfiler.collectGarbage")
    return {each["name"]: each["value"] for each in session.send("Performance.getMetrics")["metrics"]}


def resident_mb(browser: Browser) -> float:
    """Memory of all renderers of the browser; there is one page in it."""
    session = browser.new_browser_cdp_session()
    processes = session.send("SystemInfo.getProcessInfo")["processInfo"]
    session.detach()
    pids = [process["id"] for process in processes if process["type"] == "renderer"]
    pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids)
    return pages * PAGE_BYTES / 1e6


def switch_ms(page: Page) -> float:
    """Time from a tap on the other spectrogram to the page's having taken it."""
    started = time.monotonic()
    element(page, "cleaned-for").get_by_label("words").check()
    element(page, "cleaned-for").get_by_label("detection").check()
    return 1000 * (time.monotonic() - started)


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


@pytest.mark.slow
def test_ten_minutes_stay_quick_and_flat(page, open_page, browser, complaints):
    page.add_init_script(path=ECHO_PATH)
    open_page(agent_voice="shipped")
    timing = page.evaluate("performance.getEntriesByType('navigation')[0].toJSON()")
    say(f"interactive {timing['domContentLoadedEventEnd']:.0f} ms after the tap on the link")
    choose_agent(page, "Narrator")
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    element(page, "start").click()
    eventually(page, "reference", "ok")
    rows = []
    for minute in range(MINUTES):
        before, began = metrics(session), time.monotonic()
        page.wait_for_timeout(60_000)
        after = metrics(session)
        busy = 100 * (after["TaskDuration"] - before["TaskDuration"]) / (time.monotonic() - began)
        rows.append((busy, after["JSHeapUsedSize"] / 1e6, resident_mb(browser), switch_ms(page)))
        say(
            f"minute {minute + 1}: main thread {busy:.1f} %, heap {rows[-1][1]:.1f} MB,"
            f" resident {rows[-1][2]:.0f} MB, two switches {rows[-1][3]:.0f} ms"
        )
    busy, heap, resident, switches = zip(*rows, strict=True)
    assert sorted(busy)[len(busy) // 2] < 10, "of one core"
    assert heap[-1] - heap[1] < 2, "MB in eight minutes"
    assert resident[-1] - resident[1] < 40, "MB in eight minutes, of which audio alone would be 61"
    assert max(switches) < 2000
    eventually(page, "status", "Listening")
    assert not complaints
