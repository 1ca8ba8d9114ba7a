"""A recogniser in a process of its own, and what becomes of utterances when that ends."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from server.asr import (
    RecognizerError,
    Transcript,
)
from server.asr.contract import RecognizerAway, RecognizerLost
from server.asr.process import Patience, ProcessRecognizer
from server.models import Models, assemble_models
from server.service import Service
from server.settings import Settings

NOTHING = np.zeros(0, np.float32)
PATIENCE = Patience(restart=0.01)


def wait_for(poll: Callable[[], Any]) -> Any:
    """Poll until something is there; a test that waits a minute has failed."""
    deadline = time.monotonic() + 60
    while not (value := poll()):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    return value


@dataclass(frozen=True)
class Echo:
    """Models that need no funasr: they say how much they heard, or do what a test is about."""

    name: str = "echo"

    def load(self) -> EchoRecognizer:
        if self.name == "broken" or Path(self.name).is_file():
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


def test_texts_and_errors_come_through(echo: ProcessRecognizer):
    utterance = echo.open(None, ())
    assert utterance.feed(np.zeros(10, np.float32)) == "10 of 1"
    assert utterance.finish(np.zeros(5, np.float32)) == Transcript("15 of 1")
    with pytest.raises(RecognizerError, match="echo knows no 'xx'"):
        echo.open("xx", ())
    with pytest.raises(RuntimeError, match="MemoryError: no room"):
        echo.open("fail", ()).feed(NOTHING)


def test_an_utterance_that_nobody_holds_is_forgotten(echo: ProcessRecognizer):
    kept, dropped = echo.open(None, ()), echo.open(None, ())
    assert kept.feed(NOTHING) == "0 of 2"
    del dropped
    gc.collect()
    assert kept.feed(NOTHING) == "0 of 1"


def test_a_killed_process_loses_its_utterances_and_comes_back(echo: ProcessRecognizer):
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


def test_it_comes_back_though_nobody_asks(echo: ProcessRecognizer):
    pid = echo.pid
    assert pid is not None
    os.kill(pid, signal.SIGTERM)
    restarted(echo, pid)


def test_ctrl_c_is_the_parents_business(echo: ProcessRecognizer):
    utterance, pid = echo.open(None, ()), echo.pid
    assert pid is not None
    os.kill(pid, signal.SIGINT)
    assert utterance.feed(NOTHING) == "0 of 1"
    assert echo.pid == pid


def test_a_process_that_hangs_is_ended(caplog: pytest.LogCaptureFixture):
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
def test_models_that_cannot_be_loaded_are_an_error_in_time(name: str, message: str):
    with pytest.raises(RecognizerError, match=message):
        ProcessRecognizer(Echo(name), Patience(load=1 if name == "hanging" else 60))


def test_a_start_that_fails_is_repeated(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    """The models are gone when the process is killed, and there again a while later."""
    gone = tmp_path / "gone"
    recognizer = ProcessRecognizer(Echo(str(gone)), PATIENCE)
    gone.touch()
    killed = recognizer.pid
    assert killed is not None
    os.kill(killed, signal.SIGKILL)
    wait_for(lambda: caplog.text.count("the recogniser does not start: the model is broken") == 2)
    gone.unlink()
    restarted(recognizer, killed)
    assert recognizer.open(None, ()).finish(NOTHING) == Transcript("0 of 1")
    recognizer.close()


def test_no_process_is_left_behind():
    recognizer = ProcessRecognizer(Echo(), PATIENCE)
    process = recognizer._process
    recognizer.close()
    assert not process.is_alive()
    with pytest.raises(RecognizerAway):
        recognizer.open(None, ())


async def test_a_service_that_is_told_to_stop_does_not_wait_for_a_download():
    def load(settings: Settings) -> Models:
        return assemble_models(settings, ProcessRecognizer(Echo("hanging")))

    service = Service(Settings(max_sessions=1), load)
    service.start()
    await asyncio.wait_for(service.stop(), 50)
    assert service.failure is None  # it was asked for
    assert service.unready == "loading"
