"""Agents that hear what a listener found: who has the floor, what is said next, what is remembered."""

from concurrent.futures import Future
from itertools import count
from typing import Any

import numpy as np
import pytest

from server.agent_events import ItemTruncated, ResponseDone, TranscriptDelta
from server.agents.chat import End
from server.agents.company import Company
from server.agents.conversation import Conversation
from server.agents.host import Host
from server.agents.said import Said
from server.agents.texts import GO_ON, HEARD, NARRATION, STOPPED
from server.agents.voices import VoiceError
from server.agents.voicing import VoiceService
from server.events import (
    BargeIn,
    ErrorEvent,
    InputAudioCleared,
    InputAudioCommitted,
    ItemTruncate,
    Playback,
    ResponseCancel,
    SpeechStarted,
    TranscriptionCompleted,
    TranscriptionFailed,
)
from server.outbox import Item

RATE = 16_000
TEXTS = ("one two three four five six seven eight nine ten", "the second sentence")


class Instant:
    """A voice that takes a second for anything."""

    name = "instant"

    def __init__(self, free: bool) -> None:
        self.free = free

    def say(self, text: str) -> tuple[np.ndarray, int]:
        return np.full(RATE, 0.1, np.float32), RATE


class Now(VoiceService):
    """Speaks before it returns, so that no test waits."""

    def submit(self, text: str, rate: int) -> Future[Any]:
        future = super().submit(text, rate)
        future.exception()
        return future


class Table:
    """A person and an agent."""

    def __init__(self, name: Any, free: bool = True, chat: Any = None) -> None:
        numbers = count(1)
        self.service = Now(Instant(free))
        company = Company(self.service, TEXTS if free else NARRATION, chat, "Be kind.")
        host = Host(
            lambda: Said("resp", f"said_{next(numbers)}"),
            lambda said, audio: b"frame",
            harmless=lambda text: text in ("", "Mhm."),
        )
        agent = company.meet(name, RATE, host)
        assert agent is not None
        self.agent: Conversation = agent
        self.items: list[Item] = []

    def hops(self, number: int) -> list[Item]:
        new = [item for _ in range(number) for item in self.agent.hop()]
        self.items += new
        return new

    def words(self, items: list[Item]) -> str:
        return "".join(item.delta for item in items if isinstance(item, TranscriptDelta))

    def start(self, item_id: str) -> None:
        during = {"during_playback": self.agent._speaker.said is not None}
        self.agent.hear(SpeechStarted(audio_start_ms=0, item_id=item_id, duplex=during))

    def commit(self, item_id: str) -> None:
        self.agent.hear(BargeIn(stage="commit", audio_ms=400, item_id=item_id))

    def complete(self, item_id: str, text: str) -> None:
        self.agent.hear(InputAudioCommitted(item_id=item_id))
        self.agent.hear(TranscriptionCompleted(item_id=item_id, transcript=text))

    def interrupt(self, item_id: str, text: str) -> list[Item]:
        self.start(item_id)
        self.commit(item_id)
        stopped = self.hops(5)
        self.complete(item_id, text)
        return stopped


@pytest.fixture
def table(request):
    tables: list[Table] = []

    def make(*args: Any, **kwargs: Any) -> Table:
        tables.append(Table(*args, **kwargs))
        return tables[-1]

    yield make
    for each in tables:
        each.service.close()


def kinds(items: list[Item]) -> list[type]:
    return [type(item) for item in items]


def test_the_narrator_begins_by_itself_and_again_after_the_end(table):
    narrator = table("narrator")
    assert narrator.words(narrator.hops(101)) == " ".join(TEXTS)
    assert narrator.hops(149) == []
    assert narrator.words(narrator.hops(2)) == TEXTS[0]


def test_the_narrator_stops_for_a_person_answers_and_goes_on_where_it_was(table):
    narrator = table("narrator")
    narrator.hops(26)
    stopped = narrator.interrupt("person", "What about the weather?")
    assert kinds(stopped) == [ItemTruncated, ResponseDone]
    assert stopped[0].audio_end_ms == 500
    after = narrator.hops(200)
    assert narrator.words(after) == f"{GO_ON} six seven eight nine ten {TEXTS[1]}"
    heard, person, then = narrator.agent.memory.spoken
    assert heard.text == "one two three four five"
    assert person == "What about the weather?"
    assert then.text == f"{GO_ON} six seven eight nine ten {TEXTS[1]}"


