"""What the tests of the page share: how the browser is started, and how a test finds its way on the page."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from playwright.sync_api import Page, TimeoutError, expect

import client.recordings
from server.asr import Transcript

CHROMIUM = shutil.which("chromium")
RECORDINGS = Path(client.recordings.__file__).parent
MICROPHONE = RECORDINGS / "mic.wav"
ECHO_PATH = Path(__file__).parents[1] / "js" / "echo_path.js"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
    "--host-resolver-rules=MAP elsewhere.test 127.0.0.1",  # insecure, as in a LAN
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
]
SLOWLY = 30_000  # ms; a loaded machine takes its time, and nothing here asserts speed


def element(page: Page, name: str) -> Any:
    return page.get_by_test_id(name)


def eventually(page: Page, name: str, text: object) -> None:
    expect(element(page, name)).to_have_text(text, timeout=SLOWLY)  # type: ignore[arg-type]


def until(page: Page, condition: str, timeout_ms: float = SLOWLY) -> None:
    """Wait for a JavaScript expression; Playwright's own way is `eval`, which the page's policy forbids."""
    deadline = time.monotonic() + timeout_ms / 1000
    while not page.evaluate(condition):
        if time.monotonic() > deadline:
            raise TimeoutError(condition)
        page.wait_for_timeout(50)


def choose_agent(page: Page, name: str) -> None:
    element(page, "agent").get_by_label(name).check()


class Scripted:
    """Stands for a recogniser: it counts utterances instead of hearing words."""

    name = "scripted"
    streaming = True

    def open(self, language: str | None, hotwords: object) -> Scripted:
        return Scripted()

    def feed(self, audio: np.ndarray) -> str:
        return "the person is"

    def finish(self, tail: np.ndarray) -> Transcript:
        return Transcript("The person is heard.")


def sentence() -> str:
    """Return what the person says first, as a base64 FLAC file."""
    facts = json.loads((RECORDINGS / "transcript.json").read_text(encoding="utf-8"))
    near, rate = soundfile.read(RECORDINGS / "near.flac")
    file = io.BytesIO()
    first = facts["person"][0]
    soundfile.write(file, near[first["start"] : first["end"] + rate // 2], rate, format="FLAC")
    return base64.b64encode(file.getvalue()).decode()


SPEAKS = "document.getElementById('vad').dataset.state === 'speech'"
TRUNCATED = "document.getElementById('events').textContent.includes('truncated')"


def speak_until(page: Page, condition: str) -> None:
    """Speak over the agent; a person who is not heard in a choppy browser says it again."""
    for _ in range(4):
        page.evaluate("(sound) => speak(sound)", sentence())
        with contextlib.suppress(TimeoutError):
            until(page, condition, timeout_ms=8000)
            return
    pytest.fail("the person was not heard")
