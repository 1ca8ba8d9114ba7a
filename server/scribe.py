"""Feeds the recogniser while a turn is open, and no echo with it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from aec_core.types import HOP, SAMPLE_RATE
from server.asr.service import RecognitionService
from server.captions import Caption, CaptionEvent
from server.gate import GateReading
from server.history import History
from server.pcm import Pcm

_MS = SAMPLE_RATE // 1000
_PRE_ROLL = 2600 * _MS  # the longest prefix padding, and the time that it takes to notice a start
_BEFORE = 200 * _MS  # what is passed on before the talker is heard; over the agent it waits as long
_AFTER = 600 * _MS  # … and after


class Scribe:
    """The transcripts of one session: of the open turn, and of those that end just now.

    While the agent plays, a pause of the talker holds what is left of the echo, which a recogniser
    can read. It is given silence there.
    """

    def __init__(self, service: RecognitionService | None) -> None:
        """Begin; without a service nothing is written down."""
        self._service = service
        self._audio = History(_PRE_ROLL if service is not None else 0)
        self._now = 0
        self._audible_until = 0  # until here it is more than echo
        self._fed = 0  # until here the recogniser has it
        self._open: Caption | None = None
        self._finishing: list[Caption] = []  # bounded: the service gives up on each after a while

    @property
    def pending(self) -> bool:
        """A transcript is due."""
        return bool(self._finishing)

    def hear(self, start: int, audio: Pcm, reading: GateReading) -> None:
        """Take one hop `(320,)` and what the gate says about it."""
        if self._service is None:
            return
        self._audio.push(start, audio)
        self._now = start + HOP
        if reading.open:
            self._audible_until = self._now + _AFTER
        elif not reading.ref_active:
            self._audible_until = max(self._audible_until, self._now)
        if self._open is not None:
            # Nothing that is known to be audible has to wait.
            self._release(max(self._now - _BEFORE, min(self._now, self._audible_until)))

    def open(self, item_id: str, start: int, language: str | None, hotwords: Sequence[str]) -> None:
        """Begin the transcript of an item that starts at sample `start`, now or a while ago."""
        if self._service is None:
            return
        recognition = self._service.open(language, hotwords)
        pre_roll = self._audio.read(start, self._now)
        self._fed = self._now
        revises = not self._service.recognizer.streaming
        # The item may have begun before the stream did.
        self._open = Caption(item_id, self._now - len(pre_roll), recognition, revises)
        self._open.feed(pre_roll)

    def finish(self) -> None:
        """The open item is complete."""
        if self._open is not None:
            self._release(self._now)
            self._open.finish()
            self._finishing.append(self._open)
        self._open = None

    def drop(self) -> None:
        """Forget the open item."""
        if self._open is not None:
            self._open.cancel()
        self._open = None

    def poll(self) -> list[CaptionEvent]:
        """Return what the recogniser has written."""
        if self._open is None and not self._finishing:
            return []
        events = self._open.poll() if self._open is not None else []
        for caption in self._finishing:
            events += caption.poll()
        self._finishing = [caption for caption in self._finishing if not caption.ended]
        return events

    def close(self) -> None:
        """Forget everything."""
        self.drop()
        for caption in self._finishing:
            caption.cancel()
        self._finishing = []

    def _release(self, until: int) -> None:
        """Feed up to a sample: what is audible as it is, the rest as silence."""
        if self._open is None or until <= self._fed:
            return
        audible = self._audio.read(self._fed, min(until, self._audible_until))
        self._open.feed(audible)
        self._open.feed(np.zeros(until - self._fed - len(audible), np.float32))
        self._fed = until
