"""The tier's HTTP side without Ray: the same desk and answers, behind uvicorn on a free port."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from server.asr import Recognizer, RecognizerError, Transcript
from server.tier.answers import answer_asr, answer_turn
from server.tier.desk import Desk


@dataclass
class Counting:
    """A recogniser that says how many samples it heard, and keeps a list of what it was fed."""

    streaming: bool = True
    name: str = "counting"
    fed: list[int] = field(default_factory=list)

    def open(self, language: str | None, hotwords: Sequence[str]) -> CountingUtterance:
        if language == "xx":
            raise RecognizerError("counting knows no 'xx'")
        return CountingUtterance(self, language, " ".join(hotwords))


class CountingUtterance:
    def __init__(self, model: Counting, language: str | None, prefix: str) -> None:
        self._model, self._language, self._prefix, self._heard = model, language, prefix, 0

    def feed(self, audio: np.ndarray) -> str:
        if self._language == "fail":
            raise MemoryError("/secret/file")
        self._model.fed.append(len(audio))
        self._heard += len(audio)
        return f"{self._prefix}{self._heard}"

    def finish(self, tail: np.ndarray) -> Transcript:
        return Transcript(f"{self.feed(tail)} in all")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def tier(recognizer: Recognizer, p_turn: float = 0.5, port: int = 0) -> Iterator[str]:
    """Run a replica and yield its address."""
    desk = Desk(recognizer)

    async def asr(request: Request) -> Response:
        return await answer_asr(desk, desk.finish_one, request)

    async def turn(request: Request) -> Response:
        async def judge(_: np.ndarray) -> float:
            await asyncio.sleep(0)
            return p_turn

        return await answer_turn(judge, request)

    routes = [Route("/asr", asr, methods=["GET", "POST"]), Route("/turn", turn, methods=["POST"])]
    port = port or free_port()
    config = uvicorn.Config(Starlette(routes=routes), port=port, log_config=None, access_log=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"ray://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(10)


@contextmanager
def broken_tier() -> Iterator[str]:
    """Listen, take each request, and hang up without an answer, as a replica does that is killed."""
    listening = socket.create_server(("127.0.0.1", 0))

    def hang_up() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with connection:
                connection.recv(1 << 16)

    thread = threading.Thread(target=hang_up, daemon=True)
    thread.start()
    try:
        yield f"ray://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join(10)
