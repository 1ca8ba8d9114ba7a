"""A session on the page, from Start to the file that is kept of it."""

from __future__ import annotations

import io
import json
import re
import wave
import zipfile
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from server.models import assemble_models
from tests.client.page.chromium import (
    ECHO_PATH,
    SLOWLY,
    SPEAKS,
    TRUNCATED,
    Scripted,
    choose_agent,
    element,
    eventually,
    speak_until,
    until,
)


def test_the_agents_echo_is_found_and_a_person_is_heard_over_it(page, open_page, complaints):
    page.add_init_script(path=ECHO_PATH)
    open_page(load=lambda settings: assemble_models(settings, Scripted()))
    element(page, "start").click()
    eventually(page, "reference", "ok")
    until(page, "parseFloat(document.getElementById('erle').textContent) > 6")
    until(page, "parseFloat(document.getElementById('delay').textContent) > 0")
    delay_ms = int(element(page, "delay").inner_text().removesuffix(" ms"))
    assert 120 <= delay_ms < 500, "the echo path, and what the browser itself adds"
    speak_until(page, SPEAKS)
    expect(element(page, "captions").get_by_text("The person is heard.").first).to_be_visible(timeout=SLOWLY)
    expect(element(page, "captions")).to_contain_text("turn ended: ")
    expect(element(page, "events")).to_contain_text("barge_in")
    expect(element(page, "events")).to_contain_text("speech_stopped")
    assert not complaints


def test_narrator_of_the_service_is_heard_interrupted_and_goes_on(page, open_page, complaints):
    page.add_init_script(path=ECHO_PATH)
    open_page(load=lambda settings: assemble_models(settings, Scripted()), agent_voice="shipped")
    choose_agent(page, "Narrator")
    element(page, "start").click()
    eventually(page, "reference", "ok")
    until(page, "Number(document.getElementById('ref').ariaValueNow) > -50")
    expect(page.locator(".turn.agent").first).to_contain_text(re.compile(r"\w+ \w+"), timeout=SLOWLY)
    page.wait_for_timeout(3000)  # the canceller learns the room
    speak_until(page, TRUNCATED)
    expect(page.locator(".turn.agent").nth(1)).to_be_visible(timeout=SLOWLY)
    assert not complaints


def test_frames_flow_without_gaps_and_are_kept(page, open_page, complaints):
    open_page()
    eventually(page, "status", "Ready")
    element(page, "start").click()
    eventually(page, "status", "Listening")
    eventually(page, "reference", "ok")
    choose_agent(page, "Silence")  # what it is given then is nobody's echo
    until(page, "document.getElementById('vad').dataset.state === 'speech'")
    until(page, "document.getElementById('round-trip').textContent.endsWith('ms')")
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
    until(page, "document.querySelector('audio').readyState >= 2")
    player.evaluate("player => { player.currentTime = 1.5; }")
    element(page, "comparison").get_by_label("β 0.2").check()
    until(page, "document.querySelector('audio').readyState >= 2")
    assert player.evaluate("player => player.currentTime") == 1.5
    player.evaluate("player => player.play()")
    until(page, "document.querySelector('audio').currentTime > 1.6")


def test_a_session_can_be_started_again_and_keeps_the_screen_on(page, open_page, complaints):
    page.add_init_script(
        "window.locks = [];"
        "WakeLock.prototype.request = async () => {"
        "  const lock = { released: false, release: async () => { lock.released = true; } };"
        "  locks.push(lock);"
        "  return lock;"
        "};"
    )
    open_page()
    for started in (1, 2):
        element(page, "start").click()
        eventually(page, "status", "Listening")
        until(page, "locks.filter((lock) => !lock.released).length === 1")
        element(page, "stop").click()
        eventually(page, "status", "Stopped")
        until(page, "locks.every((lock) => lock.released)")
        assert page.evaluate("locks.length") == started
    assert not complaints


def test_stop_waits_for_the_words_of_an_open_turn(page, open_page, complaints):
    page.add_init_script(path=ECHO_PATH)
    open_page(load=lambda settings: assemble_models(settings, Scripted()))
    choose_agent(page, "Silence")
    element(page, "start").click()
    eventually(page, "status", "Listening")
    speak_until(page, SPEAKS)
    element(page, "stop").click()
    eventually(page, "status", "Stopped")
    expect(element(page, "captions")).to_contain_text("The person is heard.")
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
    until(page, "document.getElementById('ref').ariaValueNow === '-90'")


def test_token_of_the_page_opens_the_socket(page, open_page):
    server = open_page("#token=sesame", token="sesame")
    element(page, "start").click()
    eventually(page, "status", "Listening")
    page.goto(f"{server.http}/#token=wrong")
    page.reload()  # another fragment alone is no other page
    element(page, "start").click()
    expect(element(page, "alert")).to_contain_text("token", timeout=SLOWLY)


def test_who_is_recorded_is_told(page, open_page, tmp_path):
    open_page(record=tmp_path)
    expect(element(page, "warning")).to_contain_text("keeps a recording", timeout=SLOWLY)
    element(page, "start").click()
    eventually(page, "status", "Listening")
    expect(element(page, "warning")).to_contain_text("keeps a recording")


@pytest.mark.parametrize("width", [375, 1280])
def test_nothing_is_wider_than_the_screen(page, open_page, width):
    page.set_viewport_size({"width": width, "height": 800})
    open_page()
    element(page, "start").click()
    expect(element(page, "events")).to_contain_text("reference", timeout=SLOWLY)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
