import re
from pathlib import Path

import numpy as np
import pytest
import soundfile

from server.asr import RecognizerError
from server.asr.whisper import PARTIAL_EVERY, WhisperRecognizer, WhisperUtterance

DATA = Path(__file__).parents[1] / "data"
SENTENCES = {
    "table": "please book a table for four people at seven tomorrow evening",
    "tea": "stop i would like to change my order to green tea",
}
RATE = 16_000


@pytest.fixture(scope="module")
def recognizer() -> WhisperRecognizer:
    return WhisperRecognizer()


def speech(name: str) -> np.ndarray:
    return soundfile.read(DATA / f"{name}.flac", dtype="float32")[0]


def plain(text: str) -> str:
    return " ".join(re.findall(r"[a-z']+", text.lower()))


def feed(utterance: WhisperUtterance, audio: np.ndarray, chunk: int = 3200) -> list[str]:
    return [utterance.feed(audio[start : start + chunk]) for start in range(0, len(audio), chunk)]


@pytest.mark.parametrize("name", SENTENCES)
def test_a_sentence_word_for_word_with_times(recognizer: WhisperRecognizer, name: str):
    audio = speech(name)
    transcript = recognizer.open("en", ()).finish(audio)
    assert plain(transcript.text) == SENTENCES[name]
    assert plain(" ".join(word.word for word in transcript.words)) == SENTENCES[name]
    edges = [edge for word in transcript.words for edge in (word.start, word.end)]
    assert edges == sorted(edges)
    assert 0 <= edges[0] < 0.5 * RATE
    assert len(audio) - RATE < edges[-1] <= len(audio) + 0.2 * RATE


def test_partials_come_once_a_second_of_audio_and_grow(recognizer: WhisperRecognizer):
    audio = speech("table")
    texts = feed(recognizer.open(None, ()), audio)
    changes = [now for before, now in zip(["", *texts], texts, strict=False) if now != before]
    assert 2 <= len(changes) <= len(audio) // PARTIAL_EVERY
    assert plain(changes[-1]).startswith("please book a table")


def test_two_utterances_at_a_time_do_not_mix(recognizer: WhisperRecognizer):
    first, second = recognizer.open("en", ()), recognizer.open("en-US", ())
    half = RATE
    first.feed(speech("table")[:half])
    second.feed(speech("tea")[:half])
    assert plain(first.finish(speech("table")[half:]).text) == SENTENCES["table"]
    assert plain(second.finish(speech("tea")[half:]).text) == SENTENCES["tea"]


def noise(level: float) -> np.ndarray:
    return np.random.default_rng(0).normal(0, level, 3 * RATE).astype(np.float32)


NON_SPEECH = {
    "silence": np.zeros(3 * RATE, np.float32),
    "white noise": noise(0.05),
    "faint noise": noise(0.001),
    "a tone": (0.1 * np.sin(2 * np.pi * 440 / RATE * np.arange(3 * RATE))).astype(np.float32),
    "clicks": np.where(np.arange(3 * RATE) % 8000 == 0, 0.8, 0).astype(np.float32),
    "bursts of noise": noise(0.05) * np.sin(np.arange(3 * RATE) / 3000).astype(np.float32) ** 2,
    "nothing": np.zeros(0, np.float32),
    "a blink": noise(0.05)[:1000],
}


@pytest.mark.parametrize("sound", NON_SPEECH)
def test_no_words_are_invented(recognizer: WhisperRecognizer, sound: str):
    utterance = recognizer.open("en", ())
    assert set(feed(utterance, NON_SPEECH[sound])) <= {""}
    transcript = utterance.finish(np.zeros(0, np.float32))
    assert (transcript.text, transcript.words) == ("", ())


def test_only_english(recognizer: WhisperRecognizer):
    with pytest.raises(RecognizerError, match="knows only English, not 'zh'"):
        recognizer.open("zh", ())


def test_a_directory_without_a_model_is_named(tmp_path: Path):
    with pytest.raises(RecognizerError, match="cannot load whisper"):
        WhisperRecognizer(tmp_path)


def test_hotwords_are_taken(recognizer: WhisperRecognizer):
    transcript = recognizer.open("en", ("green tea",)).finish(speech("tea"))
    assert "green tea" in plain(transcript.text)
