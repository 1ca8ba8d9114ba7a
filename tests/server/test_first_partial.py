"""How soon after the first sound of a sentence its first partial text leaves, on the sample clock.

The recogniser takes no time here, so what is measured is what the service makes its user wait.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile

from aec_core import HOP
from server.asr import Partial, Transcript
from server.asr.contract import Utterance
from server.asr.paraformer import CHUNK, ParaformerUtterance
from server.asr.whisper import WhisperUtterance
from server.events import TranscriptionDelta
from server.listener import Listener, ListenerSettings
from server.vad import SileroBank
from tests.server.hops import clean_hop

DATA = Path(__file__).parents[1] / "data"
RATE = 16_000
MOST_MS = 700


class AtOnce:
    """The service without its thread: what is fed has been recognised when the call returns."""

    def __init__(self, make: Callable[[], Utterance], streaming: bool) -> None:
        self.recognizer = SimpleNamespace(name="at once", streaming=streaming)
        self._make = make

    def open(self, language: str | None, hotwords: Sequence[str]) -> AtOnceUtterance:
        return AtOnceUtterance(self._make())


class AtOnceUtterance:
    def __init__(self, utterance: Utterance) -> None:
        self._utterance, self._until = utterance, 0
        self._news: list[Partial | Transcript] = []

    def feed(self, audio: np.ndarray) -> None:
        self._until += len(audio)
        text = self._utterance.feed(audio)
        self._news = [Partial(text, self._until)] if text else []

    def finish(self) -> None:
        self._news = [Transcript("")]

    def poll(self) -> list[Partial | Transcript]:
        news, self._news = self._news, []
        return news


class Segment(SimpleNamespace):
    text, no_speech_prob, avg_logprob, compression_ratio = "please", 0.0, 0.0, 1.0


def whisper() -> WhisperUtterance:
    """Return whisper's own bookkeeping over a model that hears a word in everything."""
    model: Any = SimpleNamespace(transcribe=lambda audio, **options: ([Segment()], None))
    return WhisperUtterance(model, None)


def paraformer() -> ParaformerUtterance:
    """Return Paraformer's own cutting into chunks over a model that hears a word in each."""
    model: Any = SimpleNamespace(stream=lambda audio, cache, final: ["please"] * (len(audio) // CHUNK))
    return ParaformerUtterance(model, ())


@pytest.mark.parametrize("make", [whisper, paraformer])
@pytest.mark.parametrize("name", ["table", "tea"])
@pytest.mark.parametrize("agent_speaks", [False, True])
def test_the_first_partial_comes_within_700_ms(make: Callable[[], Utterance], name: str, agent_speaks: bool):
    sentence = soundfile.read(DATA / f"{name}.flac", dtype="float32")[0]
    onset = RATE + int(np.argmax(np.abs(sentence) > 0.1 * np.abs(sentence).max()))
    near = np.concatenate([np.zeros(RATE, np.float32), sentence])
    ref = np.random.default_rng(0).normal(0, 0.05 * agent_speaks, len(near)).astype(np.float32)
    service: Any = AtOnce(make, streaming=make is paraformer)
    turns: Any = SimpleNamespace(submit=lambda audio: pytest.fail("the sentence has no pause so early"))
    listener, bank = Listener(ListenerSettings(), turns, service, lambda: "item"), SileroBank(1)
    for start in range(0, len(near) - HOP, HOP):
        clean, echo = near[start : start + HOP], 0.1 * ref[start : start + HOP]
        speech = float(bank.process(clean[None], np.array([True]))[0])
        events = listener.process(clean_hop(start, clean, clean, echo, ref[start : start + HOP], speech))
        if any(isinstance(event, TranscriptionDelta) for event in events):
            assert (start + HOP - onset) / 16 <= MOST_MS
            return
    pytest.fail("there was no partial text")
