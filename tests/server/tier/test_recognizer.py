"""The recogniser in the tier over real HTTP: what comes through, and what becomes of what does not."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import httpx
import numpy as np
import pytest
import soundfile

from server.asr import Recognition, RecognitionService, RecognizerError, Transcript
from server.asr.contract import RecognizerAway, RecognizerLost
from server.asr.whisper import WhisperRecognizer
from server.tier.link import Link
from server.tier.recognizer import TierRecognizer, TierUtterance
from server.tier.wire import ASR_PATH, MOST, Description, Question, from_pcm, to_pcm
from tests.server.tier.replica import Counting, CountingUtterance, broken_tier, free_port, tier

TEA = soundfile.read(Path(__file__).parents[2] / "data" / "tea.flac", dtype="float32")[0]
StartTier = Callable[..., str]
Connect = Callable[[str], TierRecognizer]


def silence(samples: int) -> np.ndarray:
    return np.zeros(samples, np.float32)


def test_whisper_in_the_tier_says_what_it_says_here(start_tier: StartTier, connect: Connect):
    whisper = WhisperRecognizer()
    there = connect(start_tier(whisper))
    assert there.name.startswith("whisper tiny.en int8, at ray://127.0.0.1:")
    texts = []
    for recognizer in (whisper, there):
        utterance = recognizer.open("en", ("tea",))
        texts.append((utterance.feed(TEA[:32_000]), utterance.finish(TEA[32_000:])))
    assert texts[0] == texts[1]
    assert "green tea" in texts[1][1].text
    assert texts[1][1].words


def test_a_partial_text_is_asked_for_when_one_is_due(start_tier: StartTier, connect: Connect):
    model = Counting(streaming=False)
    utterance = connect(start_tier(model)).open(None, ("hot ",))
    assert utterance.feed(silence(9_000)) == ""
    assert utterance.feed(silence(600)) == "hot 9600"
    assert utterance.feed(silence(15_000)) == "hot 9600"
    assert utterance.feed(silence(1_000)) == "hot 25600"
    assert utterance.finish(silence(7)) == Transcript("hot 25607 in all")
    assert model.fed == [9_600, 25_600, 25_607]  # each time all of it


def test_a_streaming_model_goes_on_where_it_was_and_another_replica_from_the_start(connect: Connect):
    here, there, port = Counting(), Counting(), free_port()
    with tier(here, port=port) as address:
        utterance = connect(address).open(None, ())
        utterance.feed(silence(9_600))
        assert utterance.feed(silence(9_600)) == "19200"
    with tier(there, port=port):
        assert utterance.feed(silence(9_600)) in ("19200", "28800")  # the first question may be lost
        assert utterance.feed(silence(9_600)) == "38400"
        assert utterance.finish(silence(0)) == Transcript("38400 in all")
    assert here.fed == [9_600, 9_600]
    assert sum(there.fed) == 38_400


class Held(Counting):
    """Says nothing before it may."""

    def __init__(self) -> None:
        super().__init__(streaming=False)
        self.may, self.entered = threading.Event(), threading.Event()

    def open(self, language: str | None, hotwords: Sequence[str]) -> CountingUtterance:
        self.entered.set()
        self.may.wait(10)
        return super().open(language, hotwords)


def test_partial_texts_do_not_queue_and_what_is_final_goes_first(start_tier: StartTier, connect: Connect):
    model = Held()
    recognizer = connect(start_tier(model))
    with ThreadPoolExecutor() as pool:
        first = pool.submit(recognizer.open(None, ()).feed, silence(9_601))
        assert model.entered.wait(10)
        second = pool.submit(recognizer.open(None, ()).feed, silence(9_602))
        time.sleep(0.3)  # until it has arrived
        final = pool.submit(recognizer.open(None, ()).finish, silence(9_603))
        time.sleep(0.3)
        third = recognizer.open(None, ())
        assert third.feed(silence(9_604)) == ""
        model.may.set()
        assert (first.result(10), second.result(10)) == ("9601", "9602")
        assert final.result(10) == Transcript("9603 in all")
    assert model.fed == [9_601, 9_603, 9_602]
    assert third.feed(silence(3_000)) == ""
    assert third.feed(silence(200)) == "12804"  # asked again 0.2 s later


def test_refusals_and_failures_come_through_and_no_names_of_files(start_tier: StartTier, connect: Connect):
    recognizer = connect(start_tier(Counting()))
    with pytest.raises(RecognizerError, match="counting knows no 'xx'"):
        recognizer.open("xx", ()).finish(silence(1))
    for ask in (TierUtterance.feed, TierUtterance.finish):
        with pytest.raises(RuntimeError, match=r"^counting failed$"):
            ask(recognizer.open("fail", ()), silence(9_600))


def test_a_transcript_is_asked_for_again_with_the_audio_that_is_kept(connect: Connect):
    port = free_port()
    with tier(Counting(), port=port) as address:
        utterance = connect(address).open(None, ())
    with pytest.raises(RecognizerAway):
        utterance.finish(silence(100))
    with tier(Counting(), port=port):
        assert utterance.finish(silence(0)) == Transcript("100 in all")


def test_an_utterance_that_ends_whoever_hears_it_is_given_up():
    described = Description(name="doomed", streaming=False, first=9_600, every=16_000)
    with broken_tier() as address, closing(Link(address, ASR_PATH)) as link:
        utterance = TierUtterance(link, described, Question(utterance="a", final=False))
        assert utterance.feed(silence(9_600)) == ""  # no partial text is no matter
        for _ in range(2):
            with pytest.raises(RecognizerAway):
                utterance.finish(silence(0))
        with pytest.raises(RecognizerLost):
            utterance.finish(silence(0))


def wait_for_end(recognition: Recognition) -> object:
    deadline = time.monotonic() + 10
    while True:
        for result in recognition.poll():
            if not hasattr(result, "until"):
                return result
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_utterances_wait_for_a_tier_that_comes_late():
    port = free_port()
    service = RecognitionService(TierRecognizer(f"ray://127.0.0.1:{port}"))
    assert service.recognizer.name == f"not there yet, at ray://127.0.0.1:{port}"
    waiting = [service.open() for _ in range(3)]
    for recognition in waiting:
        recognition.feed(silence(320))
        recognition.finish()
    time.sleep(0.3)
    assert not [result for recognition in waiting for result in recognition.poll()]
    with tier(Counting(), port=port):
        assert [wait_for_end(one) for one in waiting] == 3 * [Transcript("320 in all")]
    service.close()


class Crowded(Counting):
    """Nobody gets an answer before four have asked; nobody asks twice at a time."""

    parallel = 4

    def __init__(self) -> None:
        super().__init__()
        self.barrier = threading.Barrier(4, timeout=10)

    def open(self, language: str | None, hotwords: object) -> CrowdedUtterance:
        return CrowdedUtterance(self.barrier)


class CrowdedUtterance:
    def __init__(self, barrier: threading.Barrier) -> None:
        self._barrier, self._mine, self._heard = barrier, threading.Lock(), 0

    def feed(self, audio: np.ndarray) -> str:
        assert self._mine.acquire(blocking=False), "two threads at one utterance"
        self._heard += len(audio)
        self._mine.release()
        return str(self._heard)

    def finish(self, tail: np.ndarray) -> Transcript:
        self._barrier.wait()
        return Transcript(self.feed(tail))


def test_several_utterances_are_asked_about_side_by_side():
    service = RecognitionService(Crowded())
    recognitions = [service.open() for _ in range(8)]
    for _ in range(50):
        for recognition in recognitions:
            recognition.feed(silence(10))
    for recognition in recognitions:
        recognition.finish()
    assert [wait_for_end(one) for one in recognitions] == 8 * [Transcript("500")]
    service.close()


@pytest.mark.parametrize("body", [b"", b"{}\n", b"\xff\n\0\0", b'{"utterance": "a", "final": true}\n\0'])
def test_what_is_no_question_is_told_so(body: bytes, start_tier: StartTier):
    url = start_tier(Counting()).replace("ray", "http") + ASR_PATH
    assert httpx.post(url, content=body).status_code == 400


def test_a_body_without_end_is_not_kept(start_tier: StartTier):
    host, port = start_tier(Counting()).removeprefix("ray://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as peer:
        peer.sendall(b"POST /asr HTTP/1.1\r\nhost: a\r\ncontent-length: 999999999\r\n\r\n")
        peer.sendall(bytes(3 * MOST + 1))
        assert peer.recv(100).startswith(b"HTTP/1.1 400")


def test_samples_survive_as_sixteen_bit():
    audio = np.array([0, 0.5, -0.5, 1, -1, 1.5, 3e-5], np.float32)
    np.testing.assert_allclose(from_pcm(to_pcm(audio)), np.clip(audio, -1, 1), atol=1 / 65_000)