def test_it_is_truncated_at_what_the_client_has_played(table):
    narrator = table("narrator")
    narrator.hops(26)
    narrator.agent.playback(Playback(playing=True, item_id="said_1", played_ms=300))
    assert narrator.interrupt("person", "Hello!")[0].audio_end_ms == 300
    assert narrator.agent.memory.spoken[0].text == "one two three"


def test_an_interruption_without_words_was_none(table):
    narrator = table("narrator")
    narrator.hops(26)
    narrator.interrupt("person", "")
    assert narrator.words(narrator.hops(5)) == "six seven eight nine ten"


def test_words_that_want_nothing_are_an_interruption_only_of_nobody(table):
    narrator = table("narrator")
    narrator.hops(26)
    narrator.interrupt("a", "Mhm.")
    assert narrator.words(narrator.hops(5)) == "six seven eight nine ten"
    parrot = table("parrot")
    parrot.start("b")
    parrot.complete("b", "Mhm.")
    assert parrot.words(parrot.hops(5)) == "You said: Mhm."


def test_what_is_dropped_was_no_interruption_either(table):
    narrator = table("narrator")
    narrator.hops(26)
    narrator.start("person")
    narrator.commit("person")
    narrator.agent.hear(InputAudioCleared())
    assert narrator.words(narrator.hops(5)) == "six seven eight nine ten"


def test_a_person_who_is_heard_over_the_agent_does_not_stop_it(table):
    narrator = table("narrator")
    narrator.hops(10)
    narrator.start("person")
    narrator.agent.hear(BargeIn(stage="duck", audio_ms=200, item_id="person"))
    narrator.complete("person", "Mhm.")
    assert kinds(narrator.hops(10)) == [bytes] * 10
    assert not any(isinstance(item, ResponseDone) for item in narrator.items)
    assert len(narrator.agent.memory.spoken) == 1


def test_words_that_turn_out_to_be_an_interruption_are_answered(table):
    """The listener commits a duck when the final transcript wants the floor: after that transcript."""
    narrator = table("narrator")
    narrator.hops(26)
    narrator.start("person")
    narrator.complete("person", "Stop it, please.")
    narrator.commit("person")
    assert narrator.words(narrator.hops(5)) == STOPPED


@pytest.mark.parametrize("words", ["Stop!", "Please be quiet now.", "停"])
def test_the_narrator_can_be_stopped_and_told_to_go_on(table, words: str):
    narrator = table("narrator")
    narrator.hops(26)
    narrator.interrupt("a", words)
    assert narrator.words(narrator.hops(400)) == STOPPED
    narrator.start("b")
    narrator.complete("b", "That is better.")
    assert narrator.hops(200) == []
    narrator.start("c")
    narrator.complete("c", "Now go on.")
    assert narrator.words(narrator.hops(5)) == f"{GO_ON}"
    assert "six seven" in narrator.words(narrator.hops(100))


def test_the_narrator_waits_until_the_person_is_done(table):
    narrator = table("narrator")
    narrator.hops(26)
    narrator.start("person")
    narrator.commit("person")
    assert kinds(narrator.hops(500)) == [ItemTruncated, ResponseDone]


def test_an_interrupted_answer_does_not_lose_the_place(table):
    narrator = table("narrator")
    narrator.hops(26)
    narrator.interrupt("a", "Wait, what?")
    narrator.hops(10)  # GO_ON is being said
    narrator.interrupt("b", "I mean the first part.")
    assert narrator.words(narrator.hops(200)) == f"{GO_ON} six seven eight nine ten {TEXTS[1]}"


def test_an_answer_that_has_not_begun_waits_for_who_speaks_first(table):
    parrot = table("parrot")
    parrot.hops(1)
    parrot.start("a")
    parrot.complete("a", "Good morning.")
    parrot.start("b")
    assert parrot.hops(50) == []
    parrot.complete("b", "Are you there?")
    assert parrot.words(parrot.hops(100)) == "You said: Are you there?"


