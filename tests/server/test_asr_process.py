"""A Paraformer in a process of its own, and what becomes of utterances when it is killed."""

from __future__ import annotations

import gc
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import soundfile

from server.asr import (
    Failed,
    Partial,
    Recognition,
    RecognitionService,
    RecognizerError,
    Transcript,
)
from server.asr.choice import ParaformerModels
from server.asr.contract import RecognizerAway, RecognizerLost
from server.asr.process import Patience, ProcessRecognizer

if TYPE_CHECKING:
    from tests.server.conftest import TinyParaformers

DATA = Path(__file__).parents[1] / "data"
NOTHING = np.zeros(0, np.float32)
PATIENCE = Patience(restart=0.01)


def speech(name: str) -> np.ndarray:
    return soundfile.read(DATA / f"{name}.flac", dtype="float32")[0]


def wait_for(poll: Callable[[], Any]) -> Any:
    """Poll until something is there; a test that waits a minute has failed."""
    deadline = time.monotonic() + 60
    while not (value := poll()):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    return value


def end(recognition: Recognition) -> object:
    return wait_for(lambda: [r for r in recognition.poll() if not isinstance(r, Partial)])[0]


@dataclass(frozen=True)
class Echo:
    """Models that need no funasr: they say how much they heard, or do what a test is about."""

    name: str = "echo"

    def load(self) -> EchoRecognizer:
        if self.name == "broken":
            raise RecognizerError("the model is broken")
        if self.name == "crashing":
            os._exit(3)
        if self.name == "hanging":
            time.sleep(100)
        return EchoRecognizer()


class EchoRecognizer:
    name = "echo"
    streaming = True

    def open(self, language: str | None, hotwords: object) -> EchoUtterance:
        if language == "xx":
            raise RecognizerError("echo knows no 'xx'")
        return EchoUtterance(language)


class EchoUtterance:
    alive = 0

    def __init__(self, language: str | None) -> None:
        self._heard, self._language = 0, language
        EchoUtterance.alive += 1

    def __del__(self) -> None:
        EchoUtterance.alive -= 1

    def feed(self, audio: np.ndarray) -> str:
        if self._language == "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        if self._language == "fail":
            raise MemoryError("no room")
        self._heard += len(audio)
        return f"{self._heard} of {EchoUtterance.alive}"

    def finish(self, tail: np.ndarray) -> Transcript:
        return Transcript(self.feed(tail))


@pytest.fixture(scope="module")
def echo() -> Iterator[ProcessRecognizer]:
    recognizer = ProcessRecognizer(Echo(), PATIENCE)
    yield recognizer
    recognizer.close()


def restarted(recognizer: ProcessRecognizer, killed: int) -> None:
    wait_for(lambda: recognizer.pid not in (None, killed))


