"""A recogniser that is late or broken costs its transcript, and not one sample of the audio."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile

from aec_core import HOP, HopCanceller
from server.asr import Limits, RecognitionService, Transcript
from server.engine import Engine
from server.events import (
    InputAudioAppend,
    InputAudioCommit,
    TranscriptionCompleted,
    TranscriptionFailed,
)
from server.inbox import Arrival
from server.lane import Lane
from server.metrics import Metrics
from server.outbox import Item
from server.pcm import to_pcm
from server.session_config import Backends, SessionConfig, SessionInfo, update_session
from server.turn import SmartTurn, TurnService
from server.vad import SileroBank

SPEECH = soundfile.read(Path(__file__).parents[1] / "data" / "tea.flac", dtype="float32")[0]


class Troubled:
    """A recogniser with a fault."""

    name = "troubled"
    streaming = True

    def __init__(self, fault: Callable[[], None]) -> None:
        self.fault = fault

    def open(self, language: str | None, hotwords: Sequence[str]) -> "Troubled":
        return self

    def feed(self, audio: np.ndarray) -> str:
        self.fault()
        return "text"

    def finish(self, tail: np.ndarray) -> Transcript:
        self.fault()
        return Transcript("the end")


@pytest.fixture(scope="module")
def turns() -> Iterator[TurnService]:
    service = TurnService(SmartTurn())
    yield service
    service.close()


def converse(turns: TurnService, recognition: RecognitionService | None) -> tuple[Engine, list[Item]]:
    """Play a sentence to a session, commit it, and process all of it."""
    engine = Engine(HopCanceller.pretrained(streams=1), SileroBank(1), Metrics(), lambda run: run())
    lane, items = Lane("a", turns, recognition), []
    lane.sink = items.extend
    engine.join(lane)
    change = {"audio": {"input": {"format": {"rate": 16_000}, "turn_detection": None}}}
    config = update_session(SessionConfig(), change | {"duplex": {"cleaned_audio": True, "stats_hz": 0}})
    backends = Backends(asr="troubled", vad="", turn="", aec="")
    info = SessionInfo(**dict(config), id="a", resume_token="", backends=backends, latency_samples=0)
    audio = to_pcm(SPEECH).tobytes()
    pieces = [audio[at : at + 6400] for at in range(0, len(audio), 6400)]
    appends = [InputAudioAppend.model_construct(audio=piece, reference=bytes(len(piece))) for piece in pieces]
    for message in (info, *appends, InputAudioCommit()):
        lane.inbox.put(Arrival(message, 0.0, 0.0))
    while engine.tick():
        pass
    return engine, items


def outcome(engine: Engine, items: list[Item]) -> TranscriptionFailed | TranscriptionCompleted:
    """Return what becomes of the transcript, with no more audio than there was."""
    deadline = time.monotonic() + 20
    while not (ends := [i for i in items if isinstance(i, TranscriptionFailed | TranscriptionCompleted)]):
        assert time.monotonic() < deadline
        engine.tick()
        time.sleep(0.005)
    return ends[0]


def breaks() -> None:
    raise MemoryError("no room for the model")


def test_a_transcript_comes_without_more_audio(turns: TurnService):
    gate = threading.Event()
    service = RecognitionService(Troubled(lambda: None if gate.wait(20) else breaks()))
    engine, items = converse(turns, service)
    gate.set()
    completed = outcome(engine, items)
    service.close()

    assert isinstance(completed, TranscriptionCompleted)
    assert completed.transcript == "the end"


def heard_back(items: list[Item]) -> int:
    """Return how many samples of cleaned audio were sent to the peer."""
    return sum((len(item) - 32) // 4 for item in items if isinstance(item, bytes))


def all_of_it() -> int:
    return -(-len(SPEECH) // HOP) * HOP - 2 * HOP  # what is no whole hop, and the latency, stay behind


def test_a_recogniser_that_breaks_fails_the_transcript(turns: TurnService):
    service = RecognitionService(Troubled(breaks))
    engine, items = converse(turns, service)
    failed = outcome(engine, items)
    service.close()
    assert isinstance(failed, TranscriptionFailed)
    assert failed.error.code == "recognizer_error"
    assert failed.error.message == "troubled failed"  # the rest is for the log
    assert heard_back(items) == all_of_it()


@pytest.mark.parametrize(
    ("limits", "code"), [(Limits(finish_s=0.05), "timeout"), (Limits(waiting_s=0.5), "too_slow")]
)
def test_a_recogniser_that_hangs_fails_the_transcript_and_delays_nothing(
    turns: TurnService, limits: Limits, code: str
):
    gate = threading.Event()
    service = RecognitionService(Troubled(lambda: None if gate.wait(60) else breaks()), limits)
    engine, items = converse(turns, service)
    assert heard_back(items) == all_of_it()  # though the recogniser has not answered once
    failed = outcome(engine, items)
    gate.set()
    service.close()
    assert isinstance(failed, TranscriptionFailed)
    assert failed.error.code == code
