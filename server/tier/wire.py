"""What a server and the tier say to each other over HTTP; both sides read this file.

A request holds all that its answer needs, the audio of the whole utterance with it, so any replica can
answer it, and one that was lost can be asked again.
"""

from __future__ import annotations

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from aec_core.types import SAMPLE_RATE, Samples
from server.asr.contract import Transcript, Word

ASR_PATH = "/asr"
TURN_PATH = "/turn"
SESSION_HEADER = "x-session-id"  # what Ray Serve's consistent hashing goes by
MOST = 60 * SAMPLE_RATE  # samples of one utterance; the service gives up on longer ones


class WireError(ValueError):
    """A request that is none."""


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Description(_Message):
    """What a recogniser says of itself.

    Attributes:
        name: For people.
        streaming: Text comes chunk by chunk, and a replica that has heard the start goes on from there.
        first: Samples of an utterance before a first partial text is worth asking for.
        every: Samples between two.
    """

    name: str
    streaming: bool
    first: int
    every: int


class Question(_Message):
    """What is wanted of the audio that follows.

    Attributes:
        utterance: Names the utterance to a replica that has heard its start.
        final: The audio is complete: write the final text.
        language: As in `Recognizer.open`.
        hotwords: The same.
    """

    utterance: str
    final: bool
    language: str | None = None
    hotwords: tuple[str, ...] = ()


class Heard(_Message):
    """A text, partial or final; words are `(word, start, end)` in samples."""

    text: str
    words: tuple[tuple[str, int, int], ...] = ()

    @classmethod
    def of(cls, transcript: Transcript) -> Heard:
        """Put a transcript into a message."""
        return cls(
            text=transcript.text,
            words=tuple((word.word, word.start, word.end) for word in transcript.words),
        )

    def transcript(self) -> Transcript:
        """Take it out again."""
        return Transcript(self.text, tuple(Word(*word) for word in self.words))


class Fault(_Message):
    """The recogniser fails on this utterance; `refused` if it cannot do what is wanted."""

    message: str
    refused: bool


class Judged(_Message):
    """P(complete) of a turn."""

    p_turn: float


def to_pcm(audio: Samples) -> bytes:
    """Return samples `(n,)` as 16 bit, which is what they came as."""
    return (np.clip(audio, -1, 1) * 32767).round().astype("<i2").tobytes()


def from_pcm(pcm: bytes) -> Samples:
    """Return the samples `(n,)`.

    Raises:
        WireError: If these are no samples, or too many.
    """
    if len(pcm) % 2 or len(pcm) > 2 * MOST:
        raise WireError(f"{len(pcm)} bytes are no utterance")
    return np.frombuffer(pcm, "<i2").astype(np.float32) / np.float32(32767)


def pack(question: Question, audio: Samples) -> bytes:
    """Put a question and its audio `(n,)` into one body: a line of JSON, then the samples."""
    return question.model_dump_json().encode() + b"\n" + to_pcm(audio)


def unpack(body: bytes) -> tuple[Question, Samples]:
    """Take them out again.

    Raises:
        WireError: If it is no such body.
    """
    head, _, pcm = body.partition(b"\n")
    try:
        return Question.model_validate_json(head), from_pcm(pcm)
    except ValidationError as error:
        raise WireError("the first line is no question") from error
