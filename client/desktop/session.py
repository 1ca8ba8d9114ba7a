"""`duplex loopback` from its options to its summary."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from rich.console import Console
from rich.live import Live

from client.desktop.agent import Agent, Player, load_clip
from client.desktop.devices import Setup, choose
from client.desktop.link import Link, OnCleaned
from client.desktop.monitor import Monitor
from client.desktop.recorder import Recorder
from client.desktop.run import Loopback, OnEvent
from client.desktop.service_agent import AGENTS, ServiceAgent
from client.desktop.stream import AudioStream
from client.desktop.view import View
from client.duplex import Event
from client.show import Timeline

_REDRAW_S = 0.125
_STATS_HZ = 10

MakeLink = Callable[[Event, OnCleaned | None], Link]
"""Makes the session from settings for `session.update` and who takes the cleaned audio."""


@dataclass(frozen=True)
class Options:
    """What the user chose; see `duplex loopback --help`."""

    microphone: str | None = None
    loudspeaker: str | None = None
    channel: int = 1
    rate: int | None = None
    latency_ms: float | None = None
    agent: str = "clip"
    ref_device: str | None = None
    record: Path | None = None
    seconds: float | None = None
    jsonl: bool = False


def run_session(options: Options, make_link: MakeLink, service: str) -> None:
    """Run until Ctrl-C, or for as long as the options say.

    Args:
        options: What the user chose.
        make_link: Makes the session.
        service: Names the service, for people.

    Raises:
        DeviceError: If a device is missing or lost.
        AudioFileError: If the agent's clip or the recording's directory cannot be used.
        DuplexError: If the session cannot start or is lost.
    """
    setup = choose(options.microphone, options.loudspeaker, options.rate, options.channel)
    clip = None if options.agent in AGENTS else load_clip(options.agent, setup.rate)
    console = Console(stderr=options.jsonl)
    with ExitStack() as stack:
        recorder = stack.enter_context(Recorder(options.record)) if options.record else None
        duplex: Event = {"stats_hz": _STATS_HZ, "agent": "none" if clip is not None else options.agent}
        link = make_link({"duplex": duplex}, recorder.add_cleaned if recorder else None)
        player = ServiceAgent(link.agent, setup.rate) if clip is None else Agent(clip, setup.rate)
        asyncio.run(_run(options, setup, player, link, recorder, console, service))


async def _run(
    options: Options,
    setup: Setup,
    player: Player,
    link: Link,
    recorder: Recorder | None,
    console: Console,
    service: str,
) -> None:
    stop = asyncio.Event()
    with _stops_on_ctrl_c(stop), console.status(f"connecting to {service}") as status:
        async with link:
            status.stop()
            with AudioStream(setup, options.latency_ms) as stream, _monitor(options) as monitor:
                title = f"{setup.microphone.name} → {setup.loudspeaker.name}, {setup.rate} Hz, {service}"
                async with _shown(options, title, stream, console) as show:
                    loop = Loopback(stream, link, player, [show], recorder, monitor)
                    await loop.run(stop, options.seconds)
            _summarise(console, loop, stream, recorder)


def _monitor(options: Options) -> AbstractContextManager[Monitor | None]:
    return Monitor(options.ref_device) if options.ref_device else nullcontext()


@contextmanager
def _stops_on_ctrl_c(stop: asyncio.Event) -> Generator[None]:
    """Let the first Ctrl-C (or SIGTERM) end the session in order, and the second at once."""
    loop = asyncio.get_running_loop()

    def ask(_number: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        loop.call_soon_threadsafe(stop.set)

    before = [(number, signal.signal(number, ask)) for number in (signal.SIGINT, signal.SIGTERM)]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)


@asynccontextmanager
async def _shown(
    options: Options, title: str, stream: AudioStream, console: Console
) -> AsyncGenerator[OnEvent]:
    """Show events as the terminal allows: JSON lines, a live view, or one line each."""
    if options.jsonl:
        yield lambda event: print(json.dumps(event, ensure_ascii=False), flush=True)  # noqa: T201
        return
    console.print(f"{title}, {stream.latency_ms:.0f} ms of buffers. Ctrl-C ends.")
    if not console.is_terminal:
        yield _Lines(console)
        return
    view = View(title, stream)
    with Live(view, console=console, auto_refresh=False) as live:
        drawing = asyncio.create_task(_redraw(live))
        try:
            yield view.event
        finally:
            drawing.cancel()
            live.refresh()


async def _redraw(live: Live) -> None:
    while True:
        await asyncio.sleep(_REDRAW_S)
        live.refresh()


class _Lines:
    """Events as lines, for a log or a pipe."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._timeline = Timeline()

    def __call__(self, event: Event) -> None:
        if (line := self._timeline.line(event)) is not None:
            self._console.print(line, soft_wrap=True)


def _summarise(console: Console, loop: Loopback, stream: AudioStream, recorder: Recorder | None) -> None:
    counters = stream.counters
    facts = ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in counters.as_dict().items())
    console.print(f"{loop.seconds:.2f} s; {facts}", soft_wrap=True)
    if recorder is not None:
        console.print(f"recorded in {recorder.folder}", soft_wrap=True)
