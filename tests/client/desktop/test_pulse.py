"""A PulseAudio sink that nobody hears: its monitor is the microphone, so that what is played comes back.

The command plays and records through ALSA's plugin, and Chromium through PulseAudio itself.
"""

import json
import os
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
from playwright.sync_api import expect, sync_playwright

from client.page import web_directory
from tests.client.page.chromium import until

pytestmark = pytest.mark.slow

RATE = 16_000
TOOLS = ("pulseaudio", "pactl", "paplay")
PLUGIN = Path("/usr/share/alsa/alsa.conf.d/pulse.conf")
# ALSA shows a monitor only where it is named.
ASOUNDRC = """pcm.speaker_monitor {
    type pulse
    device "speaker.monitor"
    hint { show on description "Monitor of the speaker" }
}
"""
START_S = 30
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--use-fake-ui-for-media-stream"]
FLAGS += ["--autoplay-policy=no-user-gesture-required", "--disable-background-networking"]


@pytest.fixture
def pulse(tmp_path):
    """Start a PulseAudio server of one's own; return the environment that leads to it."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing or not PLUGIN.exists():
        pytest.skip("PulseAudio or ALSA's plugin for it is not installed")
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    (home / ".asoundrc").write_text(ASOUNDRC)
    socket = home / "pulse.sock"
    env = os.environ | {
        "HOME": str(home),
        "XDG_RUNTIME_DIR": str(home),
        "PULSE_SERVER": f"unix:{socket}",
        "DUPLEX_MAX_LOAD": "1",
        "COLUMNS": "200",
    }
    modules = (
        "module-null-sink sink_name=speaker rate=48000 norewinds=1",  # with rewinds samples are repeated
        # Chromium shows no monitors, but this is none.
        "module-remap-source source_name=microphone master=speaker.monitor",
        f"module-native-protocol-unix auth-anonymous=1 socket={socket}",
    )
    options = ["--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no", "--disable-shm=yes"]
    command = ["pulseaudio", "-n", *options, *(part for module in modules for part in ("-L", module))]
    process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + START_S
    while subprocess.run(["pactl", "info"], env=env, capture_output=True, check=False).returncode:
        if process.poll() is not None or time.monotonic() > deadline:
            pytest.skip("no PulseAudio server can be started here")
        time.sleep(0.1)
    subprocess.run(["pactl", "set-default-source", "microphone"], env=env, check=True)
    yield env
    process.terminate()
    process.wait(30)


def loopback(env, folder, *options):
    command = [sys.executable, "-m", "client.cli", "loopback", "-i", "pulse", "-o", "pulse", "--asr", "none"]
    command += ["--record", str(folder), *options]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return {name: soundfile.read(folder / f"{name}.wav")[0] for name in ("mic", "ref", "vad", "asr")}


def lag(mic, ref):
    """Return by how many samples the microphone is behind the reference; negative if it is ahead."""
    n = 1 << (len(mic) + len(ref)).bit_length()
    peak = int(np.argmax(np.fft.irfft(np.fft.rfft(mic, n) * np.fft.rfft(ref, n).conj())))
    return peak if peak < n // 2 else peak - n


def by_second(audio, out):
    """Return the delay in ms and the ERLE in dB of each whole second with sound but the first.

    A busy machine lets buffers run dry now and then; then the delay jumps, and the agent may take its echo
    for somebody who interrupts.
    """
    mic, ref = audio["mic"], audio["ref"]
    seconds = [slice(start, start + RATE) for start in range(RATE, len(mic) - RATE + 1, RATE)]
    seconds = [each for each in seconds if min(np.std(mic[each]), np.std(ref[each])) > 0.01]
    delays = [1000 * lag(mic[each], ref[each]) / RATE for each in seconds]
    erles = [10 * np.log10(np.mean(mic[e] ** 2) / (np.mean(audio[out][e] ** 2) + 1e-12)) for e in seconds]
    return delays, erles


def assert_found(delays, events):
    """Some delay that there was is one that the canceller reported."""
    stats = [
        event
        for event in map(json.loads, events.read_text().splitlines())
        if event["type"] == "duplex.aec.stats"
    ]
    reported = [event["delay_ms"] for event in stats if event["delay_ms"] is not None]
    assert any(abs(delay - each) < 0.5 for delay in delays for each in reported), (delays, reported)


def test_what_the_command_plays_comes_back_and_is_cancelled(pulse, tmp_path):
    audio = loopback(pulse, tmp_path / "session", "--seconds", "12")
    assert {len(channel) for channel in audio.values()} == {12 * RATE}
    delays, erles = by_second(audio, "vad")
    assert max(erles) > 30
    assert_found(delays, tmp_path / "session" / "events.jsonl")


def test_what_another_program_plays_is_the_reference(pulse, tmp_path):
    clip = tmp_path / "clip.wav"
    soundfile.write(clip, *soundfile.read(web_directory() / "agent.mp3"))
    player = subprocess.Popen(["paplay", str(clip)], env=pulse)
    try:
        options = ("--agent", "none", "--ref-device", "speaker_monitor", "--seconds", "15")
        audio = loopback(pulse, tmp_path / "session", *options)
    finally:
        player.kill()
        player.wait()
    assert {len(channel) for channel in audio.values()} == {15 * RATE}
    _, erles = by_second(audio, "vad")
    assert max(erles) > 30


@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed")
def test_the_page_in_a_browser_that_plays_and_records(pulse, start_server, tmp_path):
    server = start_server(web_dir=web_directory())
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=FLAGS,
            ignore_default_args=["--mute-audio"],
            env=pulse,
        )
        page = browser.new_context(permissions=["microphone"], accept_downloads=True).new_page()
        page.set_default_timeout(60_000)
        page.goto(server.http)
        page.get_by_test_id("start").click()
        expect(page.get_by_test_id("status")).to_have_text("Listening")
        expect(page.get_by_test_id("reference")).to_have_text("ok", timeout=60_000)
        until(page, "parseFloat(document.getElementById('erle').textContent) > 20")
        page.wait_for_timeout(8000)  # of audio to keep
        page.get_by_test_id("stop").click()
        with page.expect_download() as saving:
            page.get_by_test_id("download").click()
        saving.value.save_as(tmp_path / "session.zip")
        browser.close()
    with zipfile.ZipFile(tmp_path / "session.zip") as archive:
        archive.extractall(tmp_path)
    audio = {file.stem: soundfile.read(file)[0] for file in tmp_path.rglob("*.wav")}
    delays, erles = by_second(audio, "cleaned-vad")
    assert_found(delays, next(tmp_path.rglob("*.jsonl")))
    assert max(erles) > 30
