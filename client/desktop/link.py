"""What hears the microphone: a service elsewhere, or one inside this process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Literal, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from client.agent_voice import AgentVoice
from client.duplex import DuplexClient, Event
from client.wire import Kind

Pcm = NDArray[np.int16]

OnCleaned = Callable[[int, Pcm], None]
"""Takes the microphone's sample that both outputs begin at, and the outputs `(n, 2)`."""


class Link(Protocol):
    """One session. Use it as an async context manager.

    Attributes:
        latency: Samples at 16 kHz by which the cleaned audio is late.
        cleaned_end: One past the last sample of the microphone that came back cleaned.
    """

    latency: int

    @property
    def agent(self) -> AgentVoice:
        """What an agent of the service says."""
        ...

    @property
    def cleaned_end(self) -> int: ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *_: object) -> None: ...

    async def send(self, mic: Pcm, ref: Pcm) -> None:
        """Send one frame of 20 ms at 16 kHz, each channel `(320,)`."""
        ...

    async def send_apart(self, kind: Literal[Kind.MIC, Kind.REF], audio: Pcm, ms: int) -> None:
        """Send one frame `(320,)` of a channel with a clock of its own; `ms` is when its last sample was."""
        ...

    async def send_event(self, event: Event) -> None:
        """Send a JSON event of the protocol."""
        ...

    def events(self) -> AsyncIterator[Event]:
        """Yield the events of the session; raise `DuplexError` if it is lost."""
        ...


class RemoteLink:
    """A session of a service that listens at `url`.

    Args:
        url: WebSocket of the service.
        session: Settings for `session.update`.
        on_cleaned: Takes the cleaned audio; None asks for none.
        ca: Certificate to trust; see `DuplexClient`.
        token: What the service wants to see.
    """

    def __init__(
        self,
        url: str,
        session: Event,
        on_cleaned: OnCleaned | None,
        ca: Path | None = None,
        token: str | None = None,
    ) -> None:
        self._client = DuplexClient(url, session=session, on_cleaned=on_cleaned, ca=ca, token=token)
        self.latency = 0

    @property
    def agent(self) -> AgentVoice:
        return self._client.agent

    @property
    def cleaned_end(self) -> int:
        return self._client.cleaned.end

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        self.latency = int(self._client.session["latency_samples"])
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()

    async def send(self, mic: Pcm, ref: Pcm) -> None:
        await self._client.send(mic, ref)

    async def send_apart(self, kind: Literal[Kind.MIC, Kind.REF], audio: Pcm, ms: int) -> None:
        await self._client.send_apart(kind, audio, ms)

    async def send_event(self, event: Event) -> None:
        await self._client.send_event(event)

    async def events(self) -> AsyncIterator[Event]:
        for event in self._client.greeting:
            yield event
        async for event in self._client:
            yield event
