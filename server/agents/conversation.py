"""One session's agent: hears what the listener found, and speaks. No I/O."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from server.agents.character import Character
from server.agents.said import Said
from server.agents.speaker import Speaker
from server.events import (
    BargeIn,
    ErrorBody,
    ErrorEvent,
    InputAudioCleared,
    InputAudioCommitted,
    ItemTruncate,
    Playback,
    ResponseCancel,
    ServerEvent,
    SpeechStarted,
    TranscriptionCompleted,
    TranscriptionFailed,
)
from server.outbox import Item

REMEMBERED = 40  # what either side said

Spoken = Said | str
"""What the agent said, or a person's words."""


class Memory:
    """Who said what, as far as it was heard; the oldest is forgotten."""

    def __init__(self, new_response: Callable[[], Said]) -> None:
        self._new_response = new_response
        self.spoken: deque[Spoken] = deque(maxlen=REMEMBERED)

    def begin(self) -> Said:
        """Open the agent's next item."""
        said = self._new_response()
        self.spoken.append(said)
        return said

    def find(self, item_id: str) -> Said | None:
        """Return an item of the agent by its name."""
        said = (each for each in self.spoken if isinstance(each, Said) and each.item_id == item_id)
        return next(said, None)


class Conversation:
    """Decides who has the floor, and lets the character speak when nobody else does.

    Attributes:
        memory: Who said what.
        transcribes: Turns get transcripts; without them a turn is over when it is committed.
    """

    def __init__(
        self,
        character: Character,
        speaker: Speaker,
        memory: Memory,
        rate: int,
        harmless: Callable[[str], bool] = lambda text: not text,
    ) -> None:
        """Let the character begin.

        Args:
            character: Decides what is said.
            speaker: Says it.
            memory: Keeps it.
            rate: On the wire, Hz.
            harmless: Says of words that were heard over the agent that they want nothing.
        """
        self.memory = memory
        self.transcribes = True
        self._character = character
        self._speaker = speaker
        self._rate = rate
        self._harmless = harmless
        self._interrupted = False  # whoever has the floor took it from the agent
        self._turn: str | None = None  # the item of a person who speaks
        self._floor: str | None = None  # the item of the person who has it: until their words are known
        self._overheard: tuple[str, str] | None = None  # a turn that was over before it was an interruption
        self._out: list[Item] = []
        character.begin()

    def hear(self, event: ServerEvent) -> None:
        """Take what the listener found."""
        self._follow(event)
        match event:
            case SpeechStarted() if self._speaker.said is None:
                self._floor = event.item_id
            case BargeIn(stage="commit", item_id=str() as item_id):
                self._interrupt(item_id)
            case TranscriptionCompleted():
                self._understand(event.item_id, event.transcript.strip())
            case TranscriptionFailed():
                self._understand(event.item_id, None)
            case InputAudioCommitted() if not self.transcribes:
                self._understand(event.item_id, None)
            case InputAudioCleared() if self._floor is not None:
                self._understand(self._floor, "")
            case _:
                pass

    def hop(self) -> list[Item]:
        """Let 20 ms pass; return what is due to the client."""
        out = self._flush() + self._character.hop()
        return out + self._speaker.hop(may_begin=self._floor is None and self._turn is None)

    def playback(self, event: Playback) -> None:
        """Take the client's word for what was played."""
        self._speaker.report(event.item_id, event.playing, event.played_ms)

    def cancel(self, event: ResponseCancel) -> list[Item]:
        """Stop on the client's word, and wait for a person to say something."""
        if self._speaker.busy:
            self._silence()
            self._character.close()
        else:
            self._refuse("response_cancel_not_active", "the agent says nothing", event.event_id)
        return self._flush()

    def truncate(self, event: ItemTruncate) -> list[Item]:
        """Take the client's word for how much of an item was heard, and stop if it is being spoken."""
        said = self.memory.find(event.item_id)
        samples = round(event.audio_end_ms * self._rate / 1000)
        if said is None:
            self._refuse("item_not_found", "the agent has no such item", event.event_id, "item_id")
        elif samples > said.sent:
            sent_ms = 1000 * said.sent / self._rate
            message = f"only {sent_ms:g} ms of the item were sent"
            self._refuse("invalid_value", message, event.event_id, "audio_end_ms")
        elif said is self._speaker.said:
            self._speaker.report(said.item_id, False, event.audio_end_ms)
            self._silence()
            self._character.close()
        else:
            said.heard = samples
            self._out.append(self._speaker.truncated(said))
        return self._flush()

    def close(self) -> list[Item]:
        """End; return what is due to the client."""
        self._character.close()
        return self._flush() + self._speaker.stop()[0]

    def _follow(self, event: ServerEvent) -> None:
        """Keep track of who speaks, over the agent or not."""
        if isinstance(event, SpeechStarted):
            self._turn = event.item_id
        elif isinstance(event, InputAudioCommitted | InputAudioCleared):
            self._turn = None

    def _flush(self) -> list[Item]:
        out, self._out = self._out, []
        return out

    def _interrupt(self, item_id: str) -> None:
        if self._speaker.said is not None:
            self._silence()
            self._interrupted = True
        self._floor = item_id
        if self._overheard is not None and self._overheard[0] == item_id:
            self._understand(*self._overheard)

    def _silence(self) -> None:
        out, rest = self._speaker.stop()
        self._out += out
        self._character.interrupted(rest)

    def _understand(self, item_id: str, text: str | None) -> None:
        """Take a person's turn that is over; "" is a turn without words, None one of unknown words."""
        if self._floor is None and self._speaker.said is not None:
            self._overheard = (item_id, text) if text else None  # said over the agent, which goes on
            return
        over_the_agent = self._interrupted or self._floor is None
        if text and over_the_agent and self._harmless(text):
            text = ""
        if text:
            self.memory.spoken.append(text)
        if self._floor not in (None, item_id):
            return  # an earlier turn: the newest is answered
        self._floor, self._interrupted = None, False
        if text == "":
            if not self._speaker.busy:
                self._character.resume()
            return
        if self._speaker.busy:  # about to answer something earlier
            self._silence()
        self._character.answer(text)

    def _refuse(self, code: str, message: str, event_id: str | None, param: str | None = None) -> None:
        body = ErrorBody(code=code, message=message, param=param, event_id=event_id)
        self._out.append(ErrorEvent(error=body))
