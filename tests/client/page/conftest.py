"""The page in a real browser, with a microphone that plays the shipped recording, against the real server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

from client.page import web_directory
from tests.client.page.chromium import CHROMIUM, FLAGS, MICROPHONE, SLOWLY
from tests.conftest import RunningServer, running_server

OpenPage = Callable[..., Any]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("chromium is not installed (apt-get install chromium)")
    flags = [*FLAGS, f"--use-file-for-fake-audio-capture={MICROPHONE}"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield browser
        browser.close()


@pytest.fixture
def complaints() -> list[str]:
    """What the browser's console says that it should not."""
    return []


@pytest.fixture
def page(browser: Browser, complaints: list[str]) -> Iterator[Page]:
    def note(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            complaints.append(message.text)

    context = browser.new_context(permissions=["microphone"], accept_downloads=True)
    page = context.new_page()
    page.set_default_timeout(SLOWLY)
    page.on("console", note)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    context.close()


@pytest.fixture(scope="module")
def shared_server() -> Iterator[RunningServer]:
    with running_server(web_dir=web_directory()) as server:
        yield server


@pytest.fixture
def open_page(
    page: Page, request: pytest.FixtureRequest, start_server: Callable[..., Any]
) -> Callable[..., Any]:
    """Open the page of a server with the given settings, or of the shared one; return the server."""

    def opened(query: str = "", **settings: object) -> Any:
        if settings:
            server = start_server(web_dir=web_directory(), **settings)
        else:
            server = request.getfixturevalue("shared_server")
        page.goto(f"{server.http}/{query}")
        return server

    return opened
