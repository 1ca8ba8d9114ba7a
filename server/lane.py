"""The engine's side of one session: messages in, hops out to the canceller, results back. No I/O.

All of it runs on the engine's thread, save the constructor and what the inbox says of itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import count
from typing import Protocol

from aec_core.types import HOP, SAMPLE_RATE, Samples
from server.agent_events import OutputAudioDelta
from server.agents.company import Company
from server.agents.host import Host
from server.agents.said import Said
from server.agents.seat import Seat
from server.asr import RecognitionService
from server.events import (
    Ack,
    ErrorBody,
    ErrorEvent,
    InputAudioAppend,
    InputAudioClear,
    InputAudioCommit,
    Playback,
    ServerEvent,
    SessionUpdated,
)
from server.hop import CleanHop
from server.inbox import Arrival, Inbox
from server.listener import Listener, ListenerSettings
from server.outbox import Close, Item
from server.pcm import Pcm, to_base64
from server.protocol import AudioFrame, encode_agent, encode_cleaned
from server.session_config import SessionConfig, SessionInfo
from server.stats import StatsClock
from server.timeline import Timeline
from server.turn import Turns

INTERNAL_ERROR = 1011
_ACK_HOPS = SAMPLE_RATE // HOP  # one second


class Filters(Protocol):
    """What a session may turn at its slot of the engine."""

    def reset(self, slot: int) -> None:
        """Forget all that was heard."""
        ...

    def set_betas(self, slot: int, vad: float, asr: float) -> None:
        """Choose how hard each output suppresses; `reset` takes it back."""
        ...


class Tape(Protocol):
    """What keeps a session for later; messages and results come from the event loop."""

    def message(self, message: bytes | str) -> None:
        """Take what the peer sent."""
        ...

    def told(self, items: Sequence[Item]) -> None:
        """Take what the peer is told."""
        ...

    def hop(self, hop: CleanHop) -> None:
        """Take what the canceller heard and made of it; on the engine's thread, as `close` is."""
        ...

    def close(self) -> None:
        """Nothing more comes."""
        ...


