"""The openai agent against a chat endpoint of our own, over HTTP."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from server.agents.chat import ANSWERS, ChatService, End, Endpoint
from server.agents.sentences import LONGEST, split

Script = Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        server: Any = self.server
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server.asked.append((self.path, self.headers.get("Authorization"), body))
        server.script(self)

    def begin(self, status: int = 200) -> None:
        self.send_response(status)
        self.end_headers()

    def write(self, line: str) -> None:
        self.wfile.write(f"{line}\n\n".encode())

    def say(self, *bits: str) -> None:
        for bit in bits:
            self.write("data: " + json.dumps({"choices": [{"delta": {"content": bit}}]}))

    def log_message(self, format: str, *args: Any) -> None: ...


class Fake:
    def __init__(self) -> None:
        self.server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.asked = []
        self.services: list[ChatService] = []
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def asks(self, script: Script, **limits: float) -> ChatService:
        self.server.script = script
        url = f"http://127.0.0.1:{self.server.server_port}/v1/"
        self.services.append(ChatService(Endpoint(url, "tiny", "sk-1"), **limits))
        return self.services[-1]

    def close(self) -> None:
        for service in self.services:
            service.close()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def fake() -> Iterator[Fake]:
    running = Fake()
    yield running
    running.close()


def whole(answer: Any) -> list[Any]:
    """Wait for the end of an answer."""
    news: list[Any] = []
    deadline = time.monotonic() + 30
    while not news or not isinstance(news[-1], End):
        assert time.monotonic() < deadline, news
        news += answer.poll()
        time.sleep(0.005)
    return news


def hello(handler: Handler) -> None:
    handler.begin()
    handler.write(": a comment")
    handler.write('data: {"choices": [{"delta": {"role": "assistant"}}]}')
    handler.say("It rains ", "today. Take ", "an umbrella! ", "**Bye**")
    handler.write('data: {"choices": []}')
    handler.write("data: [DONE]")


def test_an_answer_comes_sentence_by_sentence(fake: Fake):
    messages = [{"role": "user", "content": "Weather?"}]
    news = whole(fake.asks(hello).ask(messages))
    assert news == ["It rains today.", "Take an umbrella!", "Bye", End()]
    ((path, key, body),) = fake.server.asked
    assert (path, key) == ("/v1/chat/completions", "Bearer sk-1")
    assert body == {"model": "tiny", "messages": messages, "stream": True}


def test_a_sentence_is_there_before_the_next_one(fake: Fake):
    go_on = threading.Event()

    def script(handler: Handler) -> None:
        handler.begin()
        handler.say("It rains today. ")
        go_on.wait(30)
        handler.say("Still.")

    answer = fake.asks(script).ask([])
    while not (news := answer.poll()):
        time.sleep(0.005)
    assert news == ["It rains today."]
    go_on.set()
    assert whole(answer) == ["Still.", End()]


@pytest.mark.parametrize(
    ("script", "error"),
    [
        (lambda h: (h.begin(401), h.write('{"error": "no key"}')), "HTTP 401"),
        (lambda h: (h.begin(), h.write("data: {")), "not a chunk"),
        (lambda h: (h.begin(), h.write("data: []")), "not a chunk"),
        (lambda h: (h.begin(), h.write('data: {"choices": [{}]}')), "not a chunk"),
        (lambda h: (h.begin(), h.write('data: {"error": {"message": "overloaded"}}')), "overloaded"),
        (lambda h: h.wfile.write(b"hello\n"), ""),
    ],
)
def test_what_goes_wrong_is_said(fake: Fake, script: Script, error: str):
    (end,) = whole(fake.asks(script).ask([]))
    assert end.error is not None
    assert error in end.error
    assert "sk-1" not in end.error


def test_what_the_endpoint_says_of_its_account_is_for_the_log(fake: Fake, caplog: pytest.LogCaptureFixture):
    (end,) = whole(fake.asks(lambda h: (h.begin(429), h.write("quota of org-42"))).ask([]))
    assert "org-42" not in end.error
    assert "org-42" in caplog.text


def test_a_key_that_cannot_be_sent_is_an_error(fake: Fake):
    service = ChatService(Endpoint("http://127.0.0.1:9", "tiny", "schlüssel"))
    fake.services.append(service)
    (end,) = whole(service.ask([]))
    assert end.error


def test_nobody_there_is_an_error(fake: Fake):
    service = ChatService(Endpoint("http://127.0.0.1:9", "tiny"))
    fake.services.append(service)
    (end,) = whole(service.ask([]))
    assert end.error


def silent(handler: Handler) -> None:
    handler.begin()
    handler.say("It rains today. ")
    threading.Event().wait(30)


@pytest.mark.parametrize("limits", [{"silent_s": 0.2}, {"whole_s": 0.2}])
def test_who_falls_silent_is_left(fake: Fake, limits: dict[str, float]):
    sentence, end = whole(fake.asks(silent, **limits).ask([]))
    assert sentence == "It rains today."
    assert end.error


def test_a_cancelled_answer_is_not_read_on(fake: Fake):
    gone = threading.Event()

    def script(handler: Handler) -> None:
        handler.begin()
        try:
            while True:
                handler.say("word ")
                time.sleep(0.01)
        except OSError:
            gone.set()

    answer = fake.asks(script).ask([])
    while not fake.server.asked:
        time.sleep(0.005)
    answer.cancel()
    assert gone.wait(30)


def test_an_endless_answer_is_cut(fake: Fake):
    def script(handler: Handler) -> None:
        handler.begin()
        for _ in range(2000):
            handler.say("and so on it goes. ")

    news = whole(fake.asks(script).ask([]))
    assert news[-1] == End()
    assert 200 < len(news) < 250


def test_no_more_answers_than_there_is_room_for(fake: Fake):
    service = fake.asks(silent)
    answers = [service.ask([]) for _ in range(ANSWERS + 1)]
    (end,) = whole(answers[-1])
    assert "under way" in end.error


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("", []),
        ("Hello", ["Hello"]),
        ("Yes. I think so. Do you?", ["Yes. I think so.", "Do you?"]),
        ("It costs 3.50 in all, sir. Fine.", ["It costs 3.50 in all, sir.", "Fine."]),
        ('He said "stop it now!" Then he left.', ['He said "stop it now!"', "Then he left."]),
        ("今天天气很好。我们走吧！", ["今天天气很好。", "我们走吧！"]),
        ("# A title here\n- *one* thing\n---\n", ["A title here", "- one thing"]),
    ],
)
def test_sentences(text: str, sentences: list[str]):
    assert split(text) == sentences


def test_a_text_without_an_end_is_cut_between_words():
    pieces = split("word " * 500)
    assert all(len(piece) <= LONGEST for piece in pieces)
    assert " ".join(pieces).split() == ["word"] * 500
