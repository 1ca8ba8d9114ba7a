"""`duplex stream`: a client for integration tests, and for trying a server with recordings."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from client.commands.terminal import fail, warn

if TYPE_CHECKING:
    from collections.abc import Callable

    from client.duplex import Event


class Speed(StrEnum):
    realtime = "realtime"
    max = "max"


def stream(
    mic: Annotated[Path, typer.Argument(metavar="MIC", help="What the microphone recorded.")],
    ref: Annotated[Path, typer.Argument(metavar="REF", help="What the loudspeaker played at the same time.")],
    url: Annotated[str, typer.Option(help="Where the service listens.")] = "ws://127.0.0.1:8080/v1/realtime",
    speed: Annotated[Speed, typer.Option(help="'max': as fast as the server answers.")] = Speed.realtime,
    jsonl: Annotated[
        bool, typer.Option("--jsonl", help="One JSON event a line, nothing else on stdout.")
    ] = False,
    save_dir: Annotated[Path | None, typer.Option(help="Write vad.wav and asr.wav there.")] = None,
    no_aec: Annotated[bool, typer.Option("--no-aec", help="Ask the server to leave the echo in.")] = False,
) -> None:
    """Play a pair of files into a running server and print what it hears.

    Any sample rate and any number of channels. Ends when every turn has its transcript.

    Exits with 1 if the server cannot be reached, refuses, or leaves a turn unanswered.
    """
    import asyncio

    from client.audio import AudioFileError, load_pair, save
    from client.duplex import DuplexError
    from client.stream import stream_pair

    try:
        mic_audio, ref_audio, warning = load_pair(mic, ref, 16_000)
        if warning:
            warn(warning)
        if save_dir is not None:
            _make(save_dir)
        settings = {"aec": {"enabled": False}} if no_aec else None
        playing = stream_pair(
            url, mic_audio, ref_audio, speed=speed.value, session=settings, on_event=_printer(jsonl)
        )
        result = asyncio.run(playing)
        if save_dir is not None:
            save(save_dir / "vad.wav", result.vad, 16_000)
            save(save_dir / "asr.wav", result.asr, 16_000)
    except (AudioFileError, DuplexError) as error:
        fail(str(error))
    except KeyboardInterrupt:
        fail("stopped", code=130)


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


def _make(directory: Path) -> None:
    """Make the directory before the recording is played, so that nothing is lost at its end."""
    from client.audio import AudioFileError

    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AudioFileError(f"{directory}: cannot be made ({error.strerror})") from error
