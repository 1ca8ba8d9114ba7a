"""A session as the event loop knows it; it outlives its connection by the time it may be resumed in."""

from __future__ import annotations

import logging
import secrets
from asyncio import Event
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from server.errors import ProtocolError
from server.events import InputAudioAppend
from server.inbox import Arrival, Message
from server.lane import Lane
from server.outbox import Close, Item, Outbox
from server.protocol import AudioFrame
from server.sent import Sent
from server.session_config import Backends, Limits, SessionConfig, SessionInfo, update_session

_SEQ_WRAP = 1 << 32

logger = logging.getLogger(__name__)


class Session:
    """What belongs to one conversation: its settings, the engine's side of it and what waits for the peer.

    Attributes:
        id: Names the session in events and logs.
        token: Whoever shows it may resume the session.
        config: The settings that hold for what is read from now on.
        lane: The engine's side.
        outbox: What waits for the peer.
        sent: What the peer was told last.
        room: Set whenever a queue has become shorter.
        next_seq: Number of the first audio frame that has not come.
        entered: The session has, or will have at the next tick, a slot of the engine.
    """

    def __init__(
        self,
        lane: Lane,
        backends: Backends,
        limits: Limits,
        latency: int,
        wake: Callable[[], None],
        agents: Collection[str] = ("none",),
    ) -> None:
        """Begin a session with the settings of its lane.

        Args:
            lane: The engine's side of it; brings the id.
            backends: What the peer is told about the models.
            limits: What the peer is held to.
            latency: Of the cleaned audio, in samples at 16 kHz.
            wake: Tells the engine that something has come.
            agents: Which of them there are.
        """
        self.id = lane.session_id
        self.token = secrets.token_urlsafe(24)
        self.config: SessionConfig = lane.config
        self._rate = self.config.rate
        self.lane = lane
        self.outbox = Outbox()
        self.sent = Sent()
        self.room = Event()
        self.next_seq = 0
        self.entered = False
        self._heard = False  # audio has come: the rate is settled
        self._backends = backends
        self._limits = limits
        self._latency = latency
        self._wake = wake
        self._agents = agents
        self._displace: Callable[[], None] | None = None
        lane.sink = self.deliver

    @property
    def blocked(self) -> bool:
        """One of the queues is full: nothing more must be read from the peer."""
        return self.lane.inbox.full or self.outbox.full

    def describe(self, resumed: bool = False) -> SessionInfo:
        """Return what the peer is told about the session."""
        return SessionInfo(
            **dict(self.config),
            id=self.id,
            resume_token=self.token,
            backends=self._backends,
            limits=self._limits,
            latency_samples=self._latency,
            resumed=resumed,
            next_seq=self.next_seq,
        )

    def summary(self, connected: bool) -> dict[str, Any]:
        """Return what an operator may know of the session."""
        return {
            "id": self.id,
            "connected": connected,
            "heard_s": round(self.lane.heard_s, 2),
            "rate_hz": self.config.rate,
            "agent": self.config.duplex.agent,
            "queued_ms": round(self.lane.inbox.queued_ms),
            "unsent_items": len(self.outbox),
        }

    def configure(self, change: Mapping[str, Any]) -> SessionInfo:
        """Lay a partial configuration over what holds; the engine must be told the result.

        Raises:
            ProtocolError: If it does not fit; nothing has changed then.
        """
        config = update_session(self.config, dict(change), self._agents)
        if self._heard and config.rate != self.config.rate:
            raise ProtocolError(
                f"the rate is {self.config.rate} Hz and cannot change after audio has come",
                "rate_is_settled",
                param="session.audio.input.format.rate",
            )
        self.config, self._rate = config, config.rate
        return self.describe()

    def submit(self, message: Message, at: float) -> None:
        """Hand a message to the engine; `at` is when it came, in monotonic seconds."""
        samples = 0
        if isinstance(message, AudioFrame):
            self.next_seq = (message.seq + 1) % _SEQ_WRAP
            samples = message.samples
        elif isinstance(message, InputAudioAppend):
            samples = len(message.audio) // 2
        self._heard = self._heard or samples > 0
        self.lane.inbox.put(Arrival(message, 1000 * samples / self._rate, at))
        self._wake()

    def overhear(self, message: bytes | str) -> None:
        """Let a recording know what the peer has sent, in the order in which it counts."""
        if self.lane.tape is not None:
            self.lane.tape.message(message)

    def deliver(self, items: Sequence[Item]) -> None:
        """Take what the peer is to be told."""
        if self.lane.tape is not None:
            self.lane.tape.told(items)
        try:
            for item in items:
                self.outbox.put(item)
        except OverflowError as error:
            # Only who keeps talking through a second connection while nobody listens can come here.
            logger.warning("session %s: %s", self.id, error)
            self.outbox.abandon(Close(4429, str(error)))
        self.room.set()

    def attach(self, displace: Callable[[], None]) -> None:
        """Make a connection the holder of the session; an earlier holder is displaced."""
        if self._displace is not None:
            self._displace()
        self._displace = displace

    def detach(self) -> None:
        """Leave the session without a holder."""
        self._displace = None
