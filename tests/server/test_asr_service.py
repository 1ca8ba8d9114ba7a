"""The worker that sessions share, over recognisers that do as the test says."""

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from server.asr import (
    Failed,
    Limits,
    Partial,
    Recognition,
    RecognitionService,
    RecognizerError,
    Transcript,
    load_recognizer,
)
from server.asr.contract import RecognizerAway, RecognizerLost


class Scripted:
    """Writes down how many samples it heard; `gate` holds it, `broken` makes it fail."""

    name = "scripted"
    streaming = True

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()
        self.broken = False
        self.finished: list[int] = []
        self.fed: list[int] = []

    def open(self, language: str | None, hotwords: Sequence[str]) -> "ScriptedUtterance":
        if language == "xx":
            raise RecognizerError("scripted knows no 'xx'")
        return ScriptedUtterance(self, " ".join(hotwords))


class ScriptedUtterance:
    def __init__(self, model: Scripted, prefix: str) -> None:
        self._model, self._prefix, self._heard = model, prefix, 0

    def feed(self, audio: np.ndarray) -> str:
        self._model.entered.set()
        self._model.gate.wait(10)
        self._heard += len(audio)
        self._model.fed.append(len(audio))
        if self._model.broken:
            raise RuntimeError("out of memory")
        return f"{self._prefix}{self._heard}"

    def finish(self, tail: np.ndarray) -> Transcript:
        text = self.feed(tail)
        self._model.finished.append(self._heard)
        return Transcript(f"{text} in all")


@pytest.fixture
def model():
    scripted = Scripted()
    yield scripted
    scripted.gate.set()


@pytest.fixture
def service(model: Scripted):
    service = RecognitionService(model)
    yield service
    model.gate.set()
    service.close()


def audio(samples: int) -> np.ndarray:
    return np.zeros(samples, np.float32)


def wait_for(poll: Callable[[], Any]) -> Any:
    """Poll until something is there; a test that waits 10 s has failed."""
    deadline = time.monotonic() + 10
    while not (value := poll()):
        assert time.monotonic() < deadline
        time.sleep(0.001)
    return value


def end(recognition: Recognition) -> object:
    return wait_for(lambda: [r for r in recognition.poll() if not isinstance(r, Partial)])[0]


def test_partials_then_the_transcript_and_then_nothing(service: RecognitionService):
    recognition = service.open()
    recognition.feed(audio(100))
    assert wait_for(recognition.poll) == [Partial("100", 100)]
    recognition.feed(audio(50))
    assert wait_for(recognition.poll) == [Partial("150", 150)]
    recognition.finish()
    assert end(recognition) == Transcript("150 in all")
    recognition.feed(audio(10))
    recognition.finish()
    assert recognition.poll() == []


def test_hotwords_reach_the_recogniser(service: RecognitionService):
    recognition = service.open(None, ["tea "])
    recognition.feed(audio(5))
    recognition.finish()
    assert end(recognition) == Transcript("tea 5 in all")


def test_audio_that_came_while_the_model_worked_is_taken_in_one_piece(
    model: Scripted, service: RecognitionService
):
    model.gate.clear()
    recognition = service.open()
    recognition.feed(audio(100))
    assert model.entered.wait(10)
    for _ in range(5):
        recognition.feed(audio(10))
    model.gate.set()
    wait_for(lambda: model.fed == [100, 50])
    recognition.finish()
    assert end(recognition) == Transcript("150 in all")


def test_the_caller_may_reuse_its_array(model: Scripted, service: RecognitionService):
    heard: list[np.ndarray] = []
    recognition = service.open()
    model.open = lambda language, hotwords: Recorder(heard)
    block = np.ones(4, np.float32)
    model.gate.clear()
    recognition.feed(block)
    block[:] = 0
    recognition.finish()
    end(recognition)
    assert np.concatenate(heard).tolist() == [1, 1, 1, 1]


class Recorder:
    def __init__(self, heard: list[np.ndarray]) -> None:
        self._heard = heard

    def feed(self, audio: np.ndarray) -> str:
        self._heard.append(audio)
        return ""

    def finish(self, tail: np.ndarray) -> Transcript:
        self._heard.append(tail)
        return Transcript("")


def test_a_complete_utterance_goes_before_open_ones(model: Scripted, service: RecognitionService):
    model.gate.clear()
    first, open_one, complete = service.open(), service.open(), service.open()
    first.feed(audio(1))
    assert model.entered.wait(10)
    open_one.feed(audio(20))
    complete.feed(audio(300))
    complete.finish()
    model.gate.set()
    wait_for(lambda: len(model.fed) == 3)
    assert model.fed == [1, 300, 20]


