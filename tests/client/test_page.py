"""The page in a real browser, with a microphone that plays the shipped recording, against the real server."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import re
import shutil
import wave
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from playwright.sync_api import Browser, ConsoleMessage, Page, TimeoutError, expect, sync_playwright

import client.recordings
from client.page import web_directory
from server.asr import Transcript
from server.models import assemble_models

CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="chromium is not installed (apt-get install chromium)"
)

RECORDINGS = Path(client.recordings.__file__).parent
MICROPHONE = RECORDINGS / "mic.wav"
ECHO_PATH = Path(__file__).parent / "js" / "echo_path.js"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
]
SLOWLY = 30_000  # ms; a loaded machine takes its time, and nothing here asserts speed


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
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


def element(page: Page, name: str) -> Any:
    return page.get_by_test_id(name)


def eventually(page: Page, name: str, text: object) -> None:
    expect(element(page, name)).to_have_text(text, timeout=SLOWLY)  # type: ignore[arg-type]


@pytest.fixture
def open_page(page: Page, start_server: Callable[..., Any]) -> Callable[..., Any]:
    """Open the page of a server with the given settings; return the server."""

    def opened(query: str = "", **settings: object) -> Any:
        # A machine that is busy with other tests must not refuse the one session that there is.
        server = start_server(web_dir=web_directory(), max_load=1.0, **settings)
        page.goto(f"{server.http}/{query}")
        return server

    return opened


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


def speak_until_heard(page):
    """Speak over the agent; a person who is not heard in a choppy browser says it again."""
    for _ in range(3):
        page.evaluate("(sound) => speak(sound)", sentence())
        with contextlib.suppress(TimeoutError):
            page.wait_for_function("document.getElementById('vad').dataset.state === 'speech'", timeout=8000)
            return
    pytest.fail("the person was not heard")


def test_the_agents_echo_is_found_and_a_person_is_heard_over_it(page, open_page, complaints):
    page.add_init_script(path=ECHO_PATH)
    open_page(load=lambda settings: assemble_models(settings, Scripted()))
    element(page, "start").click()
    eventually(page, "reference", "ok")
    page.wait_for_function("parseFloat(document.getElementById('erle').textContent) > 6")
    page.wait_for_function("parseFloat(document.getElementById('delay').textContent) > 0")
    delay_ms = int(element(page, "delay").inner_text().removesuffix(" ms"))
    assert 120 <= delay_ms < 500, "the echo path, and what the browser itself adds"
    speak_until_heard(page)
    expect(element(page, "captions").get_by_text("The person is heard.").first).to_be_visible(timeout=SLOWLY)
    expect(element(page, "captions")).to_contain_text("turn ended: ")
    expect(element(page, "events")).to_contain_text("speech_stopped")
    assert not complaints


def test_narrator_of_the_service_is_heard_interrupted_and_goes_on(page, open_page, complaints):
    page.add_init_script(path=ECHO_PATH)
    open_page(load=lambda settings: assemble_models(settings, Scripted()), agent_voice="shipped")
    choose_agent(page, "Narrator")
    element(page, "start").click()
    eventually(page, "reference", "ok")
    page.wait_for_function("Number(document.getElementById('ref').ariaValueNow) > -50")
    expect(page.locator(".turn.agent").first).to_contain_text(re.compile(r"\w+ \w+"), timeout=SLOWLY)
    page.wait_for_timeout(3000)  # the canceller learns the room
    speak_until_heard(page)
    expect(element(page, "events")).to_contain_text("truncated", timeout=SLOWLY)
    expect(page.locator(".turn.agent").nth(1)).to_be_visible(timeout=SLOWLY)
    assert not complaints


def test_frames_flow_without_gaps_and_are_kept(page, open_page, complaints):
    open_page()
    eventually(page, "status", "Ready")
    element(page, "start").click()
    eventually(page, "status", "Listening")
    eventually(page, "reference", "ok")
    choose_agent(page, "Silence")  # what it is given then is nobody's echo
    page.wait_for_function("document.getElementById('vad').dataset.state === 'speech'")
    page.wait_for_function("document.getElementById('round-trip').textContent.endsWith('ms')")
    page.wait_for_timeout(2000)  # of audio to keep
    element(page, "stop").click()
    eventually(page, "status", "Stopped")
    with page.expect_download() as saving:
        element(page, "download").click()
    kinds = check_archive(saving.value.path())
    assert kinds[:2] == ["session.created", "session.updated"]
    assert {"duplex.aec.stats", "duplex.pong"} <= set(kinds)
    assert not {"error", "duplex.gap"} & set(kinds)
    check_comparison(page)
    assert not complaints


def choose_agent(page: Page, name: str) -> None:
    element(page, "agent").get_by_label(name).check()


def check_archive(path: Path) -> list[str]:
    """Four files of one length, all with sound in them; return the types of the events."""
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        lengths = {name: check_audio(archive.read(name)) for name in archive.namelist() if ".wav" in name}
        lines = archive.read("events.jsonl").decode().splitlines()
    assert set(lengths) == {"mic.wav", "ref.wav", "cleaned-vad.wav", "cleaned-asr.wav"}
    assert len(set(lengths.values())) == 1
    events = [json.loads(line) for line in lines]
    newest_ms = max(event["at_ms"] for event in events if event["type"] == "duplex.aec.stats")
    assert 0 <= lengths["mic.wav"] / 16 - newest_ms < 3000, "as long as what the service has heard"
    return [event["type"] for event in events]


def check_audio(file: bytes) -> int:
    with wave.open(io.BytesIO(file)) as audio:
        assert (audio.getnchannels(), audio.getsampwidth(), audio.getframerate()) == (1, 2, 16000)
        samples = np.frombuffer(audio.readframes(audio.getnframes()), "<i2")
    assert np.abs(samples).max() > 0
    assert len(samples) > 2 * 16000
    return len(samples)


def check_comparison(page: Page) -> None:
    """Microphone and cleaned audio play in turns, from the same place on."""
    player = element(page, "player")
    page.wait_for_function("document.querySelector('audio').readyState >= 2")
    player.evaluate("player => { player.currentTime = 1.5; }")
    element(page, "comparison").get_by_label("β 0.2").check()
    page.wait_for_function("document.querySelector('audio').readyState >= 2")
    assert player.evaluate("player => player.currentTime") == 1.5
    player.evaluate("player => player.play()")
    page.wait_for_function("document.querySelector('audio').currentTime > 1.6")


def test_a_session_can_be_started_again(page, open_page, complaints):
    open_page()
    for _ in range(2):
        element(page, "start").click()
        eventually(page, "status", "Listening")
        element(page, "stop").click()
        eventually(page, "status", "Stopped")
    assert not complaints


def test_keyboard_alone_starts_and_stops(page, open_page):
    open_page()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    eventually(page, "status", "Listening")
    page.keyboard.press("Enter")
    eventually(page, "status", "Stopped")


def test_silence_leaves_the_reference_silent(page, open_page):
    open_page()
    element(page, "start").click()
    eventually(page, "reference", "ok")
    choose_agent(page, "Silence")
    page.wait_for_function("document.getElementById('ref').ariaValueNow === '-90'")


def test_refused_microphone_is_said(page, open_page):
    page.add_init_script(
        "navigator.mediaDevices.getUserMedia ="
        "  () => Promise.reject(new DOMException('no', 'NotAllowedError'));"
    )
    open_page()
    element(page, "start").click()
    expect(element(page, "alert")).to_contain_text("refused", timeout=SLOWLY)
    expect(element(page, "start")).to_be_enabled()


def test_insecure_page_is_said(page, open_page):
    page.add_init_script("Object.defineProperty(navigator, 'mediaDevices', {value: undefined})")
    open_page()
    element(page, "start").click()
    expect(element(page, "alert")).to_contain_text("https", timeout=SLOWLY)


def test_unplugged_microphone_is_replaced_or_said(page, open_page, complaints):
    """The first time there is another one; the second time there is none."""
    page.add_init_script(
        "const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);"
        "navigator.mediaDevices.getUserMedia = async (wish) => (window.stream = await open(wish));"
        "window.refuse = () => {"
        "  navigator.mediaDevices.getUserMedia ="
        "    () => Promise.reject(new DOMException('gone', 'NotFoundError'));"
        "};"
        "window.unplug = () => {"
        "  const [track] = window.stream.getTracks();"
        "  track.stop();"
        "  track.dispatchEvent(new Event('ended'));"
        "};"
    )
    open_page()
    element(page, "start").click()
    eventually(page, "reference", "ok")
    page.evaluate("stream.getTracks()[0].dispatchEvent(new Event('mute'))")
    expect(element(page, "warning")).to_contain_text("muted the microphone", timeout=SLOWLY)
    page.evaluate("unplug()")
    expect(element(page, "warning")).to_contain_text("another one took its place", timeout=SLOWLY)
    page.wait_for_function("Number(document.getElementById('mic').ariaValueNow) > -50")
    eventually(page, "status", "Listening")
    page.evaluate("refuse()")
    page.evaluate("unplug()")
    expect(element(page, "alert")).to_contain_text("There is no microphone", timeout=SLOWLY)
    eventually(page, "status", "Stopped")
    assert not complaints


def test_silent_microphone_is_said(page, open_page):
    page.add_init_script(
        "navigator.mediaDevices.getUserMedia = async () =>"
        "  new AudioContext().createMediaStreamDestination().stream;"
    )
    open_page()
    element(page, "start").click()
    expect(element(page, "warning")).to_contain_text("only silence", timeout=SLOWLY)


def test_processing_that_stays_on_is_said(page, open_page):
    page.add_init_script(
        "const real = MediaStreamTrack.prototype.getSettings;"
        "MediaStreamTrack.prototype.getSettings = function () {"
        "  return { ...real.call(this), echoCancellation: true };"
        "};"
    )
    open_page()
    element(page, "start").click()
    expect(element(page, "warning")).to_contain_text("echoCancellation", timeout=SLOWLY)


def test_lost_connection_is_resumed_and_a_lost_service_replaced(page, open_page, start_server, complaints):
    """First the socket is lost, then the service starts again on the same port."""
    page.add_init_script(
        "const Real = WebSocket;"
        "window.WebSocket = class extends Real {"
        "  constructor(...of) { super(...of); window.socket = this; }"
        "};"
    )
    server = open_page()
    element(page, "start").click()
    eventually(page, "reference", "ok")
    page.evaluate("socket.close()")
    expect(element(page, "events")).to_contain_text("session.updated", timeout=SLOWLY)
    eventually(page, "status", "Listening")
    page.wait_for_function("document.getElementById('warning').textContent === ''")
    assert "duplex_sessions_resumed_total 1.0" in server.metrics()
    server.stop()
    eventually(page, "status", "Reconnecting")
    start_server(port=server.port)
    eventually(page, "status", "Listening")
    expect(element(page, "warning")).to_contain_text("a new one goes on", timeout=SLOWLY)
    element(page, "stop").click()
    eventually(page, "status", "Stopped")


def test_token_of_the_page_opens_the_socket(page, open_page):
    server = open_page("?token=sesame", token="sesame")
    element(page, "start").click()
    eventually(page, "status", "Listening")
    page.goto(f"{server.http}/?token=wrong")
    element(page, "start").click()
    expect(element(page, "alert")).to_contain_text("token", timeout=SLOWLY)


def test_browser_that_refuses_16_khz_is_resampled(page, open_page, complaints):
    page.add_init_script(
        "const create = AudioContext.prototype.createMediaStreamSource;"
        "AudioContext.prototype.createMediaStreamSource = function (stream) {"
        "  if (this.sampleRate === 16000) throw new DOMException('rate', 'NotSupportedError');"
        "  return create.call(this, stream);"
        "};"
    )
    open_page()
    element(page, "start").click()
    eventually(page, "status", "Listening")
    eventually(page, "reference", "ok")
    page.wait_for_function("Number(document.getElementById('mic').ariaValueNow) > -50")
    assert not complaints


@pytest.mark.parametrize("width", [375, 1280])
def test_nothing_is_wider_than_the_screen(page, open_page, width):
    page.set_viewport_size({"width": width, "height": 800})
    open_page()
    element(page, "start").click()
    expect(element(page, "events")).to_contain_text("reference", timeout=SLOWLY)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
