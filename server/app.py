"""The FastAPI application, and the process that runs it."""

from __future__ import annotations

import logging
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Any

import uvicorn
from fastapi import FastAPI, Response, WebSocket
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles
from starlette.websockets import WebSocketDisconnect

from aec_core.memory import keep_freed_memory
from server.admission import Refusal, check_origin, check_token
from server.connection import Connection
from server.metrics import CONTENT_TYPE
from server.models import load_models
from server.registry import Registry
from server.service import LoadModels, Service
from server.settings import Settings

PROTOCOL_VERSION = 1
_FIRST_CLOSE_CODE = 1000
SUBPROTOCOLS = ("duplex.v1", "realtime")
PING_S, PONG_S = 10.0, 20.0
SEND_BUFFER_BYTES = 1 << 17  # two seconds of cleaned audio
LOG_FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"


def create_app(settings: Settings, load: LoadModels = load_models) -> FastAPI:
    """Build the application; it loads the models in the background once it runs.

    Args:
        settings: All settings of the service.
        load: Gives the models; a test puts a recogniser of its own among them.
    """
    service = Service(settings, load)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        service.start()
        yield
        await service.stop()

    app = FastAPI(title="duplex", lifespan=lifespan, openapi_url=None)
    app.state.service = service
    _add_routes(app, service)
    if settings.web_dir is not None:
        app.mount("/", _Page(directory=settings.web_dir, html=True))
    return app


class _Page(StaticFiles):
    """Files that a browser asks about each time: modules of two versions do not fit together."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        """Return the file, or that it is still the one that the browser has."""
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = "no-cache"
        return response


def serve(settings: Settings, load: LoadModels = load_models) -> None:
    """Run the service until it is told to stop; sessions are told first.

    Args:
        settings: All settings of the service.
        load: Gives the models.

    Raises:
        Exception: What kept the models from being loaded.
    """
    logging.basicConfig(level=settings.log_level.upper(), format=LOG_FORMAT)
    keep_freed_memory()
    server = make_server(create_app(settings, load))
    with suppress(KeyboardInterrupt):
        server.run()
    if server.service.failure is not None:
        raise server.service.failure


def make_server(app: FastAPI) -> DrainingServer:
    """Put an application of `create_app` behind uvicorn."""
    # uvicorn takes a refusal before the handshake for a fault of ours, and says so at every one.
    logging.getLogger("uvicorn.error").addFilter(_is_no_refusal)
    service: Service = app.state.service
    settings = service.settings
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        ws="websockets-sansio",
        ws_max_size=service.limits.max_message_bytes,
        ws_ping_interval=PING_S,
        ws_ping_timeout=PONG_S,
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=5,
        ssl_certfile=settings.tls_certificate,
        ssl_keyfile=settings.tls_key,
    )
    return DrainingServer(config, service)


def _is_no_refusal(record: logging.LogRecord) -> bool:
    return record.msg != "ASGI callable returned without completing handshake."


class DrainingServer(uvicorn.Server):
    """uvicorn closes WebSockets at once when it stops; this one lets the sessions end first."""

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self.service = service
        service.on_failure = self._give_up

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, with little room in the kernel for what a peer does not read.

        With its usual megabytes a slow reader would get minutes of stale results before any of them
        could be merged here. Accepted sockets inherit the size.
        """
        await super().startup(sockets)
        for server in self.servers:
            for listening in server.sockets:
                listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drain, then close; a second Ctrl-C ends the draining."""
        await self.service.drain(lambda: self.force_exit)
        await super().shutdown(sockets)

    def _give_up(self) -> None:
        self.should_exit = True


def _add_routes(app: FastAPI, service: Service) -> None:
    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz")
    async def readyz() -> JSONResponse:
        reason = service.unready
        return JSONResponse({"status": reason or "ready"}, 503 if reason else 200)

    @app.get("/metrics")
    async def metrics() -> Response:
        return Response(service.metrics.exposition(), media_type=CONTENT_TYPE)

    @app.get("/v1/config")
    async def config() -> JSONResponse:
        return JSONResponse(_describe(service))

    @app.websocket("/v1/realtime")
    async def realtime(websocket: WebSocket) -> None:
        admitted = _admit(service, websocket)
        if isinstance(admitted, Refusal):
            service.metrics.refused.labels(str(admitted.status)).inc()
            await _refuse(websocket, admitted)
            return
        code = await Connection(websocket, admitted, service.settings).run(_chosen(websocket))
        service.metrics.closed.labels(str(code)).inc()

    @app.websocket("/{path:path}")
    async def nowhere(websocket: WebSocket, path: str) -> None:
        await websocket.send_denial_response(JSONResponse({"error": {"message": f"no /{path}"}}, 404))


def _admit(service: Service, websocket: WebSocket) -> Refusal | Registry:
    settings = service.settings
    token = settings.token.get_secret_value() if settings.token else None
    return (
        check_origin(settings.origins, websocket.headers)
        or check_token(token, websocket.headers, websocket.url.query)
        or service.admit()
    )


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
    headers = {} if refusal.retry_after_s is None else {"Retry-After": str(refusal.retry_after_s)}
    return JSONResponse({"error": {"message": refusal.reason}}, refusal.status, headers)


def _describe(service: Service) -> dict[str, Any]:
    models = service.models
    return {
        "protocol_version": PROTOCOL_VERSION,
        "backends": models.backends.model_dump() if models else None,
        "limits": service.limits.model_dump(),
        "rates": [16000, 24000, 48000],
        "agents": models.company.names if models else None,
    }
