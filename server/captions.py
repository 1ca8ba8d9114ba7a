"""The transcript of one item on its way from the recogniser to the client, as events."""

from __future__ import annotations

import numpy as np

from aec_core.types import SAMPLE_RATE, Samples
from server.asr.contract import Transcript
from server.asr.recognition import Failed, Partial, Recognition
from server.events import (
    ErrorBody,
    TranscriptionCompleted,
    TranscriptionDelta,
    TranscriptionFailed,
    Word,
)

BATCH = SAMPLE_RATE // 5  # the worker is woken five times a second, not fifty

CaptionEvent = TranscriptionDelta | TranscriptionCompleted | TranscriptionFailed


def to_ms(samples: int) -> float:
    """Return a position on the microphone clock in ms; nothing lies before 0."""
    return max(samples, 0) * 1000 / SAMPLE_RATE


class Caption:
    """One item: its audio goes to the recogniser, its text comes back as events.

    Deltas come only while the item is open, and how it ends is held back until it is complete, so
    that a client sees the stop of a turn before its transcript.
    """

    def __init__(self, item_id: str, start: int, recognition: Recognition, revises: bool) -> None:
        """Begin the transcript of an item.

        Args:
            item_id: The item.
            start: Its first sample.
            recognition: A fresh utterance at the service.
            revises: Partial texts may change what earlier ones said.
        """
        self.item_id = item_id
        self._start = start
        self._recognition = recognition
        self._revises = revises
        self._batch: list[Samples] = []
        self._batched = 0
        self._complete = False
        self._end: Transcript | Failed | None = None
        self._ended = False
        self._text = ""
        self._agreed = ""  # what all deltas together say

    @property
    def ended(self) -> bool:
        """Nothing more comes."""
        return self._ended

    def feed(self, audio: Samples) -> None:
        """Take the next samples `(n,)`; they are copied."""
        self._batch.append(audio.copy())
        self._batched += len(audio)
        if self._batched >= BATCH:
            self._flush()

    def finish(self) -> None:
        """Say that the item is complete."""
        self._flush()
        self._complete = True
        self._recognition.finish()

    def cancel(self) -> None:
        """Drop the item; nothing more comes."""
        self._ended = True
        self._recognition.cancel()

    def poll(self) -> list[CaptionEvent]:
        """Return what is new."""
        events: list[CaptionEvent] = []
        for result in self._recognition.poll():
            if not isinstance(result, Partial):
                self._end = result
            elif not self._complete and (result.text != self._text or self._confirms(result)):
                events.append(self._delta(result))
        if self._complete and self._end is not None:
            events.append(self._outcome(self._end))
            self._end, self._ended = None, True
        return events

    def _flush(self) -> None:
        if self._batch:
            self._recognition.feed(np.concatenate(self._batch))
            self._batch, self._batched = [], 0

    def _confirms(self, partial: Partial) -> bool:
        """Say whether a text that came again is sure only now."""
        return self._agreed != partial.text and partial.text.startswith(self._agreed)

    def _delta(self, partial: Partial) -> TranscriptionDelta:
        sure = agreement(self._text, partial.text) if self._revises else partial.text
        # What was said to be sure is never taken back: a text that contradicts it adds nothing.
        added = sure[len(self._agreed) :] if sure.startswith(self._agreed) else ""
        self._agreed += added
        self._text = partial.text
        return TranscriptionDelta(
            item_id=self.item_id,
            delta=added,
            text=partial.text,
            start_ms=to_ms(self._start),
            end_ms=to_ms(self._start + partial.until),
            stable=self._agreed == partial.text,
        )

    def _outcome(self, end: Transcript | Failed) -> CaptionEvent:
        if isinstance(end, Failed):
            error = ErrorBody(type="server_error", code=end.code, message=end.message)
            return TranscriptionFailed(item_id=self.item_id, error=error)
        words = tuple(
            Word(
                word=word.word,
                start_ms=to_ms(self._start + word.start),
                end_ms=to_ms(self._start + word.end),
            )
            for word in end.words
        )
        return TranscriptionCompleted(item_id=self.item_id, transcript=end.text, words=words)


def agreement(earlier: str, later: str) -> str:
    """Return the words at the start of `later` that `earlier` has too.

    The last word of `earlier` may have been cut short by the end of its audio, but what follows
    in `later` shows that it was heard again.

    >>> agreement("please book a table for", "please book a table four people")
    'please book a table'
    """
    old, new = earlier.split(), later.split()
    same = next(
        (n for n, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new))
    )
    return " ".join(new[:same])
