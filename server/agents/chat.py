"""Any chat endpoint that is OpenAI's in shape, read as a stream by one thread for all sessions."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Any, Protocol

import httpx

from server.agents.sentences import Sentences

CONNECT_S, SILENT_S, WHOLE_S = 5.0, 20.0, 90.0
ANSWERS = 64  # that may be under way at once, all sessions together
LONGEST = 4000  # characters of one answer

logger = logging.getLogger(__name__)

Message = dict[str, str]
"""One message as the endpoint takes it: `role` and `content`."""


class ChatError(Exception):
    """The endpoint gave no answer; the message says why."""


@dataclass(frozen=True, slots=True)
class End:
    """An answer is over; `error` says what went wrong, if something did."""

    error: str | None = None


class Answer(Protocol):
    """An answer that arrives sentence by sentence."""

    def poll(self) -> list[str | End]:
        """Return what is new."""
        ...

    def cancel(self) -> None:
        """Nobody wants to hear more of it."""
        ...


class Chat(Protocol):
    """Somebody to ask."""

    def ask(self, messages: Sequence[Message]) -> Answer:
        """Ask for the next message of a dialogue; returns at once."""
        ...


class Endpoint:
    """Where the answers come from."""

    def __init__(self, url: str, model: str, key: str | None = None) -> None:
        """Name the endpoint.

        Args:
            url: What comes before `/chat/completions`.
            model: Its name there.
            key: Shown as a bearer token.
        """
        self.url = f"{url.rstrip('/')}/chat/completions"
        self.model = model
        self.headers = {"Authorization": f"Bearer {key}"} if key else {}

    async def stream(self, client: httpx.AsyncClient, messages: Sequence[Message]) -> AsyncGenerator[str]:
        """Yield the answer bit by bit.

        Raises:
            ChatError: If the endpoint refuses, or says what nobody understands.
            httpx.HTTPError: If it cannot be reached or falls silent.
        """
        body = {"model": self.model, "messages": list(messages), "stream": True}
        async with client.stream("POST", self.url, json=body, headers=self.headers) as response:
            if response.status_code != 200:
                said = (await response.aread())[:300].decode(errors="replace")
                # Accounts and quotas are the operator's business, not that of whoever talks.
                logger.warning("%s answers HTTP %d: %s", self.url, response.status_code, said)
                raise ChatError(f"the endpoint answers HTTP {response.status_code}")
            async for line in response.aiter_lines():
                if not line.startswith("data:"):
                    continue
                data = line.removeprefix("data:").strip()
                if data == "[DONE]":
                    return
                yield _content(data)


class _Asked:
    """An answer under way; the thread appends, the engine takes."""

    def __init__(self, service: ChatService) -> None:
        self._service = service
        self._news: deque[str | End] = deque()
        self.task: asyncio.Task[None] | None = None
        self.cancelled = False

    def poll(self) -> list[str | End]:
        return [self._news.popleft() for _ in range(len(self._news))]

    def cancel(self) -> None:
        self.cancelled = True
        self._service.drop(self)

    def put(self, news: str | End) -> None:
        self._news.append(news)


class ChatService:
    """A thread with an event loop, in which answers are read."""

    def __init__(self, endpoint: Endpoint, silent_s: float = SILENT_S, whole_s: float = WHOLE_S) -> None:
        """Start the thread.

        Args:
            endpoint: Who is asked.
            silent_s: How long the endpoint may say nothing.
            whole_s: How long an answer may take.
        """
        self._endpoint = endpoint
        self._client = httpx.AsyncClient(timeout=httpx.Timeout(silent_s, connect=CONNECT_S))
        self._whole_s = whole_s
        self._asked: set[_Asked] = set()
        self._lock = threading.Lock()
        # Not uvloop's: there is little to do here, and nothing of it is in a hurry.
        self._loop = asyncio.SelectorEventLoop()
        self._thread = threading.Thread(target=self._run, name="chat", daemon=True)
        self._thread.start()

    def ask(self, messages: Sequence[Message]) -> Answer:
        """Ask for the next message of a dialogue; returns at once."""
        asked = _Asked(self)
        with self._lock:
            busy = len(self._asked) >= ANSWERS or self._loop.is_closed()
            if not busy:
                self._asked.add(asked)
        if busy:
            asked.put(End(f"{ANSWERS} answers are under way"))
        else:
            self._loop.call_soon_threadsafe(self._begin, asked, messages)
        return asked

    def drop(self, asked: _Asked) -> None:
        """Stop reading an answer."""
        with suppress(RuntimeError):  # the service is closed
            self._loop.call_soon_threadsafe(lambda: asked.task and asked.task.cancel())

    def close(self) -> None:
        """Stop reading everything and end the thread."""
        with suppress(RuntimeError):  # it is closed already
            self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _run(self) -> None:
        self._loop.run_forever()
        self._loop.run_until_complete(self._cancel_all())
        self._loop.run_until_complete(self._client.aclose())
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()

    async def _cancel_all(self) -> None:
        """Stop our own tasks; those that they started end with them, in their order."""
        tasks = [asked.task for asked in self._asked if asked.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _begin(self, asked: _Asked, messages: Sequence[Message]) -> None:
        if asked.cancelled:
            self._forget(asked)
        else:
            asked.task = self._loop.create_task(self._read(asked, messages))

    async def _read(self, asked: _Asked, messages: Sequence[Message]) -> None:
        try:
            async with asyncio.timeout(self._whole_s):
                await self._listen(asked, messages)
            asked.put(End())
        except TimeoutError:
            asked.put(End(f"the answer took more than {self._whole_s:g} s"))
        except (ChatError, httpx.HTTPError, httpx.InvalidURL) as error:
            asked.put(End(str(error) or type(error).__name__))
        except Exception:  # such as a key that no header can hold: the agent must not wait for ever
            logger.exception("a chat answer failed")
            asked.put(End("the endpoint could not be asked"))
        finally:
            self._forget(asked)

    async def _listen(self, asked: _Asked, messages: Sequence[Message]) -> None:
        sentences, length = Sentences(), 0
        async with aclosing(self._endpoint.stream(self._client, messages)) as bits:
            async for bit in bits:
                length += len(bit)
                for sentence in sentences.feed(bit):
                    asked.put(sentence)
                if length > LONGEST:
                    break
        for sentence in sentences.finish():
            asked.put(sentence)

    def _forget(self, asked: _Asked) -> None:
        with self._lock:
            self._asked.discard(asked)


def _content(data: str) -> str:
    """Return the text of one chunk of the stream.

    Raises:
        ChatError: If it is none, or says that something went wrong.
    """
    try:
        chunk: Any = json.loads(data)
        if "error" in chunk:
            raise ChatError(str(chunk["error"])[:300])
        choices = chunk["choices"]
        content = choices[0]["delta"].get("content") if choices else None
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        raise ChatError(f"not a chunk of a chat completion: {data[:100]}") from None
    return content if isinstance(content, str) else ""
