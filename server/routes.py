"""What the service answers over HTTP, and who may open the socket."""

from __future__ import annotations

from contextlib import suppress
from time import monotonic
from typing import Any

from fastapi import FastAPI, Request, Response, WebSocket
from fastapi.responses import JSONResponse
from starlette.requests import HTTPConnection
from starlette.websockets import WebSocketDisconnect

from server.admission import Refusal, check_origin
from server.connection import Connection
from server.metrics import CONTENT_TYPE
from server.peers import Peer, address_of
from server.registry import Registry
from server.service import Service
from server.tokens import shown_token

PROTOCOL_VERSION = 1
_FIRST_CLOSE_CODE = 1000
SUBPROTOCOLS = ("duplex.v1", "realtime")


def add_routes(app: FastAPI, service: Service) -> None:
    """Let an application answer for a service."""
    _add_pages(app, service)
    _add_socket(app, service)


def _add_pages(app: FastAPI, service: Service) -> None:
    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz")
    async def readyz(room: bool = False) -> JSONResponse:
        refusal = service.admit() if room else None
        reason = service.unready or (refusal.reason if isinstance(refusal, Refusal) else None)
        return JSONResponse({"status": reason or "ready"}, 503 if reason else 200)

    @app.get("/metrics")
    async def metrics(request: Request) -> Response:
        answer = Response(service.metrics.exposition(), media_type=CONTENT_TYPE)
        return _locked(service, request) or answer

    @app.get("/v1/sessions")
    async def sessions(request: Request) -> Response:
        listed = service.registry.describe() if service.registry else []
        return _locked(service, request) or JSONResponse({"sessions": listed})

    @app.get("/v1/config")
    async def config() -> JSONResponse:
        return JSONResponse(_describe(service))


def _add_socket(app: FastAPI, service: Service) -> None:
    @app.websocket("/v1/realtime")
    async def realtime(websocket: WebSocket) -> None:
        admitted = _admit(service, websocket)
        if isinstance(admitted, Refusal):
            service.metrics.refused.labels(str(admitted.status)).inc()
            await _refuse(websocket, admitted)
            return
        peer, registry = admitted
        with service.peers.holding(peer):
            code = await Connection(websocket, registry, service.settings).run(_chosen(websocket))
        service.metrics.closed.labels(str(code)).inc()

    @app.websocket("/{path:path}")
    async def nowhere(websocket: WebSocket, path: str) -> None:
        await websocket.send_denial_response(JSONResponse({"error": {"message": f"no /{path}"}}, 404))


def _recognise(service: Service, peer: HTTPConnection) -> Peer | Refusal:
    """Return who asks, once it has shown the token."""
    address, now = address_of(peer.client.host if peer.client else None), monotonic()
    if (barred := service.peers.barred(address, now)) is not None:
        return barred
    token = shown_token(service.settings.tokens, peer.headers, peer.url.query)
    if token is None:
        service.peers.missed(address, now)
        return Refusal(401, "the token is missing or wrong")
    return Peer(address, token)


def _admit(service: Service, websocket: WebSocket) -> tuple[Peer, Registry] | Refusal:
    settings = service.settings
    foreign = check_origin(settings.origins, websocket.headers, by_any_name=bool(settings.tokens))
    peer = foreign or _recognise(service, websocket)
    if isinstance(peer, Refusal):
        return peer
    registry = service.peers.admit(peer) or service.admit()
    return registry if isinstance(registry, Refusal) else (peer, registry)


def _locked(service: Service, request: Request) -> Response | None:
    """Return the refusal for who shows no token, if there is one."""
    peer = _recognise(service, request)
    return _denial(peer) if isinstance(peer, Refusal) else None


async def _refuse(websocket: WebSocket, refusal: Refusal) -> None:
    if refusal.status < _FIRST_CLOSE_CODE:
        await websocket.send_denial_response(_denial(refusal))
        return
    with suppress(WebSocketDisconnect, RuntimeError):  # it may have gone already
        await websocket.accept(subprotocol=_chosen(websocket))
        await websocket.close(refusal.status, refusal.close_reason)


def _chosen(websocket: WebSocket) -> str | None:
    offered: list[str] = websocket.scope["subprotocols"]
    return next((name for name in SUBPROTOCOLS if name in offered), None)


def _denial(refusal: Refusal) -> Response:
    headers = {"WWW-Authenticate": "Bearer"} if refusal.status == 401 else {}
    if refusal.retry_after_s is not None:
        headers["Retry-After"] = str(refusal.retry_after_s)
    return JSONResponse({"error": {"message": refusal.reason}}, refusal.status, headers)


def _describe(service: Service) -> dict[str, Any]:
    models = service.models
    return {
        "protocol_version": PROTOCOL_VERSION,
        "backends": models.backends.model_dump() if models else None,
        "limits": service.limits.model_dump(),
        "rates": [16000, 24000, 48000],
        "agents": models.company.names if models else None,
        "recorded": service.settings.record is not None,
    }
