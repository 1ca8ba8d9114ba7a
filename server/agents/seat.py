"""The agent's place in a session: empty, or taken by whom the settings name."""

from __future__ import annotations

from collections.abc import Sequence

from server.agents.company import Company
from server.agents.conversation import Conversation
from server.agents.host import Host
from server.events import ErrorBody, ErrorEvent, ItemTruncate, Playback, ResponseCancel, ServerEvent
from server.outbox import Item
from server.session_config import AgentName, SessionConfig


class Seat:
    """Passes on what concerns the agent, if there is one."""

    def __init__(self, company: Company | None, transcribes: bool) -> None:
        """Begin empty.

        Args:
            company: The agents; None for a service without.
            transcribes: There is a recogniser.
        """
        self._company = company
        self._transcribes = transcribes
        self._who: tuple[AgentName, int] = ("none", 0)
        self._agent: Conversation | None = None

    def configure(self, config: SessionConfig, host: Host) -> list[Item]:
        """Invite whom the settings name, unless it is here already; return its predecessor's last words.

        Args:
            config: The settings.
            host: The session. Only the agent keeps it, or the two would outlive the session by a while.
        """
        out: list[Item] = []
        who = config.duplex.agent, config.rate
        if who != self._who and self._company is not None:
            out = self.close()
            self._who = who
            self._agent = self._company.meet(*who, host)
        if self._agent is not None:
            self._agent.transcribes = self._transcribes and config.audio.input.transcription is not None
        return out

    def hear(self, events: Sequence[ServerEvent]) -> None:
        """Take what the listener found."""
        if self._agent is not None:
            for event in events:
                self._agent.hear(event)

    def hop(self) -> list[Item]:
        """Let 20 ms pass; return what is due to the client."""
        return [] if self._agent is None else self._agent.hop()

    def playback(self, event: Playback) -> None:
        """Take the client's word for what was played."""
        if self._agent is not None:
            self._agent.playback(event)

    def direct(self, event: ResponseCancel | ItemTruncate) -> list[Item]:
        """Do what the client asks of the agent."""
        if self._agent is None:
            message = f"{event.type}: there is no agent in this session"
            body = ErrorBody(code="no_agent", message=message, event_id=event.event_id)
            return [ErrorEvent(error=body)]
        if isinstance(event, ResponseCancel):
            return self._agent.cancel(event)
        return self._agent.truncate(event)

    def close(self) -> list[Item]:
        """Send the agent away; return what is due to the client."""
        agent, self._agent = self._agent, None
        return [] if agent is None else agent.close()
