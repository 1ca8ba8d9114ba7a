#!/usr/bin/env python3
"""Film the web page for the README: a person interrupts the page's agent twice, in 20 seconds.

film_page.py [FILE]    writes FILE (docs/images/page.webp), an animated WebP

A real service hears the shipped person over the page's own agent, in Debian's chromium. Frames are what the
browser painted, with its own times.
"""

import base64
import io
import shutil
import sys
from pathlib import Path
from typing import Any

from draw_page import ECHO_PATH, FLAGS, ROOT, sentence
from PIL import Image
from playwright.sync_api import Page, sync_playwright

from client.local_server import local_server

LENGTH_S = 20.0
SENTENCES_S = (4.0, 12.5)  # when the person begins to speak
FRAME_S = 0.2
WIDTH, HEIGHT = 1080, 920
QUALITY = 60


def film(page: Page) -> list[tuple[float, bytes]]:
    """Return what the page showed, `(seconds, JPEG)`, from the tap on Start on."""
    shots: list[tuple[float, bytes]] = []
    devtools = page.context.new_cdp_session(page)

    def keep(event: dict[str, Any]) -> None:
        devtools.send("Page.screencastFrameAck", {"sessionId": event["sessionId"]})
        shots.append((event["metadata"]["timestamp"], base64.b64decode(event["data"])))

    devtools.on("Page.screencastFrame", keep)
    devtools.send("Page.startScreencast", {"format": "jpeg", "quality": 95})
    page.get_by_test_id("start").click()
    spoken = 0.0
    for number, at in enumerate(SENTENCES_S):
        page.wait_for_timeout(1000 * (at - spoken))
        page.evaluate("(sound) => speak(sound)", sentence(number))
        spoken = at
    page.wait_for_timeout(1000 * (LENGTH_S - spoken))
    devtools.send("Page.stopScreencast")
    began = shots[0][0]
    return [(at - began, shot) for at, shot in shots]


def main() -> None:
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "images" / "page.webp"
    with local_server() as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        context = browser.new_context(
            viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light", permissions=["microphone"]
        )
        page = context.new_page()
        page.add_init_script(path=ECHO_PATH)
        page.add_init_script("navigator.mediaDevices.enumerateDevices = async () => []")
        page.goto(server.page)
        shots = film(page)
        browser.close()
    frames: list[Image.Image] = []
    for number in range(int(LENGTH_S / FRAME_S)):
        newest = max((shot for shot in shots if shot[0] <= number * FRAME_S), key=lambda shot: shot[0])
        frames.append(Image.open(io.BytesIO(newest[1])).convert("RGB"))
    frames[0].save(
        path,
        save_all=True,
        append_images=frames[1:],
        duration=round(1000 * FRAME_S),
        loop=0,
        quality=QUALITY,
        method=6,
    )
    sys.stdout.write(f"{path}: {path.stat().st_size / 1000:.0f} kB, {len(shots)} frames were painted\n")


if __name__ == "__main__":
    main()