def test_an_old_transcript_is_no_answer_to_who_speaks_now(table):
    parrot = table("parrot")
    parrot.start("a")
    parrot.start("b")
    parrot.complete("a", "Good morning.")
    assert parrot.hops(50) == []
    parrot.complete("b", "Are you there?")
    assert parrot.words(parrot.hops(100)) == "You said: Are you there?"
    assert list(parrot.agent.memory.spoken)[:2] == ["Good morning.", "Are you there?"]


def test_who_begins_before_the_agent_has_ended_is_answered(table):
    parrot = table("parrot")
    parrot.start("a")
    parrot.complete("a", "Good morning.")
    parrot.hops(45)  # of 50
    parrot.start("b")
    parrot.hops(50)
    parrot.complete("b", "Are you there?")
    assert parrot.words(parrot.hops(5)) == "You said: Are you there?"
    parrot.hops(40)
    parrot.start("c")
    parrot.hops(50)
    parrot.complete("c", "Mhm.")
    assert parrot.hops(50) == []


def test_nobody_begins_while_a_person_speaks(table):
    narrator = table("narrator")
    narrator.hops(90)  # of 100
    narrator.start("a")
    assert not any(kind is TranscriptDelta for kind in kinds(narrator.hops(400)))
    narrator.complete("a", "Mhm.")
    assert narrator.words(narrator.hops(200)) == " ".join(TEXTS)


def test_turns_that_the_client_ends_are_answered(table):
    parrot = table("parrot")
    parrot.complete("a", "Good morning.")
    assert parrot.words(parrot.hops(5)) == "You said: Good morning."


def test_a_parrot_without_a_voice_says_that_it_heard(table):
    parrot = table("parrot", free=False)
    parrot.start("a")
    parrot.complete("a", "Good morning.")
    assert parrot.words(parrot.hops(100)) == HEARD


def test_a_turn_whose_words_nobody_knows_is_heard(table):
    parrot = table("parrot")
    parrot.start("a")
    error = {"code": "busy", "message": "busy"}
    parrot.agent.hear(InputAudioCommitted(item_id="a"))
    parrot.agent.hear(TranscriptionFailed(item_id="a", error=error))
    assert parrot.words(parrot.hops(100)) == HEARD
    parrot.agent.transcribes = False
    parrot.start("b")
    parrot.agent.hear(InputAudioCommitted(item_id="b"))
    assert parrot.words(parrot.hops(100)) == HEARD


def test_silence_is_not_answered(table):
    parrot = table("parrot")
    parrot.start("a")
    parrot.complete("a", " ")
    assert parrot.hops(100) == []


def test_the_client_may_stop_it(table):
    narrator = table("narrator")
    narrator.hops(26)
    items = narrator.agent.cancel(ResponseCancel())
    assert kinds(items) == [ItemTruncated, ResponseDone]
    assert narrator.hops(500) == []
    (error,) = narrator.agent.cancel(ResponseCancel(event_id="e"))
    assert isinstance(error, ErrorEvent)
    assert (error.error.code, error.error.event_id) == ("response_cancel_not_active", "e")
    narrator.start("person")
    narrator.complete("person", "Go on.")
    assert "six seven" in narrator.words(narrator.hops(100))


def test_the_client_may_say_what_was_heard(table):
    narrator = table("narrator")
    narrator.hops(26)
    items = narrator.agent.truncate(ItemTruncate(item_id="said_1", audio_end_ms=200))
    assert kinds(items) == [ItemTruncated, ResponseDone]
    assert items[0].duplex.transcript == "one two"
    (again,) = narrator.agent.truncate(ItemTruncate(item_id="said_1", audio_end_ms=100))
    assert again.duplex.transcript == "one"
    assert narrator.agent.memory.spoken[0].text == "one"


@pytest.mark.parametrize(
    ("item_id", "ms", "param"), [("person", 100, "item_id"), ("said_1", 5000, "audio_end_ms")]
)
def test_what_was_not_said_cannot_be_truncated(table, item_id: str, ms: float, param: str):
    narrator = table("narrator")
    narrator.hops(26)
    (error,) = narrator.agent.truncate(ItemTruncate(item_id=item_id, audio_end_ms=ms))
    assert error.error.param == param
    assert kinds(narrator.hops(1)) == [bytes]


