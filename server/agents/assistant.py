"""Answers with what a chat endpoint says, sentence by sentence as it comes."""

from __future__ import annotations

from collections.abc import Sequence

from server.agents.character import Plain
from server.agents.chat import Answer, Chat, End, Message
from server.agents.conversation import Memory
from server.agents.piece import Piece
from server.agents.speaker import Speaker
from server.events import ErrorBody, ErrorEvent

NOT_UNDERSTOOD = "Sorry, I did not understand that."


class Assistant(Plain):
    """The endpoint hears what both sides said, and of itself only what the person heard."""

    def __init__(self, speaker: Speaker, memory: Memory, chat: Chat, instructions: str) -> None:
        super().__init__(speaker)
        self._memory = memory
        self._chat = chat
        self._instructions = instructions
        self._answer: Answer | None = None
        self._held = False  # it was interrupted, and nobody knows yet by what

    def interrupted(self, rest: Sequence[Piece]) -> None:
        self._held = True
        super().interrupted(rest)

    def resume(self) -> None:
        self._held = False
        self._speaker.say(self._rest, more=self._answer is not None)
        self._rest = []

    def answer(self, text: str | None) -> None:
        self.close()
        if text is None:
            self._speaker.say([Piece(NOT_UNDERSTOOD)])
            return
        self._answer = self._chat.ask(self._messages())
        self._speaker.say([], more=True)

    def hop(self) -> list[ErrorEvent]:
        if self._answer is None or self._held:
            return []
        errors: list[ErrorEvent] = []
        for news in self._answer.poll():
            if isinstance(news, str):
                self._speaker.say([Piece(news)], more=True)
                continue
            self._answer = None
            self._speaker.say([])
            if news.error is not None:
                errors.append(_failed(news))
        return errors

    def close(self) -> None:
        if self._answer is not None:
            self._answer.cancel()
        self._answer, self._held = None, False

    def _messages(self) -> list[Message]:
        """Return the dialogue; what one side said in several turns is one message."""
        messages = [{"role": "system", "content": self._instructions}]
        for spoken in self._memory.spoken:
            role, content = ("user", spoken) if isinstance(spoken, str) else ("assistant", spoken.text)
            if messages[-1]["role"] == role:
                messages[-1]["content"] += f" {content}"
            elif content:
                messages.append({"role": role, "content": content})
        return messages


def _failed(end: End) -> ErrorEvent:
    message = f"the agent has no answer: {end.error}"
    return ErrorEvent(error=ErrorBody(type="server_error", code="agent_failed", message=message))
