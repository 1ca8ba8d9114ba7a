"""`duplex stream`: a client for integration tests, and for trying a server with recordings."""

from __future__ import annotations

from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from client.commands.terminal import Token, fail, need, warn

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from client.connect import Address
    from client.duplex import Event
    from client.stream import Speed as SpeedName

    Pcm = NDArray[np.int16]


class Speed(StrEnum):
    realtime = "realtime"
    max = "max"


def stream(
    mic: Annotated[
        Path,
        typer.Argument(metavar="MIC", help="What the microphone recorded; with --agent the person alone."),
    ],
    ref: Annotated[
        Path | None,
        typer.Argument(metavar="REF", help="What the loudspeaker played at the same time; not with --agent."),
    ] = None,
    url: Annotated[str, typer.Option(help="Where the service listens.")] = "ws://127.0.0.1:8080/v1/realtime",
    ca: Annotated[
        Path | None, typer.Option(help="Certificate to trust, PEM: that of a service which made its own.")
    ] = None,
    token: Token = None,
    speed: Annotated[Speed, typer.Option(help="'max': as fast as the server answers.")] = Speed.realtime,
    agent: Annotated[
        str | None,
        typer.Option(
            help="Talk with an agent of the server, over a simulated loudspeaker: narrator, parrot, …"
        ),
    ] = None,
    jsonl: Annotated[
        bool, typer.Option("--jsonl", help="One JSON event a line, nothing else on stdout.")
    ] = False,
    save_dir: Annotated[
        Path | None,
        typer.Option(help="Write vad.wav and asr.wav there; with --agent also mic.wav and agent.wav."),
    ] = None,
    no_aec: Annotated[bool, typer.Option("--no-aec", help="Ask the server to leave the echo in.")] = False,
    trace: Annotated[
        Path | None,
        typer.Option(metavar="FILE.png", help="Draw why turns began and ended where they did, hop by hop."),
    ] = None,
) -> None:
    """Play a pair of files into a running server and print what it hears.

    Any sample rate and any number of channels. Ends when every turn has its transcript.

    With --agent the server speaks, what it says is played on a loudspeaker that the microphone hears, and
    MIC is the person who talks over it.

    Exits with 1 if the server cannot be reached, refuses, or leaves a turn unanswered.
    """
    from client.audio import AudioFileError
    from client.connect import Address
    from client.duplex import DuplexError

    if (ref is None) == (agent is None):
        fail("name the reference that belongs to MIC, or an --agent that speaks", code=2)
    settings: Event = {"aec": {"enabled": False}} if no_aec else {}
    try:
        if save_dir is not None:
            _make(save_dir)
        if trace is not None:
            _prepare(trace)
            settings["duplex"] = {"trace": True}
        play = partial(_play, mic, ref) if ref is not None else partial(_talk, mic, agent or "")
        events, tell = _collecting(_printer(jsonl))
        sounds = play(Address(url, token, ca), speed.value, settings, tell)
        if save_dir is not None:
            _save(sounds, save_dir)
        if trace is not None:
            _draw(events, trace)
    except (AudioFileError, DuplexError) as error:
        fail(str(error))
    except KeyboardInterrupt:
        fail("stopped", code=130)


def _play(
    mic: Path,
    ref: Path,
    service: Address,
    speed: SpeedName,
    settings: Event | None,
    show: Callable[[Event], None],
) -> dict[str, Pcm]:
    """Play a pair; return the cleaned audio."""
    import asyncio

    from client.audio import load_pair
    from client.stream import stream_pair

    mic_audio, ref_audio, warning = load_pair(mic, ref, 16_000)
    if warning:
        warn(warning)
    playing = stream_pair(
        service.url,
        mic_audio,
        ref_audio,
        speed=speed,
        session=settings,
        on_event=show,
        ca=service.ca,
        token=service.token,
    )
    result = asyncio.run(playing)
    return {"vad": result.vad, "asr": result.asr}


def _talk(
    near: Path,
    agent: str,
    service: Address,
    speed: SpeedName,
    settings: Event | None,
    show: Callable[[Event], None],
) -> dict[str, Pcm]:
    """Talk with an agent; return what was played and heard, and the cleaned audio."""
    import asyncio

    from client.audio import load_mono
    from client.dialogue import talk_with_agent

    person = load_mono(near, 16_000)
    talking = talk_with_agent(
        service.url,
        person,
        agent,
        speed=speed,
        session=settings,
        on_event=show,
        ca=service.ca,
        token=service.token,
    )
    result = asyncio.run(talking)
    return {"mic": result.mic, "agent": result.agent, "vad": result.vad, "asr": result.asr}


def _printer(jsonl: bool) -> Callable[[Event], None]:
    if jsonl:
        import json

        return lambda event: print(json.dumps(event, ensure_ascii=False), flush=True)  # noqa: T201

    from rich.console import Console

    from client.show import Timeline

    console, timeline = Console(), Timeline()

    def show(event: Event) -> None:
        if (line := timeline.line(event)) is not None:
            console.print(line, soft_wrap=True)

    return show


def _prepare(trace: Path) -> None:
    """See that the picture can be drawn before the recording is played."""
    if trace.suffix.lower() != ".png":
        fail(f"--trace draws a PNG: {trace.name} should end in .png", code=2)
    need("matplotlib", "evaluate")
    _make(trace.parent)


def _collecting(tell: Callable[[Event], None]) -> tuple[list[Event], Callable[[Event], None]]:
    """Return a list, and what fills it with all events that it passes on."""
    events: list[Event] = []

    def take(event: Event) -> None:
        events.append(event)
        tell(event)

    return events, take


def _save(sounds: dict[str, Pcm], directory: Path) -> None:
    from client.audio import save

    for name, sound in sounds.items():
        save(directory / f"{name}.wav", sound, 16_000)


def _draw(events: list[Event], path: Path) -> None:
    from client.audio import AudioFileError
    from client.trace_plot import plot_trace

    try:
        plot_trace(events, path)
    except (OSError, ValueError) as error:
        raise AudioFileError(f"{path}: cannot be drawn ({error})") from error


def _make(directory: Path) -> None:
    """Make the directory before the recording is played, so that nothing is lost at its end."""
    from client.audio import AudioFileError

    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AudioFileError(f"{directory}: cannot be made ({error.strerror})") from error
