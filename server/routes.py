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
from server.service import Service
from server.tokens import shown_token

PROTOCOL_VERSION = 1
_FIRST_CLOSE_CODE = 1000
SUBPROTOCOLS = ("duplex.v1", "realtime")


def add_routes(app: FastAPI, service: Service) -> None:
    """Let an application answer for a service."""
    _add_pages(app, service)
    _add_operators_pages(app, service)
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

    @app.get("/v1/config")
    async def config() -> JSONResponse:
        return JSONResponse(_describe(service))


def _add_operators_pages(app: FastAPI, service: Service) -> None:
    @app.get("/metrics")
    async def metrics(request: Request) -> Response:
        if (denial := _locked(service, request)) is not None:
            return denial
        told = service.metrics.exposition()
        if (siblings := service.siblings) is not None and not siblings.inside(request):
            told = await siblings.metrics(told.decode())
        return Response(told, media_type=CONTENT_TYPE)

    @app.get("/v1/sessions")
    async def sessions(request: Request) -> Response:
        if (denial := _locked(service, request)) is not None:
            return denial
        listed = service.registry.describe() if service.registry else []
        if (siblings := service.siblings) is not None and not siblings.inside(request):
            listed = await siblings.sessions(listed)
        return JSONResponse({"sessions": listed})


def _add_socket(app: FastAPI, service: Service) -> None:
    @app.websocket("/v1/realtime")
    async def realtime(websocket: WebSocket) -> None:
        peer = _invite(service, websocket)
        if isinstance(peer, Refusal):
            await _refuse(service, websocket, peer)
            return
        with service.peers.holding(peer):
            await _serve(service, websocket)

    @app.websocket("/{path:path}")
    async def nowhere(websocket: WebSocket, path: str) -> None:
        await websocket.send_denial_response(JSONResponse({"error": {"message": f"no /{path}"}}, 404))


def _recognise(service: Service, peer: HTTPConnection) -> Peer | Refusal:
    """Return who asks, once it has shown the token."""
    if service.siblings is not None and service.siblings.inside(peer):
        return Peer(None, None)
    address, now = address_of(peer.client.host if peer.client else None), monotonic()
    if (barred := service.peers.barred(address, now)) is not None:
        return barred
    token = shown_token(service.settings.tokens, peer.headers, peer.url.query)
    if token is None:
        service.peers.missed(address, now)
        return Refusal(401, "the token is missing or wrong")
    return Peer(address, token)


def _invite(service: Service, websocket: WebSocket) -> Peer | Refusal:
    """Return who connects, if it may."""
    settings = service.settings
    foreign = check_origin(settings.origins, websocket.headers, by_any_name=bool(settings.tokens))
    peer = foreign or _recognise(service, websocket)
    return peer if isinstance(peer, Refusal) else service.peers.admit(peer) or peer


async def _serve(service: Service, websocket: WebSocket) -> None:
    """Carry a session; one that another worker keeps goes there."""
    siblings, chosen = service.siblings, _chosen(websocket)
    if siblings is not None and await siblings.relay(websocket, chosen):
        return
    registry = service.admit(websocket.query_params.get("session"))
    if isinstance(registry, Refusal):
        await _refuse(service, websocket, registry)
        return
    code = await Connection(websocket, registry, service.settings).run(chosen)
    service.metrics.closed.labels(str(code)).inc()


def _locked(service: Service, request: Request) -> Response | None:
    """Return the refusal for who shows no token, if there is one."""
    peer = _recognise(service, request)
    return _denial(peer) if isinstance(peer, Refusal) else None


async def _refuse(service: Service, websocket: WebSocket, refusal: Refusal) -> None:
    service.metrics.refused.labels(str(refusal.status)).inc()
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
