"""Which agents a process has, and what they speak with."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from server.agents.character import Character
from server.agents.conversation import Conversation, Memory
from server.agents.narrator import Narrator
from server.agents.parrot import Parrot
from server.agents.said import Said
from server.agents.speaker import Speaker
from server.agents.texts import NARRATION
from server.agents.voicing import VoiceService
from server.pcm import Pcm
from server.session_config import AgentName


class Company:
    """The agents of one process: one voice for all of them.

    Attributes:
        names: What a session may choose.
    """

    def __init__(self, voices: VoiceService, narration: Sequence[str] = NARRATION) -> None:
        """Gather them.

        Args:
            voices: What they speak with.
            narration: What the narrator reads, sentence by sentence.
        """
        self._voices = voices
        self._narration = narration
        self.names: tuple[AgentName, ...] = ("none", "narrator", "parrot")

    @property
    def voice(self) -> str:
        """The voice, for people."""
        return self._voices.voice.name

    def meet(
        self,
        name: AgentName,
        rate: int,
        new_response: Callable[[], Said],
        encode: Callable[[int, Pcm], bytes],
        on_text: Callable[[str], None] = lambda text: None,
    ) -> Conversation | None:
        """Begin a conversation with an agent; None for `none`.

        Args:
            name: One of `names`.
            rate: On the wire, Hz.
            new_response: Names a response and its item.
            encode: Makes a binary message of a frame and its first sample's index within the item.
            on_text: Told the words of each sentence that begins.
        """
        if name == "none":
            return None
        memory = Memory(new_response)
        speaker = Speaker(self._voices, rate, encode, memory.begin, on_text)
        return Conversation(self._character(name, speaker), speaker, memory, rate)

    def close(self) -> None:
        """End the voice."""
        self._voices.close()

    def _character(self, name: AgentName, speaker: Speaker) -> Character:
        if name == "narrator":
            return Narrator(speaker, self._narration)
        return Parrot(speaker, self._voices.voice.free)
