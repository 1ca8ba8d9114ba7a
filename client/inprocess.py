"""The service inside this process: the same models, engine and protocol, without a socket."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from client.agent_voice import AgentVoice
from client.desktop.link import OnCleaned
from client.duplex import DuplexError, Event
from client.wire import Frame, Kind, Numbering, pack, unpack
from server.errors import ProtocolError
from server.events import Ping, Resume, SessionCreated, SessionUpdate
from server.models import load_models
from server.outbox import Close, Moved
from server.protocol import ServerProtocol, encode_event
from server.registry import Registry
from server.service import Service
from server.session import Session
from server.settings import Settings

Pcm = NDArray[np.int16]
SAMPLE_RATE = 16_000


class LocalLink:
    """One session with a service of its own; what it is given goes through the bytes of the protocol.

    Args:
        settings: Of the service.
        session: For `session.update`.
        on_cleaned: Takes the cleaned audio; None asks for none.
    """

    def __init__(self, settings: Settings, session: Event, on_cleaned: OnCleaned | None) -> None:
        self._service = Service(settings, load_models)
        self._wanted = session
        self._on_cleaned = on_cleaned
        self._protocol = ServerProtocol(SAMPLE_RATE)
        self._session: Session | None = None
        self._numbering = Numbering()
        self.agent = AgentVoice(SAMPLE_RATE)
        self.latency = 0
        self.cleaned_end = 0

    async def __aenter__(self) -> Self:
        self._service.start()
        try:
            await self._open()
        except BaseException:
            await self._service.stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None and self._service.registry is not None:
            self._service.registry.end(self._session)
        await self._service.stop()

    async def send(self, mic: Pcm, ref: Pcm) -> None:
        """Send one frame; waits while the engine has 500 ms to do."""
        ms = time.monotonic_ns() // 1_000_000
        await self._submit(self._numbering.pair(np.stack([mic, ref], axis=1), ms))

    async def send_apart(self, kind: Literal[Kind.MIC, Kind.REF], audio: Pcm, ms: int) -> None:
        """Send one frame of a microphone or a reference with a clock of its own."""
        await self._submit(self._numbering.apart(kind, audio, ms))

    async def send_event(self, event: Event) -> None:
        """Send a JSON event that is meant for the engine, such as `duplex.playback`."""
        try:
            message = self._protocol.receive_text(json.dumps(event))
        except ProtocolError as error:
            raise DuplexError(str(error)) from error
        if not isinstance(message, Ping | Resume | SessionUpdate):
            self._opened.submit(message, time.perf_counter())

    async def _submit(self, frame: Frame) -> None:
        session = self._opened
        session.submit(self._protocol.receive_binary(pack(frame)), time.perf_counter())
        while session.blocked:
            session.room.clear()
            await session.room.wait()

    async def events(self) -> AsyncIterator[Event]:
        session, sent = self._opened, 0
        while True:
            item = await session.outbox.get()
            session.room.set()
            if isinstance(item, bytes):
                self._take_audio(unpack(item))
            elif isinstance(item, Close):
                raise DuplexError(f"the session ended: {item.reason}")
            elif not isinstance(item, Moved):
                sent += 1
                event: Event = json.loads(encode_event(item, f"event_{sent}"))
                self.agent.hear(event)
                yield event

    @property
    def _opened(self) -> Session:
        if self._session is None:
            raise DuplexError("the session is not open: use `async with`")
        return self._session

    async def _open(self) -> None:
        registry = await self._registry()
        self._session = session = registry.open()
        session.deliver([SessionCreated(session=session.describe())])
        registry.enter(session)
        try:
            session.submit(session.configure(self._settings()), time.perf_counter())
        except ProtocolError as error:
            raise DuplexError(str(error)) from error
        self.latency = session.describe().latency_samples

    async def _registry(self) -> Registry:
        await self._service.loaded()
        admitted = self._service.admit()
        if not isinstance(admitted, Registry):
            raise DuplexError(admitted.reason)
        return admitted

    def _settings(self) -> Event:
        duplex: Event = self._wanted.get("duplex", {})
        return {
            **self._wanted,
            "audio": {"input": {"format": {"type": "audio/pcm", "rate": SAMPLE_RATE}}},
            "duplex": {**duplex, "cleaned_audio": self._on_cleaned is not None},
        }

    def _take_audio(self, frame: Frame) -> None:
        if frame.kind == Kind.CLEANED and self._on_cleaned is not None:
            self.cleaned_end = max(self.cleaned_end, frame.mic_start + len(frame.audio))
            self._on_cleaned(frame.mic_start, frame.audio)
        elif frame.kind == Kind.AGENT:
            self.agent.add(frame.audio[:, 0])
