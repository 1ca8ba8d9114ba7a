#!/usr/bin/env python3
"""Take the pictures of the web page that the documents show: phone and laptop, light and dark.

draw_page.py [FOLDER]    writes FOLDER/page-{laptop,phone}-{light,dark}.png (docs/images)

A real service hears the shipped person over the page's own agent, in Debian's chromium.
"""

import base64
import io
import json
import shutil
import sys
from pathlib import Path

import soundfile
from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from client.local_server import local_server

ROOT = Path(__file__).parents[1]
RECORDINGS = ROOT / "client" / "recordings"
ECHO_PATH = ROOT / "tests" / "client" / "js" / "echo_path.js"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
]
SCREENS = {"laptop": (1280, 1000, 1), "phone": (375, 812, 2)}
COLOURS = 128


def sentence(number: int) -> str:
    """Return one of the two sentences that the person says, as a base64 FLAC file."""
    facts = json.loads((RECORDINGS / "transcript.json").read_text(encoding="utf-8"))["person"][number]
    near, rate = soundfile.read(RECORDINGS / "near.flac")
    file = io.BytesIO()
    soundfile.write(file, near[facts["start"] : facts["end"] + rate // 2], rate, format="FLAC")
    return base64.b64encode(file.getvalue()).decode()


def picture(browser: Browser, url: str, screen: str, scheme: str) -> bytes:
    width, height, scale = SCREENS[screen]
    context = browser.new_context(
        viewport={"width": width, "height": height},
        device_scale_factor=scale,
        color_scheme=scheme,
        permissions=["microphone"],
    )
    page = context.new_page()
    page.add_init_script(path=ECHO_PATH)
    page.add_init_script("navigator.mediaDevices.enumerateDevices = async () => []")  # no fake loudspeakers
    page.goto(url)
    page.get_by_test_id("start").click()
    page.wait_for_timeout(4000)  # the canceller learns the room
    page.evaluate("(sound) => speak(sound)", sentence(1))
    page.locator(".turn:not(.partial)", has_text="hotel").first.wait_for()
    page.wait_for_timeout(500)
    page.evaluate("scrollTo(0, 0)")
    shot = page.screenshot(full_page=screen == "laptop")
    context.close()
    return shot


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "images"
    with local_server() as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        for screen in SCREENS:
            for scheme in ("light", "dark"):
                shot = Image.open(io.BytesIO(picture(browser, server.page, screen, scheme)))
                path = folder / f"page-{screen}-{scheme}.png"
                shot.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
                sys.stdout.write(f"{path}: {path.stat().st_size / 1000:.0f} kB\n")


if __name__ == "__main__":
    main()