def test_utterances_do_not_mix(service: RecognitionService):
    recognitions = [service.open(None, [f"{n}:"]) for n in range(20)]
    for _ in range(10):
        for n, recognition in enumerate(recognitions):
            recognition.feed(audio(n))
    for recognition in recognitions:
        recognition.finish()
    for n, recognition in enumerate(recognitions):
        assert end(recognition) == Transcript(f"{n}:{10 * n} in all")


def test_an_exception_fails_its_utterance_and_no_other(
    model: Scripted, service: RecognitionService, caplog: pytest.LogCaptureFixture
):
    model.broken = True
    bad = service.open()
    bad.feed(audio(10))
    assert end(bad) == Failed("recognizer_error", "scripted failed")
    model.broken = False
    good = service.open()
    good.feed(audio(10))
    good.finish()
    assert end(good) == Transcript("10 in all")
    assert "scripted failed on an utterance" in caplog.text


def test_a_language_that_the_model_lacks_fails_the_utterance(service: RecognitionService):
    recognition = service.open("xx")
    recognition.feed(audio(10))
    assert end(recognition) == Failed("unsupported", "scripted knows no 'xx'")


def test_too_many_utterances_fail_at_once(model: Scripted):
    service = RecognitionService(model, Limits(utterances=2))
    kept = [service.open(), service.open()]
    refused = service.open()
    (failed,) = refused.poll()
    assert isinstance(failed, Failed)
    assert failed.code == "busy"
    kept[0].cancel()
    assert service.open().poll() == []
    service.close()


def test_a_model_that_falls_behind_fails_the_utterance_and_keeps_no_audio(model: Scripted):
    service = RecognitionService(model, Limits(waiting_s=1.0))
    model.gate.clear()
    recognition = service.open()
    recognition.feed(audio(100))
    assert model.entered.wait(10)
    for _ in range(11):
        recognition.feed(audio(1600))
    (failed,) = recognition.poll()
    assert failed == Failed("too_slow", "the recogniser is 1 s of audio behind")
    assert recognition._audio == []
    model.gate.set()
    service.close()


def test_a_transcript_that_takes_too_long_fails_and_does_not_come_later(model: Scripted):
    service = RecognitionService(model, Limits(finish_s=0.05))
    model.gate.clear()
    recognition = service.open()
    recognition.feed(audio(100))
    recognition.finish()
    failed = end(recognition)
    assert isinstance(failed, Failed)
    assert failed.code == "timeout"
    model.gate.set()
    service.close()
    assert recognition.poll() == []


def test_a_cancelled_utterance_says_nothing_and_frees_its_place(model: Scripted, service: RecognitionService):
    model.gate.clear()
    recognition, other = service.open(), service.open()
    recognition.feed(audio(100))
    assert model.entered.wait(10)
    recognition.cancel()
    model.gate.set()
    other.feed(audio(1))
    other.finish()
    assert end(other) == Transcript("1 in all")
    assert recognition.poll() == []
    assert not service._open


def test_closing_fails_what_is_open_and_does_not_wait_for_a_model_that_hangs(model: Scripted):
    service = RecognitionService(model)
    model.gate.clear()
    recognition = service.open()
    recognition.feed(audio(100))
    assert model.entered.wait(10)
    service.close(timeout_s=0.01)
    assert end(recognition) == Failed("closed", "the service is shutting down")
    (failed,) = service.open().poll()
    assert isinstance(failed, Failed)


def test_feeding_never_waits_for_the_model(model: Scripted, service: RecognitionService):
    """With the model held, everything below must return; it would hang if any call waited."""
    model.gate.clear()
    for _ in range(10):
        recognition = service.open()
        for _ in range(100):
            recognition.feed(audio(320))
        recognition.finish()
        assert recognition.poll() == []


