import threading
import time
from concurrent.futures import CancelledError
from pathlib import Path

import numpy as np
import pytest
import soundfile

from server.turn import WINDOW, SmartTurn, TurnService, turn_features

DATA = Path(__file__).parents[1] / "data"


@pytest.fixture(scope="module")
def model() -> SmartTurn:
    return SmartTurn()


def speech(name: str) -> np.ndarray:
    return soundfile.read(DATA / f"{name}.flac", dtype="float32")[0]


@pytest.mark.parametrize("name", ["table", "tea"])
def test_a_whole_sentence_is_complete_and_most_of_one_is_not(model: SmartTurn, name: str):
    audio = speech(name)
    assert model.predict(audio) > 0.9
    assert model.predict(audio[: len(audio) * 7 // 10]) < 0.1


def test_features_are_those_that_another_implementation_makes():
    from faster_whisper.feature_extractor import FeatureExtractor

    audio, padded = speech("tea"), np.zeros(WINDOW, np.float32)
    padded[-len(audio) :] = audio
    expected = FeatureExtractor(chunk_length=8)(
        (padded - padded.mean()) / np.sqrt(padded.var() + 1e-7), padding=0
    )
    np.testing.assert_allclose(turn_features(audio), expected, atol=1e-4)


def test_features_are_those_of_the_last_eight_seconds():
    audio = np.random.default_rng(2).normal(0, 0.1, WINDOW + 16_000).astype(np.float32)
    features = turn_features(audio)
    assert features.shape == (80, 800)
    assert features.dtype == np.float32
    np.testing.assert_array_equal(features, turn_features(audio[-WINDOW:]))


def test_features_do_not_depend_on_the_level():
    audio = speech("tea")
    np.testing.assert_allclose(turn_features(audio), turn_features(0.25 * audio), atol=2e-3)


def test_features_see_a_tone_at_its_pitch():
    """Slaney's scale puts 1 kHz at mel 15 of 45.2, a third of the way up."""
    tone = np.sin(2 * np.pi * 1000 / 16_000 * np.arange(WINDOW)).astype(np.float32)
    loudest = int(turn_features(tone)[:, 400].argmax())
    assert loudest == pytest.approx(15 / 45.2 * 81 - 1, abs=1.5)


@pytest.mark.parametrize("length", [0, 1, 100])
def test_almost_nothing_is_judged_without_a_fault(model: SmartTurn, length: int):
    assert 0 <= model.predict(np.zeros(length, np.float32)) <= 1


class Held:
    """A model that answers when it is let go."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.seen: list[np.ndarray] = []

    def predict(self, audio: np.ndarray) -> float:
        self.go.wait(10)
        self.seen.append(audio)
        if not len(audio):
            raise RuntimeError("nothing to judge")
        return float(audio[0])


@pytest.fixture
def held():
    model = Held()
    yield model
    model.go.set()


def turn(value: float) -> np.ndarray:
    return np.full(8, value, np.float32)


def test_the_service_answers_like_the_model(model: SmartTurn):
    service = TurnService(model)
    audio = speech("tea")
    assert service.submit(audio).result(10) == model.predict(audio)
    service.close()


def test_a_full_queue_cancels_instead_of_waiting(held: Held):
    service = TurnService(held, depth=2)
    running = service.submit(turn(0.25))
    while service._jobs.qsize():
        time.sleep(0.001)
    waiting = [service.submit(turn(0.5)), service.submit(turn(0.75))]
    refused = service.submit(turn(1.0))
    assert refused.cancelled()
    held.go.set()
    assert [future.result(10) for future in (running, *waiting)] == [0.25, 0.5, 0.75]
    service.close()


def test_what_was_cancelled_is_not_computed(held: Held):
    service = TurnService(held)
    first, second, third = (service.submit(turn(value)) for value in (0.25, 0.5, 0.75))
    assert second.cancel()
    held.go.set()
    first.result(10), third.result(10)
    assert [float(audio[0]) for audio in held.seen] == [0.25, 0.75]
    service.close()


def test_a_model_that_fails_fails_one_decision(held: Held, caplog: pytest.LogCaptureFixture):
    held.go.set()
    service = TurnService(held)
    with pytest.raises(RuntimeError, match="nothing to judge"):
        service.submit(np.zeros(0, np.float32)).result(10)
    assert service.submit(turn(0.5)).result(10) == 0.5
    assert "turn model failed" in caplog.text
    service.close()


def test_the_audio_may_be_reused_after_submit(held: Held):
    service, audio = TurnService(held), turn(0.5)
    future = service.submit(audio)
    audio[:] = 0
    held.go.set()
    assert future.result(10) == 0.5
    service.close()


def test_closing_cancels_what_waits(held: Held):
    service = TurnService(held)
    service.submit(turn(0.25))
    while service._jobs.qsize():
        time.sleep(0.001)
    waiting = service.submit(turn(0.5))
    threading.Timer(0.05, held.go.set).start()
    service.close()
    with pytest.raises(CancelledError):
        waiting.result(0)
    assert service.submit(turn(0.5)).cancelled()