class Lane:
    """One session in the engine.

    Attributes:
        session_id: For logs.
        inbox: What the event loop puts in.
        sink: Takes the results; called on the event loop.
        cancels: The canceller's outputs are used; otherwise the microphone takes their place.
        touched: Something happened since the last `collect`.
        arrived_at: When the newest message that was taken had come; None once it was measured.
        tape: Records the session, where that is wanted.
    """

    def __init__(
        self,
        session_id: str,
        turns: Turns,
        recognition: RecognitionService | None,
        company: Company | None = None,
        config: SessionConfig | None = None,
    ) -> None:
        """Begin with the default settings, or others.

        Args:
            session_id: For logs, and part of every item's name.
            turns: Judges pauses.
            recognition: Writes transcripts; None for a service without.
            company: The agents; None for a service without.
            config: What holds until the peer says something else.
        """
        self.session_id = session_id
        self.inbox = Inbox()
        self.sink: Callable[[Sequence[Item]], None] = _nobody
        self.cancels = True
        self.touched = False
        self.arrived_at: float | None = None
        self.tape: Tape | None = None
        config = config or SessionConfig()
        self._new_item_id = partial(_named, f"item_{session_id}", count(1))
        self._new_response_id = partial(_named, f"resp_{session_id}", count(1))
        self._listener = Listener(ListenerSettings.of(config), turns, recognition, self._new_item_id)
        self._seat = Seat(company, recognition is not None)
        self._in_text = False  # audio comes as JSON, and so it goes
        self._timeline = Timeline(config.rate)
        self._config = config
        self._stats = StatsClock(config.duplex.stats_hz)
        self._place: tuple[Filters, int] | None = None
        self._out: list[Item] = []
        self._hops = 0
        self._next_seq = 0
        self._sent_seq = 0
        self._sent_ms = 0

    @property
    def config(self) -> SessionConfig:
        """The settings that hold for the audio that is being processed."""
        return self._config

    @property
    def heard_s(self) -> float:
        """Audio that was processed, in seconds."""
        return self._hops * HOP / SAMPLE_RATE

    @property
    def pending(self) -> bool:
        """Results may come without more audio."""
        return self._listener.pending

    def enter(self, filters: Filters, slot: int) -> None:
        """Take a slot."""
        self._place = filters, slot
        self._start_afresh()
        self._out += self._seat.configure(self._config, self._host())

    def next_hop(self) -> tuple[int, Samples, Samples] | None:
        """Return `(start, mic, ref)` of the next whole hop, or None if there is none yet.

        Messages are taken one by one, and only when the audio before them is used up: an event
        therefore holds from exactly where the peer put it among its frames.
        """
        while (hop := self._timeline.pop()) is None:
            arrival = self.inbox.take()
            if arrival is None:
                return None
            self._take(arrival)
        if self._timeline.restarted:
            self._start_afresh()
        return hop

    def listen(self, hop: CleanHop, double_talk: bool) -> None:
        """Take a hop back from the canceller."""
        self.touched = True
        if self.tape is not None:
            self.tape.hop(hop)
        self._sent_ms = 1000 * (hop.start + HOP) // SAMPLE_RATE
        self._listener.doubts_client = self._timeline.playback_denied
        self._tell(self._listener.process(hop))
        self._out += self._seat.hop()
        if self._config.duplex.cleaned_audio and hop.start > -HOP:
            self._out.append(self._cleaned(hop))
        stats = self._stats.process(hop, double_talk, self._timeline.late, self._timeline.lost)
        if stats is not None:
            self._out.append(stats)
        self._hops += 1
        if self._hops % _ACK_HOPS == 0:
            self._out.append(Ack(next_seq=self._next_seq))

    def poll(self) -> None:
        """Collect what the workers have finished."""
        if self._listener.pending:
            news = self._listener.drain()
            self._tell(news)
            self.touched = self.touched or bool(news)  # or it would wait for audio that may not come

    def collect(self) -> list[Item]:
        """Return what is due to the peer, and begin anew."""
        out, self._out, self.touched = self._out, [], False
        return out

    def fail(self) -> None:
        """End the session after an internal error; what was ready before is still sent."""
        body = ErrorBody(type="server_error", code="internal_error", message="this session failed")
        self._out += [ErrorEvent(error=body), Close(INTERNAL_ERROR, "internal error")]
        self.touched = True

    def close(self) -> None:
        """Let the workers and the session forget this lane, so that no cycle keeps its memory."""
        self.sink = _nobody
        self._listener.close()
        self._seat.close()
        if self.tape is not None:
            self.tape.close()

    def _tell(self, events: Sequence[ServerEvent]) -> None:
        """Say what the listener found, to the peer and to the agent."""
        self._out += events
        self._seat.hear(events)

    def _take(self, arrival: Arrival) -> None:
        self.touched = True
        self.arrived_at = arrival.at
        match arrival.message:
            case AudioFrame() as frame:
                self._next_seq = (frame.seq + 1) % (1 << 32)
                self._out += self._timeline.push(frame)
            case InputAudioAppend() as append:
                self._in_text = True
                self._out += self._timeline.append(append)
            case SessionInfo() as info:
                self._configure(info)
            case Playback() as playback:
                self._timeline.playback(playback.playing)
                self._listener.playback(playback.playing)
                self._seat.playback(playback)
            case InputAudioCommit() as commit:
                self._tell(self._listener.commit(commit.event_id))
            case InputAudioClear():
                self._tell(self._listener.clear())
            case _:
                self._out += self._seat.direct(arrival.message)

    def _configure(self, info: SessionInfo) -> None:
        if info.rate != self._config.rate:
            self._timeline = Timeline(info.rate)
        self._out += self._seat.configure(info, self._host())
        self._config = info
        self.cancels = info.aec.enabled
        self._stats.rate_hz = info.duplex.stats_hz
        self._listener.configure(ListenerSettings.of(info))
        self._set_betas()
        self._out.append(SessionUpdated(session=info))

    def _host(self) -> Host:
        return Host(
            lambda: Said(self._new_response_id(), self._new_item_id()),
            self._carry,
            self._listener.playing,
            self._listener.harmless,
        )

    def _carry(self, said: Said, audio: Pcm) -> Item:
        if self._in_text:
            return OutputAudioDelta(
                response_id=said.response_id, item_id=said.item_id, delta=to_base64(audio)
            )
        return encode_agent(said.sent, self._next_sent(), audio, self._sent_ms)

    def _cleaned(self, hop: CleanHop) -> bytes:
        before = max(-hop.start, 0)  # samples that lie before the microphone's first
        return encode_cleaned(hop.start + before, self._next_sent(), hop.pcm[before:], self._sent_ms)

    def _next_sent(self) -> int:
        self._sent_seq += 1
        return self._sent_seq - 1

    def _start_afresh(self) -> None:
        if self._place is not None:
            filters, slot = self._place
            filters.reset(slot)
            self._set_betas()

    def _set_betas(self) -> None:
        if self._place is not None:
            filters, slot = self._place
            filters.set_betas(slot, self._config.aec.beta_vad, self._config.aec.beta_asr)


def _nobody(_: Sequence[Item]) -> None:
    pass


def _named(prefix: str, numbers: Iterator[int]) -> str:
    return f"{prefix}_{next(numbers)}"
