"""Speaks an agent's pieces on the session's sample clock. No I/O, and nothing in here waits.

The microphone's hops are the clock: each lets one frame of 20 ms go, and 200 ms may be ahead. So the
client never holds more than that, and an agent that is stopped has little left on its way.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

import numpy as np

from server.agent_events import (
    Heard,
    ItemTruncated,
    Response,
    ResponseCreated,
    ResponseDone,
    ResponseStatus,
    TranscriptDelta,
    Within,
)
from server.agents.piece import Piece, whole_frames
from server.agents.said import Said
from server.events import ErrorBody, ErrorEvent
from server.outbox import Item
from server.pcm import Pcm

FRAME_MS = 20
LEAD = 10  # frames that may be ahead of the clock
_PREPARED = 2  # pieces that are made into sound beforehand
_KEPT_S = 2  # how long a piece is kept after it was heard: the client may yet say that it played less


class Voicing(Protocol):
    """Makes sound of text, later."""

    def submit(self, text: str, rate: int) -> Future[Pcm]:
        """Ask for the sound of a text at a rate, `(n,)`; the future fails if it cannot be had."""
        ...


@dataclass(slots=True)
class _Waiting:
    piece: Piece
    sound: Future[Pcm] | None = None


class Speaker:
    """The voice of one agent in one session: one response at a time.

    Attributes:
        said: The response that is being spoken, None between two.
    """

    def __init__(
        self,
        voicing: Voicing,
        rate: int,
        carry: Callable[[Said, Pcm], Item],
        begin: Callable[[], Said],
        says: Callable[[str], None] = lambda text: None,
    ) -> None:
        """Begin silent.

        Args:
            voicing: Makes sound of text.
            rate: On the wire, Hz.
            carry: Makes a message of the next frame of a response.
            begin: Names a new response and its item.
            says: Told the words of each piece when its sound begins to be sent.
        """
        self.said: Said | None = None
        self._voicing = voicing
        self._rate = rate
        self._frame = rate * FRAME_MS // 1000
        self._carry = carry
        self._begin = begin
        self._says = says
        self._waiting: deque[_Waiting] = deque()
        self._open = False  # more pieces may be added to the response
        self._spoken: deque[tuple[int, Piece]] = deque()  # where each began, for who goes on later
        self._audio: Pcm = np.zeros(0, np.int16)  # of the newest piece, what is not sent
        self._ahead = 0  # frames
        self._played: float | None = None  # samples of the item, by the client's word
        self._plays = False

    @property
    def busy(self) -> bool:
        """Something is being said, or is about to be."""
        return self.said is not None or bool(self._waiting) or self._open

    @property
    def heard(self) -> int:
        """Samples of the item that the person has heard by now."""
        if self.said is None:
            return 0
        by_clock = self.said.sent - self._ahead * self._frame
        return max(0, by_clock if self._played is None else round(self._played))

    def say(self, pieces: Iterable[Piece], more: bool = False) -> None:
        """Append to what is said; `more` keeps the response open for what is not known yet."""
        self._waiting.extend(_Waiting(piece) for piece in pieces)
        self._open = more

    def report(self, item_id: str | None, playing: bool, played_ms: float | None) -> None:
        """Take the client's word for what its loudspeaker plays, as far as that can be true."""
        if self.said is None or item_id != self.said.item_id or played_ms is None:
            return
        self._played = min(played_ms * self._rate / 1000, self.said.sent)
        self._plays = playing

    def hop(self, may_begin: bool) -> list[Item]:
        """Let 20 ms pass; return what is due to the client.

        Args:
            may_begin: Nobody else has the floor: a new response may start.
        """
        self._ahead = max(self._ahead - 1, 0)
        self._prepare()
        if self.said is None and not may_begin:
            return []
        if self.said is not None and self._played is not None and self._plays:
            self._played = min(self._played + self._frame, self.said.sent)
        out: list[Item] = []
        while self._ahead < LEAD:
            if not len(self._audio):
                out += self._next_piece()
            if self.said is None or not len(self._audio):
                break
            out.append(self._next_frame(self.said))
        if self.said is not None and not (self._open or self._waiting or len(self._audio) or self._ahead):
            out.append(self._done(self.said, "completed"))
        return out

    def stop(self, status: ResponseStatus = "cancelled") -> tuple[list[Item], list[Piece]]:
        """End it at what was heard.

        Returns:
            What is due to the client, and the pieces that were not heard.
        """
        heard, said = self.heard, self.said
        rest = [piece.after(heard - start) for start, piece in self._spoken]
        rest += [waiting.piece for waiting in self._waiting]
        for waiting in self._waiting:
            if waiting.sound is not None:
                waiting.sound.cancel()
        self._waiting.clear()
        self._open = False
        out: list[Item] = []
        if said is not None:
            said.heard = heard
            out = [self.truncated(said), self._done(said, status)]
        return out, [piece for piece in rest if piece is not None]

    def truncated(self, said: Said) -> ItemTruncated:
        """Return the report of how much of an item was heard."""
        heard = said.sent if said.heard is None else said.heard
        ms = round(1000 * heard / self._rate, 3)
        return ItemTruncated(item_id=said.item_id, audio_end_ms=ms, duplex=Heard(transcript=said.text))

    def _prepare(self) -> None:
        for waiting in islice(self._waiting, _PREPARED):
            if waiting.piece.audio is None and waiting.sound is None:
                waiting.sound = self._voicing.submit(waiting.piece.text, self._rate)

    def _next_piece(self) -> list[Item]:
        """Take up the next piece if its sound is there; one that cannot be said is left out."""
        out: list[Item] = []
        while self._waiting and not len(self._audio):
            first = self._waiting[0]
            if first.sound is not None and not first.sound.done():
                break
            self._waiting.popleft()
            try:
                piece = first.piece if first.sound is None else Piece(first.piece.text, first.sound.result())
            except Exception as error:  # whatever kept the voice from speaking, the session goes on
                out.append(_failed(error))
                continue
            out += self._take_up(piece)
        self._prepare()
        return out

    def _take_up(self, piece: Piece) -> list[Item]:
        if piece.audio is None or not len(piece.audio):
            return []
        out: list[Item] = []
        if self.said is None:
            self.said = self._begin()
            self._played, self._plays, self._ahead = None, False, 0
            out.append(ResponseCreated(response=_response(self.said, "in_progress")))
        start = self.said.sent
        self._audio = whole_frames(piece.audio, self._frame)
        self._spoken.append((start, Piece(piece.text, self._audio)))
        kept = self.heard - _KEPT_S * self._rate
        while len(self._spoken) > 1 and self._spoken[1][0] < kept:
            self._spoken.popleft()
        self._says(piece.text)
        delta = self.said.begin(piece.text, len(self._audio))
        span = Within(start_ms=self._ms(start), end_ms=self._ms(start + len(self._audio)))
        said = self.said
        out.append(
            TranscriptDelta(response_id=said.response_id, item_id=said.item_id, delta=delta, duplex=span)
        )
        return out

    def _next_frame(self, said: Said) -> Item:
        frame = self._carry(said, self._audio[: self._frame])
        self._audio = self._audio[self._frame :]
        said.sent += self._frame
        self._ahead += 1
        return frame

    def _done(self, said: Said, status: ResponseStatus) -> ResponseDone:
        self.said = None
        if said.heard is None:
            said.heard = said.sent
        self._spoken.clear()
        self._audio = self._audio[:0]
        self._ahead = 0
        return ResponseDone(response=_response(said, status))

    def _ms(self, samples: int) -> float:
        return round(1000 * samples / self._rate, 3)


def _response(said: Said, status: ResponseStatus) -> Response:
    return Response(id=said.response_id, status=status, item_id=said.item_id)


def _failed(error: Exception) -> ErrorEvent:
    body = ErrorBody(type="server_error", code="voice_failed", message=f"the agent cannot say it: {error}")
    return ErrorEvent(error=body)