class TestWithoutFunasr:
    def test_texts_and_errors_come_through(self, echo: ProcessRecognizer):
        utterance = echo.open(None, ())
        assert utterance.feed(np.zeros(10, np.float32)) == "10 of 1"
        assert utterance.finish(np.zeros(5, np.float32)) == Transcript("15 of 1")
        with pytest.raises(RecognizerError, match="echo knows no 'xx'"):
            echo.open("xx", ())
        with pytest.raises(RuntimeError, match="MemoryError: no room"):
            echo.open("fail", ()).feed(NOTHING)

    def test_an_utterance_that_nobody_holds_is_forgotten(self, echo: ProcessRecognizer):
        kept, dropped = echo.open(None, ()), echo.open(None, ())
        assert kept.feed(NOTHING) == "0 of 2"
        del dropped
        gc.collect()
        assert kept.feed(NOTHING) == "0 of 1"

    def test_a_killed_process_loses_its_utterances_and_comes_back(self, echo: ProcessRecognizer):
        utterance, other, pid = echo.open(None, ()), echo.open(None, ()), echo.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(RecognizerLost):
            utterance.feed(NOTHING)
        with pytest.raises(RecognizerAway):
            echo.open(None, ())
        restarted(echo, pid)
        with pytest.raises(RecognizerLost):  # not mixed up with one of the new process
            utterance.finish(NOTHING)
        fresh = echo.open(None, ())
        outcomes = echo.finish_together([(other, NOTHING), (fresh, NOTHING)])
        assert isinstance(outcomes[0], RecognizerLost)
        assert outcomes[1] == Transcript("0 of 1")

    def test_it_comes_back_though_nobody_asks(self, echo: ProcessRecognizer):
        pid = echo.pid
        assert pid is not None
        os.kill(pid, signal.SIGTERM)
        restarted(echo, pid)

    def test_ctrl_c_is_the_parents_business(self, echo: ProcessRecognizer):
        utterance, pid = echo.open(None, ()), echo.pid
        assert pid is not None
        os.kill(pid, signal.SIGINT)
        assert utterance.feed(NOTHING) == "0 of 1"
        assert echo.pid == pid

    def test_a_process_that_hangs_is_ended(self, caplog: pytest.LogCaptureFixture):
        recognizer = ProcessRecognizer(Echo(), Patience(call=0.1, restart=0.01))
        with pytest.raises(RecognizerLost):
            recognizer.open("stop", ()).feed(NOTHING)
        assert "the recogniser does not answer" in caplog.text
        recognizer.close()

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("broken", "the model is broken"),
            ("crashing", "the process of crashing ended while loading"),
            ("hanging", "hanging was not there after 1 s"),
        ],
    )
    def test_models_that_cannot_be_loaded_are_an_error_in_time(self, name: str, message: str):
        with pytest.raises(RecognizerError, match=message):
            ProcessRecognizer(Echo(name), Patience(load=1 if name == "hanging" else 60))

    def test_no_process_is_left_behind(self):
        recognizer = ProcessRecognizer(Echo(), PATIENCE)
        process = recognizer._process
        recognizer.close()
        assert not process.is_alive()
        with pytest.raises(RecognizerAway):
            recognizer.open(None, ())


@pytest.fixture(scope="module")
def service(tiny: TinyParaformers) -> Iterator[RecognitionService]:
    models = ParaformerModels(str(tiny.streaming), str(tiny.seaco), str(tiny.punctuation))
    service = RecognitionService(ProcessRecognizer(models, PATIENCE))
    yield service
    service.close()


def feed(recognition: Recognition, audio: np.ndarray) -> None:
    for start in range(0, len(audio), 3200):
        recognition.feed(audio[start : start + 3200])


def test_two_sessions_at_a_time_through_the_process(tiny: TinyParaformers, service: RecognitionService):
    here = ParaformerModels(str(tiny.streaming), str(tiny.seaco), str(tiny.punctuation)).load()
    audios = {name: speech(name) for name in ("table", "tea")}
    sessions = {name: service.open(None, ()) for name in audios}
    for start in range(0, max(map(len, audios.values())), 3200):
        for name, recognition in sessions.items():
            recognition.feed(audios[name][start : start + 3200])
    for recognition in sessions.values():
        recognition.finish()
    for name, recognition in sessions.items():
        expected = here.open(None, ()).finish(audios[name])
        transcript = end(recognition)
        assert isinstance(transcript, Transcript)
        assert transcript.text == expected.text
        assert len(transcript.words) == len(expected.words) > 5


def test_a_kill_in_mid_utterance_fails_it_and_the_next_one_waits_for_the_restart(
    service: RecognitionService,
):
    recognizer = service.recognizer
    assert isinstance(recognizer, ProcessRecognizer)
    assert recognizer.pid is not None
    cut = service.open()
    feed(cut, speech("tea")[:20_000])
    assert wait_for(cut.poll)
    os.kill(recognizer.pid, signal.SIGKILL)
    cut.finish()
    next_one = service.open()
    feed(next_one, speech("tea"))
    next_one.finish()
    assert end(cut) == Failed("recognizer_error", "the recogniser's process ended during the utterance")
    transcript = end(next_one)
    assert isinstance(transcript, Transcript)
    assert transcript.words