def test_a_conversation_ends_with_what_was_heard(table):
    narrator = table("narrator")
    narrator.hops(26)
    assert kinds(narrator.agent.close()) == [ItemTruncated, ResponseDone]


class Scripted:
    """An endpoint that says what the test says, when it says it."""

    def __init__(self) -> None:
        self.asked: list[list[dict[str, str]]] = []
        self.news: list[Any] = []
        self.cancelled = 0

    def ask(self, messages: Any) -> "Scripted":
        self.asked.append([dict(message) for message in messages])
        return self

    def poll(self) -> list[Any]:
        news, self.news = self.news, []
        return news

    def cancel(self) -> None:
        self.cancelled += 1

    def close(self) -> None: ...


@pytest.fixture
def chat() -> Scripted:
    return Scripted()


def ask(assistant: Table, chat: Scripted, text: str, *answer: Any) -> list[Item]:
    assistant.start(text)
    assistant.complete(text, text)
    chat.news = list(answer)
    return assistant.hops(10)


def test_the_assistant_speaks_while_the_answer_still_comes(table, chat):
    assistant = table("openai", chat=chat)
    assert assistant.words(ask(assistant, chat, "How are you?", "I am fine.")) == "I am fine."
    assert [message["role"] for message in chat.asked[0]] == ["system", "user"]
    chat.news = ["And you?", End()]
    assert assistant.words(assistant.hops(200)) == " And you?"
    ask(assistant, chat, "Well.", "Good.", End())
    assert [message["content"] for message in chat.asked[1][1:]] == [
        "How are you?",
        "I am fine. And you?",
        "Well.",
    ]


def test_the_assistant_remembers_only_what_was_heard(table, chat):
    assistant = table("openai", chat=chat)
    ask(assistant, chat, "Count!", TEXTS[0])
    assistant.hops(16)  # the clock stands at 500 ms
    assistant.interrupt("b", "That is enough.")
    assert chat.cancelled == 1
    assert chat.asked[1][1:] == [
        {"role": "user", "content": "Count!"},
        {"role": "assistant", "content": "one two three four five"},
        {"role": "user", "content": "That is enough."},
    ]


def test_an_answer_goes_on_after_an_interruption_that_was_none(table, chat):
    assistant = table("openai", chat=chat)
    ask(assistant, chat, "Count!", TEXTS[0])
    assistant.hops(16)
    assistant.start("b")
    assistant.commit("b")
    chat.news = ["And then more.", End()]
    assistant.hops(50)
    assistant.complete("b", "")
    assert assistant.words(assistant.hops(200)) == "six seven eight nine ten And then more."
    assert chat.cancelled == 0


def test_a_cancelled_answer_is_not_waited_for(table, chat):
    assistant = table("openai", chat=chat)
    ask(assistant, chat, "Count!", TEXTS[0])
    assistant.agent.cancel(ResponseCancel())
    assert chat.cancelled == 1
    chat.news = ["And then more."]
    assert assistant.hops(200) == []


def test_an_answer_that_fails_is_reported_and_the_next_one_comes(table, chat):
    assistant = table("openai", chat=chat)
    (error,) = ask(assistant, chat, "Hello?", End("HTTP 500"))
    assert error.error.code == "agent_failed"
    assert "HTTP 500" in error.error.message
    assert assistant.words(ask(assistant, chat, "Hello!", "Here I am.", End())) == "Here I am."


def test_who_speaks_before_the_answer_comes_is_answered_instead(table, chat):
    assistant = table("openai", chat=chat)
    ask(assistant, chat, "What is")
    ask(assistant, chat, "the time?", "Noon.", End())
    assert chat.cancelled == 1
    assert chat.asked[1][1:] == [{"role": "user", "content": "What is the time?"}]
    assert assistant.words(assistant.items) == "Noon."


def test_the_openai_agent_needs_a_voice_that_says_anything(chat):
    service = Now(Instant(free=False))
    with pytest.raises(VoiceError, match="piper"):
        Company(service, chat=chat)
    service.close()
