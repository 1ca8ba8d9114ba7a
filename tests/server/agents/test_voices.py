"""Voices that speak: the programs that are installed here, programs that misbehave, and the recordings."""

import shutil
import threading
from pathlib import Path

import numpy as np
import pytest

from server.agents import voices
from server.agents.company import gather
from server.agents.texts import GO_ON, HEARD, NARRATION, STOPPED
from server.agents.voices import Program, Shipped, VoiceError, load_voice
from server.agents.voicing import LIMIT, VoiceService
from server.settings import Settings


def program(script: str) -> Program:
    return Program("program", ["sh", "-c", script, "program", "{wav}"])


@pytest.mark.parametrize("name", ["flite", "espeak-ng"])
@pytest.mark.parametrize("text", ["Good morning.", "- not an option; $(touch /tmp/x) `y`", "早上好。"])
def test_an_installed_voice_speaks(name, text: str):
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    audio, rate = load_voice(name).say(text)
    assert audio.dtype == np.float32
    assert audio.ndim == 1
    if name == "espeak-ng" or text.isascii():
        assert len(audio) > rate / 4
        assert np.abs(audio).max() > 0.05


def test_the_recordings_are_of_what_the_agents_say():
    shipped = Shipped()
    assert not shipped.free
    for text in (GO_ON, STOPPED, HEARD, *NARRATION):
        audio, rate = shipped.say(text)
        letters = len(text) / (len(audio) / rate)
        assert 8 < letters < 22, text
        assert np.abs(audio).max() > 0.1
    with pytest.raises(VoiceError, match="install"):
        shipped.say("You said: hello")


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("echo no such voice >&2; exit 3", "failed with 3$"),
        ("exit 1", "failed with 1$"),
        ("true", "wrote no sound$"),
        ('echo hello > "$1"', "wrote no sound$"),
    ],
)
def test_a_program_that_fails_is_an_error(script: str, why: str):
    with pytest.raises(VoiceError, match=why):
        program(script).say("hello")


def test_what_a_program_prints_is_for_the_log(caplog: pytest.LogCaptureFixture):
    with pytest.raises(VoiceError) as failed:
        program("echo no voice in /home/me >&2; exit 3").say("hello")
    assert "/home/me" not in str(failed.value)
    assert "/home/me" in caplog.text


def test_a_program_that_hangs_is_stopped(monkeypatch):
    monkeypatch.setattr(voices, "SPEAK_S", 0.1)
    with pytest.raises(VoiceError, match="more than"):
        Program("sleeper", ["sleep", "30"]).say("hello")


def test_a_voice_that_is_not_there():
    with pytest.raises(VoiceError, match="not installed"):
        load_voice("piper", Path(__file__)) if shutil.which("piper") is None else load_voice("piper")


def test_without_programs_there_are_the_recordings(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert load_voice("auto").name == "shipped recordings"
    monkeypatch.setattr(shutil, "which", lambda name: name if name in ("piper", "espeak-ng") else None)
    assert load_voice("auto").name == "espeak-ng"  # piper says nothing without a model
    assert load_voice("auto", Path("amy.onnx")).name == "piper amy"


class Tone:
    name, free = "tone", True

    def __init__(self) -> None:
        self.said: list[str] = []
        self.go_on = threading.Event()
        self.go_on.set()

    def say(self, text: str) -> tuple[np.ndarray, int]:
        assert self.go_on.wait(30)
        self.said.append(text)
        return (0.01 * np.sin(0.2 * np.arange(22_050))).astype(np.float32), 22_050


@pytest.fixture
def tone():
    service = VoiceService(Tone())
    yield service
    service.voice.go_on.set()
    service.close()


def test_sound_comes_at_the_wire_rate_and_at_one_level(tone):
    for rate in (16_000, 24_000, 48_000):
        audio = tone.submit("hello", rate).result(30)
        assert audio.dtype == np.int16
        assert abs(len(audio) - rate) <= 1
        assert 20 * np.log10(np.sqrt(np.mean((audio / 32768.0) ** 2))) == pytest.approx(-20, abs=0.3)


def test_what_was_said_is_remembered(tone):
    first = tone.submit("hello", 16_000).result(30)
    while tone.submit("hello", 16_000).result(30) is not first:  # the note is made after the result is out
        pass
    assert len(set(tone.voice.said)) == 1


def test_no_more_waits_than_there_is_room_for(tone):
    tone.voice.go_on.clear()
    futures = [tone.submit(str(n), 16_000) for n in range(LIMIT + 1)]
    assert isinstance(futures[-1].exception(0), VoiceError)
    assert all(future.cancel() for future in futures[2:LIMIT])
    tone.voice.go_on.set()
    assert len(tone.submit("room again", 16_000).result(30))


@pytest.mark.parametrize(
    ("settings", "transcribes", "why"),
    [
        ({"agent_url": "http://x/v1", "agent_model": "m", "agent_voice": "shipped"}, True, "piper"),
        ({"agent": "openai", "agent_voice": "shipped"}, True, "DUPLEX_AGENT_URL"),
        ({"agent": "openai", "agent_url": "http://x", "agent_model": "m"}, False, "recogniser"),
    ],
)
def test_settings_that_do_not_fit_together(settings, transcribes: bool, why: str):
    with pytest.raises((ValueError, VoiceError), match=why):
        gather(Settings(**settings), transcribes)


def test_a_text_of_ones_own(tmp_path: Path, monkeypatch):
    text = tmp_path / "story.txt"
    text.write_text("Once there was a king. He had a dog.")
    with pytest.raises(VoiceError, match="espeak-ng"):
        gather(Settings(agent_text=text, agent_voice="shipped"), True)
    text.write_text(" -- ")
    with pytest.raises(ValueError, match="no words"):
        gather(Settings(agent_text=text), True)
