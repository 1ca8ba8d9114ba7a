"""The recogniser in the tier, as the server sees it: it is itself one.

The audio of an utterance is kept here until its transcript is there, so a replica that ends costs a
partial text or a second try, not the utterance.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Sequence
from time import monotonic
from typing import TypeVar

import numpy as np
from pydantic import BaseModel, ValidationError

from aec_core.types import SAMPLE_RATE, Samples
from server.asr.contract import RecognizerAway, RecognizerError, RecognizerLost, Transcript
from server.tier.link import Link, TierAway, TierLost
from server.tier.wire import ASR_PATH, Description, Fault, Heard, Question, pack

_LOOK_S = 1.0  # between two looks for a tier that is away
_DESCRIBE_S = 2.0
_PARTIAL_S = 4.0  # a partial text that takes longer is worth nothing
_AGAIN = SAMPLE_RATE // 5  # samples until a partial text that was not to be had is asked for again
_FINAL_S = 12.0  # for a replica that hangs; under load a second try would only lose the place in the queue
_TRIES = 3  # an utterance that ends whoever hears it does not get to end all of them

logger = logging.getLogger(__name__)

MessageT = TypeVar("MessageT", bound=BaseModel)


class TierRecognizer:
    """A recogniser behind HTTP.

    Attributes:
        parallel: How many utterances it takes at a time.
    """

    parallel = 16

    def __init__(self, address: str) -> None:
        """Look for the tier; a server starts without it too, and its transcripts wait."""
        self._address = address
        self._link = Link(address, ASR_PATH)
        self._lock = threading.Lock()
        self._look_at = 0.0
        self._description: Description | None = None
        if self._describe() is None:
            logger.warning("no recogniser at %s yet: transcripts wait for it", address)

    @property
    def name(self) -> str:
        """What the tier says, with where it is."""
        described = self._description
        return f"{described.name if described else 'not there yet'}, at {self._address}"

    @property
    def streaming(self) -> bool:
        """As the tier has it; a text that only grows is also right where it might have changed."""
        return self._description is not None and self._description.streaming

    def open(self, language: str | None, hotwords: Sequence[str]) -> TierUtterance:
        """Begin an utterance; nothing is sent yet, so an unknown language shows with the first text.

        Raises:
            RecognizerAway: If the tier has never been there.
        """
        described = self._describe()
        if described is None:
            raise RecognizerAway(f"no recogniser at {self._address} yet")
        question = Question(
            utterance=secrets.token_hex(8), final=False, language=language, hotwords=tuple(hotwords)
        )
        return TierUtterance(self._link, described, question)

    def close(self) -> None:
        """Drop the connections."""
        self._link.close()

    def _describe(self) -> Description | None:
        with self._lock:
            if self._description is None and monotonic() >= self._look_at:
                try:
                    self._description = Description.model_validate_json(self._link.get(_DESCRIBE_S))
                    logger.info("recogniser: %s", self.name)
                except (TierAway, TierLost, ValidationError):
                    self._look_at = monotonic() + _LOOK_S
            return self._description


class TierUtterance:
    """All audio of one utterance, and the text so far."""

    def __init__(self, link: Link, described: Description, question: Question) -> None:
        self._link = link
        self._question = question
        self._every = described.every
        self._due = described.first  # length at the next question
        self._chunks: list[Samples] = []
        self._length = 0
        self._text = ""
        self._lost = 0

    def feed(self, audio: Samples) -> str:
        """Take the next samples `(n,)` and return the text so far; a partial text that is lost is no matter.

        Raises:
            RecognizerError: If the recogniser refuses.
            RuntimeError: If it fails.
        """
        self._append(audio)
        if self._length >= self._due:
            try:
                self._text = self._ask(_PARTIAL_S).text
                self._due = self._length + self._every
            except (TierAway, TierLost) as error:
                logger.debug("no partial text: %s", error)
                self._due = self._length + _AGAIN
        return self._text

    def finish(self, tail: Samples) -> Transcript:
        """Take the last samples `(n,)` and return the final text.

        Raises:
            RecognizerAway: If it has to be asked for again; the audio is kept, so without any.
            RecognizerLost: If that has been tried.
            RecognizerError: If the recogniser refuses.
            RuntimeError: If it fails.
        """
        self._append(tail)
        self._question = self._question.model_copy(update={"final": True})
        try:
            return self._ask(_FINAL_S).transcript()
        except TierAway as error:
            raise RecognizerAway(str(error)) from error
        except TierLost as error:
            self._lost += 1
            logger.warning("try %d of %d for a transcript was lost: %s", self._lost, _TRIES, error)
            if self._lost < _TRIES:
                raise RecognizerAway(str(error)) from error
            raise RecognizerLost("the recogniser was lost with the utterance") from error

    def _append(self, audio: Samples) -> None:
        self._chunks.append(audio)
        self._length += len(audio)

    def _ask(self, timeout_s: float) -> Heard:
        self._chunks = [np.concatenate([np.zeros(0, np.float32), *self._chunks])]
        body = pack(self._question, self._chunks[0])
        fine, content = self._link.post(body, timeout_s, session=self._question.utterance)
        if fine:
            return _read(Heard, content)
        fault = _read(Fault, content)
        raise RecognizerError(fault.message) if fault.refused else RuntimeError(fault.message)


def _read(kind: type[MessageT], content: bytes) -> MessageT:
    try:
        return kind.model_validate_json(content)
    except ValidationError as error:
        raise TierLost("the answer is none of the tier's") from error
