"""The FastAPI application, and the process that runs it."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

import uvicorn
from fastapi import FastAPI, Response
from fastapi.staticfiles import StaticFiles

from aec_core.memory import keep_freed_memory
from server.headers import HEADERS
from server.listening import SEND_BUFFER_BYTES
from server.logs import configure_logging
from server.models import load_models
from server.patience import PatientHttp, PatientWebSocket
from server.routes import add_routes
from server.service import LoadModels, Service
from server.settings import Settings
from server.tokens import needs_token

PING_S, PONG_S = 10.0, 20.0


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
    add_routes(app, service)
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


def serve(
    settings: Settings, load: LoadModels = load_models, listening: list[socket.socket] | None = None
) -> None:
    """Run the service until it is told to stop; sessions are told first.

    Args:
        settings: All settings of the service.
        load: Gives the models.
        listening: Bound sockets; else they are bound as the settings say.

    Raises:
        Exception: What kept the models from being loaded.
    """
    configure_logging(settings)
    keep_freed_memory()
    server = make_server(create_app(settings, load))
    with suppress(KeyboardInterrupt):
        server.run(sockets=listening)
    if server.service.failure is not None:
        raise server.service.failure


def make_server(app: FastAPI) -> DrainingServer:
    """Put an application of `create_app` behind uvicorn.

    Raises:
        ValueError: If other machines could come in without a token.
    """
    return DrainingServer(server_config(app), app.state.service)


def server_config(app: FastAPI) -> uvicorn.Config:
    """Say how uvicorn runs an application of `create_app`.

    Raises:
        ValueError: If other machines could come in without a token.
    """
    # uvicorn takes a refusal before the handshake for a fault of ours, and says so at every one.
    logging.getLogger("uvicorn.error").addFilter(_is_no_refusal)
    service: Service = app.state.service
    settings = service.settings
    if needs_token(settings):
        raise ValueError(f"a token must be set where other machines are served: host is {settings.host}")
    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        headers=list(HEADERS.items()),
        http=PatientHttp,
        ws=PatientWebSocket,
        ws_max_size=service.limits.max_message_bytes,
        ws_ping_interval=PING_S,
        ws_ping_timeout=PONG_S,
        ws_per_message_deflate=False,
        timeout_keep_alive=settings.handshake_s,  # type: ignore[arg-type]
        timeout_graceful_shutdown=5,
        ssl_certfile=settings.tls_certificate,
        ssl_keyfile=settings.tls_key,
    )


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
        if self.config.is_ssl:  # uvicorn says nothing of the TLS handshake, and a minute is asyncio's limit
            loop = asyncio.get_running_loop()
            listen = partial(loop.create_server, ssl_handshake_timeout=self.service.settings.handshake_s)
            loop.create_server = listen  # type: ignore[method-assign]
        await super().startup(sockets)
        for server in self.servers:
            for listening in server.sockets:
                listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drain, then close."""
        await self.drain()
        await super().shutdown(sockets)

    async def drain(self) -> None:
        """Let the sessions end; a second Ctrl-C ends the waiting."""
        await self.service.drain(lambda: self.force_exit)

    def _give_up(self) -> None:
        self.should_exit = True
