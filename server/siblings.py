"""The other workers of the same service: each listens to them on a UNIX socket in one private folder."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
from fastapi import Response
from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector
from starlette.requests import HTTPConnection
from starlette.websockets import WebSocket, WebSocketDisconnect
from websockets.asyncio.client import ClientConnection, unix_connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.typing import Subprotocol

from server.metrics import Metrics

INSIDE = "inside"  # of a scope's state: the request came from a sibling, which has checked who asks
ANSWER_S = 2.0
CLOSE_S = 1.0
_SESSION = re.compile(r"sess_([a-z0-9-]{1,63})_[0-9a-f]{16}")
_UNSPOKEN = (1005, 1006)  # close codes that no frame can carry


class Siblings:
    """What one worker knows of the others.

    Args:
        folder: Where all of them listen; nobody else may enter it.
        own: The name of this one.
        metrics: Of this one.
    """

    def __init__(self, folder: Path, own: str, metrics: Metrics) -> None:
        self._folder = folder
        self._own = own
        self._metrics = metrics
        self._relays: set[asyncio.Task[Any]] = set()

    @property
    def path(self) -> Path:
        """Where this worker listens."""
        return self._path(self._own)

    def inside(self, peer: HTTPConnection) -> bool:
        """Say whether a sibling asks."""
        return INSIDE in peer.scope.get("state", {})

    async def relay(self, websocket: WebSocket, subprotocol: str | None) -> bool:
        """Carry a connection to the worker that has the session which the address names.

        Returns:
            True once that is over; False if no other worker has it, or it has gone.
        """
        named = _SESSION.fullmatch(websocket.query_params.get("session", ""))
        if named is None or named[1] == self._own or self.inside(websocket):
            return False
        try:
            owner = await unix_connect(
                str(self._path(named[1])),
                "ws://sibling/v1/realtime",
                subprotocols=[Subprotocol(subprotocol)] if subprotocol else None,
                compression=None,
                ping_interval=None,
                max_size=None,
                open_timeout=ANSWER_S,
            )
        except InvalidStatus as error:  # it is full, or stops
            await websocket.send_denial_response(_passed_on(error))
            return True
        except (OSError, InvalidHandshake):
            return False
        carrying = asyncio.create_task(_carry(websocket, owner, subprotocol))
        self._relays.add(carrying)
        carrying.add_done_callback(self._relays.discard)
        with self._metrics.relayed.track_inprogress():
            await carrying
        return True

    async def drain(self, give_up: Callable[[], bool], wait_s: float) -> None:
        """Let the owners of what is carried here say their last word."""
        deadline = asyncio.get_running_loop().time() + wait_s
        while self._relays and not give_up() and asyncio.get_running_loop().time() < deadline:
            await asyncio.wait(self._relays, timeout=0.1)

    async def metrics(self, own: str) -> bytes:
        """Return the metrics of all workers, each with its name."""
        return merge_metrics({**await self._ask("/metrics"), self._own: own})

    async def sessions(self, own: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the sessions of all workers."""
        answers = await self._ask("/v1/sessions")
        return [*own, *(each for answer in answers.values() for each in json.loads(answer)["sessions"])]

    async def _ask(self, path: str) -> dict[str, str]:
        """Return what each of the others answers; who does not is left out."""
        others = [each for each in self._folder.glob("*.sock") if each != self.path]
        answers = await asyncio.gather(*(_get(each, path) for each in others))
        return {each.stem: answer for each, answer in zip(others, answers, strict=True) if answer is not None}

    def _path(self, worker: str) -> Path:
        return self._folder / f"{worker}.sock"


def merge_metrics(texts: Mapping[str, str]) -> bytes:
    """Put the expositions of several workers together, with a label `worker`."""
    families: dict[str, Metric] = {}
    for worker, text in sorted(texts.items()):
        for family in text_string_to_metric_families(text):
            merged = families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
            for sample in family.samples:
                merged.add_sample(sample.name, {**sample.labels, "worker": worker}, sample.value)
    registry = CollectorRegistry()
    registry.register(_Given(families.values()))
    return generate_latest(registry)


class _Given(Collector):
    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


async def _get(socket: Path, path: str) -> str | None:
    transport = httpx.AsyncHTTPTransport(uds=str(socket))
    with suppress(httpx.HTTPError):
        async with httpx.AsyncClient(transport=transport, timeout=ANSWER_S) as client:
            return (await client.get(f"http://sibling{path}")).raise_for_status().text
    return None


def _passed_on(error: InvalidStatus) -> Response:
    answer = error.response
    kept = {name: answer.headers[name] for name in ("Content-Type", "Retry-After") if name in answer.headers}
    return Response(answer.body, answer.status_code, kept)


async def _carry(websocket: WebSocket, owner: ClientConnection, subprotocol: str | None) -> None:
    """Carry messages both ways until either side ends it; the other is told how."""
    try:
        await websocket.accept(subprotocol=subprotocol)
        await _exchange(websocket, owner)
    finally:
        owner.transport.abort()


async def _exchange(websocket: WebSocket, owner: ClientConnection) -> None:
    upward = asyncio.create_task(_upward(websocket, owner))
    try:
        code, reason = await _downward(owner, websocket)
        with suppress(TimeoutError, WebSocketDisconnect, RuntimeError):  # it may have gone already
            async with asyncio.timeout(CLOSE_S):
                await websocket.close(code, reason)
    except (WebSocketDisconnect, RuntimeError):  # sending fails before it is known how the peer went
        await asyncio.wait([upward], timeout=CLOSE_S)
    finally:
        upward.cancel()
        await asyncio.gather(upward, return_exceptions=True)


async def _upward(websocket: WebSocket, owner: ClientConnection) -> None:
    with suppress(ConnectionClosed):
        while (message := await websocket.receive())["type"] != "websocket.disconnect":
            data: bytes | None = message.get("bytes")
            await owner.send(message["text"] if data is None else data)
        code = message.get("code", 1006)
        if code in _UNSPOKEN:
            owner.transport.abort()
        else:
            await owner.close(code, message.get("reason") or "")


async def _downward(owner: ClientConnection, websocket: WebSocket) -> tuple[int, str]:
    """Return how the owner has closed."""
    try:
        while True:
            message = await owner.recv()
            if isinstance(message, bytes):
                await websocket.send_bytes(message)
            else:
                await websocket.send_text(message)
    except ConnectionClosed as error:
        if error.rcvd is None:  # killed: the client tries again, and learns that its session is lost
            return 1001, "the session's process has gone"
        return error.rcvd.code, error.rcvd.reason
