"""Which agents a process has, and what they speak with."""

from __future__ import annotations

from collections.abc import Sequence

from server.agents.assistant import Assistant
from server.agents.character import Character
from server.agents.chat import ChatService, Endpoint
from server.agents.conversation import Conversation, Memory
from server.agents.host import Host
from server.agents.narrator import Narrator
from server.agents.parrot import Parrot
from server.agents.sentences import split
from server.agents.speaker import Speaker
from server.agents.texts import NARRATION
from server.agents.voices import VoiceError, load_voice
from server.agents.voicing import VoiceService
from server.session_config import AgentName
from server.settings import Settings


class Company:
    """The agents of one process: one voice for all of them.

    Attributes:
        names: What a session may choose.
    """

    def __init__(
        self,
        voices: VoiceService,
        narration: Sequence[str] = NARRATION,
        chat: ChatService | None = None,
        instructions: str = "",
    ) -> None:
        """Gather them.

        Args:
            voices: What they speak with.
            narration: What the narrator reads, sentence by sentence.
            chat: Whom the `openai` agent asks; None for a process without.
            instructions: What that one is told about itself.

        Raises:
            VoiceError: If the voice cannot say what they would.
        """
        fixed = narration is NARRATION and chat is None
        if not (fixed or voices.voice.free):
            raise VoiceError("a text of one's own and the openai agent need piper, flite or espeak-ng")
        self._voices = voices
        self._narration = narration
        self._chat = chat
        self._instructions = instructions
        self.names: tuple[AgentName, ...] = ("none", "narrator", "parrot")
        if chat is not None:
            self.names += ("openai",)

    @property
    def voice(self) -> str:
        """The voice, for people."""
        return self._voices.voice.name

    def meet(self, name: AgentName, rate: int, host: Host) -> Conversation | None:
        """Begin a conversation with an agent; None for `none`.

        Args:
            name: One of `names`.
            rate: On the wire, Hz.
            host: The session.
        """
        if name == "none":
            return None
        memory = Memory(host.new_response)
        speaker = Speaker(self._voices, rate, host.carry, memory.begin, host.says)
        character = self._character(name, speaker, memory)
        return Conversation(character, speaker, memory, rate, host.harmless)

    def close(self) -> None:
        """End the workers."""
        self._voices.close()
        if self._chat is not None:
            self._chat.close()

    def _character(self, name: AgentName, speaker: Speaker, memory: Memory) -> Character:
        if name == "openai" and self._chat is not None:
            return Assistant(speaker, memory, self._chat, self._instructions)
        if name == "narrator":
            return Narrator(speaker, self._narration)
        return Parrot(speaker, self._voices.voice.free)


def gather(settings: Settings, transcribes: bool) -> Company:
    """Gather the agents that the settings describe.

    Args:
        settings: All settings of the service.
        transcribes: There is a recogniser; without one there is nothing to ask a chat endpoint.

    Raises:
        VoiceError: If the voice cannot be had, or cannot say what is asked of it.
        ValueError: If the narrator's text has no words, or an agent for everyone is not there.
        OSError: If the text cannot be read.
    """
    voice = load_voice(settings.agent_voice, settings.agent_voice_model)
    narration = split(settings.agent_text.read_text("utf-8")) if settings.agent_text else NARRATION
    if not narration:
        raise ValueError(f"{settings.agent_text} has no words for the narrator")
    endpoint = _endpoint(settings) if transcribes else None
    if settings.agent == "openai" and endpoint is None:
        raise ValueError("the openai agent needs DUPLEX_AGENT_URL, DUPLEX_AGENT_MODEL and a recogniser")
    chat = ChatService(endpoint) if endpoint is not None else None
    return Company(VoiceService(voice), narration, chat, settings.agent_instructions)


def _endpoint(settings: Settings) -> Endpoint | None:
    if settings.agent_url is None or settings.agent_model is None:
        return None
    key = settings.agent_key.get_secret_value() if settings.agent_key else None
    return Endpoint(settings.agent_url, settings.agent_model, key)