class TestLoading:
    def test_none_is_none(self):
        assert load_recognizer("none") is None

    def test_an_unknown_name_is_refused(self):
        with pytest.raises(ValueError, match="unknown recogniser 'kaldi'"):
            load_recognizer("kaldi")  # type: ignore[arg-type]

    def test_auto_without_a_directory_is_whisper(self):
        recognizer = load_recognizer("auto")
        assert recognizer is not None
        assert recognizer.name.startswith("whisper")

    def test_auto_says_why_it_is_not_the_paraformer_that_was_named(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ):
        recognizer = load_recognizer("auto", str(tmp_path))
        assert recognizer is not None
        assert recognizer.name.startswith("whisper")
        assert "no paraformer: " in caplog.text
        assert "it lacks config.yaml, model.pt, tokens.json, am.mvn" in caplog.text

    def test_auto_without_the_weights_is_none_and_says_so(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ):
        from server.asr import whisper
        from server.weights import PackagedFile

        monkeypatch.setattr(whisper, "WHISPER_TINY_EN", PackagedFile("no-such-package", "model.bin", "0"))
        assert load_recognizer("auto") is None
        assert "no speech recognition" in caplog.text
        with pytest.raises(RecognizerError, match="no-such-package is not installed"):
            load_recognizer("whisper")


class TestTogether:
    """A recogniser that completes several utterances in one call."""

    @pytest.fixture
    def service(self):
        self.model = Batched()
        service = RecognitionService(self.model)
        yield service
        self.model.gate.set()
        service.close()

    def complete(self, service: RecognitionService, lengths: Sequence[int]) -> list[Recognition]:
        """Hold the model, and give it utterances that are complete."""
        self.model.gate.clear()
        held = service.open()
        held.feed(audio(1))
        assert self.model.entered.wait(10)
        recognitions = [service.open() for _ in lengths]
        for recognition, length in zip(recognitions, lengths, strict=True):
            recognition.feed(audio(length))
            recognition.finish()
        self.model.gate.set()
        return recognitions

    def test_what_is_complete_goes_together(self, service: RecognitionService):
        recognitions = self.complete(service, [10, 20, 30, 40])
        texts = [end(recognition) for recognition in recognitions]
        assert texts == [Transcript(f"{n} in all") for n in (10, 20, 30, 40)]
        assert self.model.batches == [3]  # the last one came alone

    def test_each_has_its_own_failure(self, service: RecognitionService):
        outcomes = [end(one) for one in self.complete(service, [10, 666, 30])]
        assert outcomes[0] == Transcript("10 in all")
        assert outcomes[1] == Failed("recognizer_error", "scripted failed")
        assert outcomes[2] == Transcript("30 in all")

    def test_one_that_is_open_has_its_turn_between_two_batches(self, service: RecognitionService):
        self.model.gate.clear()
        speaking = service.open()
        speaking.feed(audio(1))
        assert self.model.entered.wait(10)
        speaking.feed(audio(2))
        recognitions = self.complete(service, [10] * 7)
        for recognition in recognitions:
            end(recognition)
        assert self.model.fed == [1, 10, 10, 10, 2, 10, 10, 10, 1, 10]


class Batched(Scripted):
    batch = 3

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[int] = []

    def finish_together(self, ends: Sequence[tuple[Any, np.ndarray]]) -> list[Transcript | Exception]:
        self.batches.append(len(ends))
        return [KeyError(666) if len(tail) == 666 else one.finish(tail) for one, tail in ends]


class Away(Scripted):
    """A recogniser that comes only after it was looked for a few times."""

    looks = 0

    def open(self, language: str | None, hotwords: Sequence[str]) -> ScriptedUtterance:
        self.looks += 1
        if self.looks < 4:
            raise RecognizerAway("not yet")
        return super().open(language, hotwords)


def test_an_utterance_waits_for_a_recogniser_that_is_away_and_loses_nothing():
    service = RecognitionService(Away())
    recognition = service.open()
    recognition.feed(audio(10))
    recognition.feed(audio(20))
    recognition.finish()
    assert end(recognition) == Transcript("30 in all")
    service.close()


def test_an_utterance_whose_process_is_lost_fails(model: Scripted, service: RecognitionService):
    class Lost:
        def feed(self, audio: np.ndarray) -> str:
            raise RecognizerLost("it was killed")

    model.open = lambda *_: Lost()  # type: ignore[method-assign]
    recognition = service.open()
    recognition.feed(audio(10))
    assert end(recognition) == Failed("recognizer_error", "it was killed")


def test_a_long_wait_is_worked_off_in_turns(model: Scripted, service: RecognitionService):
    model.gate.clear()
    first, second = service.open(), service.open()
    first.feed(audio(1))
    assert model.entered.wait(10)
    first.feed(audio(50_000))
    second.feed(audio(5))
    model.gate.set()
    wait_for(lambda: sum(model.fed) == 50_006)
    assert model.fed == [1, 19_200, 5, 19_200, 11_600]
