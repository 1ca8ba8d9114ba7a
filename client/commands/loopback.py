"""`duplex loopback`: the microphone and the loudspeaker of this machine."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from client.commands.terminal import Token, fail, warn

if TYPE_CHECKING:
    from client.desktop.session import MakeLink, Options


class Asr(StrEnum):
    auto = "auto"
    paraformer = "paraformer"
    whisper = "whisper"
    none = "none"


def loopback(
    list_devices: Annotated[
        bool, typer.Option("--list-devices", help="Show the devices of this machine, and exit.")
    ] = False,
    microphone: Annotated[
        str | None, typer.Option("--input", "-i", help="Microphone: its number, or a part of its name.")
    ] = None,
    loudspeaker: Annotated[
        str | None, typer.Option("--output", "-o", help="Loudspeaker: its number, or a part of its name.")
    ] = None,
    channel: Annotated[int, typer.Option(min=1, help="Input channel of the microphone.")] = 1,
    rate: Annotated[
        int | None, typer.Option(min=8000, max=384_000, help="Of the devices, Hz.", show_default="their own")
    ] = None,
    latency: Annotated[
        float | None,
        typer.Option(min=1, max=1000, help="To ask of the system, ms.", show_default="its safe value"),
    ] = None,
    agent: Annotated[
        str,
        typer.Option(
            help="What is played: 'clip', 'none', a sound file that repeats, or an agent of the service: "
            "'narrator', 'parrot', 'openai'."
        ),
    ] = "clip",
    ref_device: Annotated[
        str | None,
        typer.Option(
            help="Reference: an input that hears what the whole system plays, such as the monitor of a "
            "PulseAudio or PipeWire sink.",
            show_default="what this command plays",
        ),
    ] = None,
    url: Annotated[
        str | None, typer.Option(help="WebSocket of a service.", show_default="one inside this process")
    ] = None,
    ca: Annotated[
        Path | None, typer.Option(help="Certificate to trust, PEM: that of a service which made its own.")
    ] = None,
    token: Token = None,
    asr: Annotated[Asr, typer.Option(help="Recogniser of the service inside this process.")] = Asr.auto,
    record: Annotated[
        Path | None, typer.Option(help="Keep mic, ref, vad and asr .wav and events.jsonl in this directory.")
    ] = None,
    seconds: Annotated[float | None, typer.Option(min=0.1, help="Stop after so long.")] = None,
    jsonl: Annotated[
        bool, typer.Option("--jsonl", help="One JSON event a line, nothing else on stdout.")
    ] = False,
) -> None:
    """Talk over an agent on this machine's own microphone and loudspeaker. Ctrl-C ends.

    What is played is the reference, sample for sample. The agent lowers its voice, stops and goes on
    as the service says. Put the loudspeaker on: with headphones there is no echo to cancel.

    Exits with 1 if a device or the session is lost.
    """
    if list_devices:
        _list()
        return
    from client.desktop.session import Options

    options = Options(
        microphone=microphone,
        loudspeaker=loudspeaker,
        channel=channel,
        rate=rate,
        latency_ms=latency,
        agent=agent,
        ref_device=ref_device,
        record=record,
        seconds=seconds,
        jsonl=jsonl,
    )
    _run(options, _elsewhere(url, ca, token) if url else _here(asr), url or "the service in this process")


def _run(options: Options, make_link: MakeLink, service: str) -> None:
    from client.audio import AudioFileError
    from client.desktop.devices import DeviceError
    from client.desktop.session import run_session
    from client.duplex import DuplexError

    try:
        run_session(options, make_link, service)
    except (AudioFileError, DeviceError, DuplexError) as error:
        fail(str(error))
    except KeyboardInterrupt:
        fail("stopped", code=130)


def _elsewhere(url: str, ca: Path | None, token: str | None) -> MakeLink:
    from client.desktop.link import RemoteLink

    return lambda session, on_cleaned: RemoteLink(url, session, on_cleaned, ca, token)


def _here(asr: Asr) -> MakeLink:
    from client.inprocess import LocalLink
    from server.settings import load_settings

    try:
        settings = load_settings(asr=asr.value, max_sessions=1, idle_s=0, max_session_s=0)
    except ValueError as error:
        fail(f"settings: {error}", code=2)
    return lambda session, on_cleaned: LocalLink(settings, session, on_cleaned)


def _list() -> None:
    from rich.console import Console
    from rich.table import Table

    from client.desktop.devices import DeviceError
    from client.desktop.devices import list_devices as query

    try:
        devices = query()
    except DeviceError as error:
        fail(str(error))
    table = Table("number", "name", "system", "inputs", "outputs", "rate")
    for device in devices:
        table.add_row(
            str(device.index),
            device.name,
            device.host,
            str(device.inputs),
            str(device.outputs),
            f"{device.rate} Hz",
        )
    Console().print(table)
    if not devices:
        warn("PortAudio sees no audio device on this machine")
