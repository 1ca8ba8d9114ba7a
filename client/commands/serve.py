"""`duplex serve`: the service and its page."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from client.commands.terminal import fail

if TYPE_CHECKING:
    import socket

    from server.settings import Settings


class Agent(StrEnum):
    none = "none"
    narrator = "narrator"
    parrot = "parrot"
    openai = "openai"


_ASR = "Speech recognition (docs/asr.md)"


class Hub(StrEnum):
    modelscope = "modelscope"
    huggingface = "huggingface"


class LogFormat(StrEnum):
    text = "text"
    json = "json"


class Asr(StrEnum):
    auto = "auto"
    paraformer = "paraformer"
    whisper = "whisper"
    none = "none"


def serve(
    host: Annotated[
        str | None,
        typer.Option(help="Address to listen on; 0.0.0.0 for the whole network.", show_default="127.0.0.1"),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            min=0, max=65535, help="Port of the page and of the socket; 0: any free one.", show_default="8080"
        ),
    ] = None,
    tls: Annotated[
        bool | None,
        typer.Option(
            "--tls/--no-tls",
            help="https and wss, which a phone needs; without --host on all addresses.",
            show_default="where other machines can reach it",
        ),
    ] = None,
    cert: Annotated[
        Path | None, typer.Option(help="Certificate of your own, PEM; else a self-signed one is kept.")
    ] = None,
    key: Annotated[Path | None, typer.Option(help="Its private key, PEM.")] = None,
    asr: Annotated[
        Asr | None,
        typer.Option(
            rich_help_panel=_ASR,
            help="Recogniser; 'auto' is paraformer if --asr-model names one that can be had, else whisper.",
            show_default="auto",
        ),
    ] = None,
    asr_model: Annotated[
        str | None,
        typer.Option(
            rich_help_panel=_ASR,
            metavar="DIR|ID",
            help="Streaming Paraformer: a directory or a hub id.",
            show_default="paraformer-zh-streaming",
        ),
    ] = None,
    asr_second_pass: Annotated[
        str | None,
        typer.Option(
            rich_help_panel=_ASR,
            metavar="DIR|ID|none",
            help="Offline Paraformer that writes the final text.",
            show_default="paraformer-zh; none beside a directory",
        ),
    ] = None,
    asr_punctuation: Annotated[
        str | None,
        typer.Option(
            rich_help_panel=_ASR,
            metavar="DIR|ID|none",
            help="Punctuation of the final text.",
            show_default="ct-punc; none beside a directory",
        ),
    ] = None,
    asr_hub: Annotated[
        Hub | None,
        typer.Option(rich_help_panel=_ASR, help="Where ids come from.", show_default="modelscope"),
    ] = None,
    asr_engine: Annotated[
        str | None,
        typer.Option(
            rich_help_panel=_ASR,
            metavar="local|ray://HOST:PORT",
            help="Where it runs: here, or in a tier on Ray Serve (docs/asr-tier.md).",
            show_default="local",
        ),
    ] = None,
    turn_engine: Annotated[
        str | None,
        typer.Option(
            rich_help_panel=_ASR,
            metavar="local|ray://HOST:PORT",
            help="The same of the model that judges whether a turn is over.",
            show_default="local",
        ),
    ] = None,
    agent: Annotated[
        Agent | None,
        typer.Option(help="Who speaks in sessions that do not choose (docs/agents.md).", show_default="none"),
    ] = None,
    model: Annotated[
        Path | None, typer.Option(help="A checkpoint of `duplex train`; else the shipped weights.")
    ] = None,
    record: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Keep every session there, for `duplex replay`; else nothing that is heard is stored.",
        ),
    ] = None,
    log_format: Annotated[
        LogFormat | None, typer.Option(help="'json': one object a line.", show_default="text")
    ] = None,
    workers: Annotated[
        int,
        typer.Option(
            min=1,
            help="Processes, one for each core; max_sessions and the other limits are of each of them.",
        ),
    ] = 1,
    config: Annotated[Path | None, typer.Option(help="TOML file of settings; options win over it.")] = None,
) -> None:
    """Run the service, with the web page at / and the socket at /v1/realtime.

    Settings come from these options, then DUPLEX_* in the environment, then the file;
    docs/settings.md has all of them.

    Other machines need a token: DUPLEX_TOKEN, else one that is made and printed.
    """
    if workers > 1 and os.name != "posix":
        fail("several workers need UNIX sockets: start one on each of several ports, behind a proxy", code=2)
    if tls is False and (cert is not None or key is not None):
        fail("--cert and --key need TLS: leave out --no-tls", code=2)
    settings = _settings(
        config,
        host=host,
        port=port,
        tls=tls,
        asr=asr,
        asr_model=asr_model,
        asr_second_pass=asr_second_pass,
        asr_punctuation=asr_punctuation,
        asr_hub=asr_hub,
        asr_engine=asr_engine,
        turn_engine=turn_engine,
        agent=agent,
        aec_model=model,
        log_format=log_format,
        record=record,
        tls_certificate=cert,
        tls_key=key,
    )
    settings, listening = _open(settings)
    try:
        if workers > 1:
            from server.supervisor import supervise

            supervise(settings, workers, listening)
        else:
            from server.app import serve as run

            run(settings, listening=listening)
    except Exception as error:  # why the models could not be loaded; whatever it is, there is no service
        fail(f"cannot serve: {error}")


def _settings(config: Path | None, **options: object) -> Settings:
    from client.page import web_directory
    from server.settings import load_settings

    given = {name: str(value) for name, value in options.items() if value is not None}
    try:
        settings = load_settings(config, **given)
    except OSError as error:
        fail(f"settings: {config}: {error.strerror}", code=2)
    except ValueError as error:
        fail(f"settings: {error}", code=2)
    return settings if settings.web_dir else settings.model_copy(update={"web_dir": web_directory()})


def _open(settings: Settings) -> tuple[Settings, list[socket.socket]]:
    """Find the certificate and the token, bind the sockets, and say where the service will be."""
    from client.commands.announce import announce
    from server.certificate import CertificateError
    from server.listening import bind
    from server.tls import secure
    from server.tokens import guarded

    try:
        settings, certificate = secure(settings)
    except CertificateError as error:
        fail(f"{error}; name one with --cert and --key, or use --no-tls")
    settings, made = guarded(settings)
    try:
        listening = bind(settings.host, settings.port)
    except OSError as error:
        fail(f"cannot listen at {settings.host}, port {settings.port}: {error.strerror}")
    settings = settings.model_copy(update={"port": listening[0].getsockname()[1]})
    announce(settings, certificate, made)
    return settings, listening
