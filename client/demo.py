"""The demo: the shipped recording through a real server, with the canceller and without."""

from __future__ import annotations

import asyncio
import contextlib
import textwrap
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table
from rich.text import Text

from client.duplex import Event
from client.local_server import LocalServer, local_server
from client.recording import Recording, Sentence, shipped
from client.show import TRANSCRIPTION, Timeline
from client.stream import stream_pair
from client.wer import word_error_rate

NEARLY = 0.35  # word error rate up to which a sentence counts as recognised
SHOWN = 180  # characters of a transcript in the table
SLACK_MS = 700.0  # a turn may start a little early and end late


@dataclass(frozen=True)
class Turn:
    """One finished item: its bounds in ms on the microphone's clock, and its text."""

    start_ms: float
    end_ms: float
    text: str


@dataclass(frozen=True)
class Heard:
    """What was heard of one sentence."""

    text: str
    error_rate: float


def turns(events: list[Event]) -> list[Turn]:
    """Put the events of a session together to turns, in the order of their start."""
    starts: dict[str, float] = {}
    ends: dict[str, float] = {}
    texts: dict[str, str] = {}
    for event in events:
        if event["type"] == "input_audio_buffer.speech_started":
            starts[event["item_id"]] = event["audio_start_ms"]
        elif event["type"] == "input_audio_buffer.speech_stopped":
            ends[event["item_id"]] = event["audio_end_ms"]
        elif event["type"] == TRANSCRIPTION + "completed":
            texts[event["item_id"]] = event["transcript"].strip()
    found = [Turn(start, ends.get(item, start), texts.get(item, "")) for item, start in starts.items()]
    return sorted(found, key=lambda turn: turn.start_ms)


def match(sentence: Sentence, found: list[Turn]) -> Heard:
    """Join the turns that overlap a sentence and compare."""
    text = " ".join(turn.text for turn in found if turn.text and _overlaps(sentence, turn))
    return Heard(text, word_error_rate(sentence.text, text))


def strangers(sentences: tuple[Sentence, ...], found: list[Turn]) -> list[Turn]:
    """Return the turns in which the person said nothing: the agent's voice taken for theirs."""
    return [turn for turn in found if not any(_overlaps(sentence, turn) for sentence in sentences)]


def run_demo(console: Console, *, once: bool) -> bool:
    """Run the demo; True if every sentence was recognised nearly word for word with the canceller on.

    Raises:
        ServerFailedError: If the server does not start.
        DuplexError: If a session fails.
        AudioFileError: If the recording is missing.
    """
    recording = shipped()
    with contextlib.ExitStack() as stack:
        with console.status("starting the service"):
            server = stack.enter_context(local_server("--host", "127.0.0.1", "--asr", "whisper"))
        good = _play(console, server, recording)
        if not once:
            _keep_open(console, server)
    return good


def _play(console: Console, server: LocalServer, recording: Recording) -> bool:
    console.print(
        f"Playing {len(recording.mic) / 16_000:.0f} s of a person talking over an agent, in real time:"
    )
    timeline = Timeline()

    def show(event: Event) -> None:
        if (line := timeline.line(event)) is not None:
            console.print(line, soft_wrap=True)

    clean = asyncio.run(stream_pair(server.url, recording.mic, recording.ref, on_event=show))
    with console.status("once more with the canceller off, as fast as the server takes it"):
        off: Event = {"aec": {"enabled": False}}
        raw = asyncio.run(stream_pair(server.url, recording.mic, recording.ref, speed="max", session=off))
    with_aec, without = turns(clean.events), turns(raw.events)
    console.print(compare(recording.sentences, with_aec, without))
    return all(match(sentence, with_aec).error_rate <= NEARLY for sentence in recording.sentences)


def compare(sentences: tuple[Sentence, ...], with_aec: list[Turn], without: list[Turn]) -> Table:
    """Set what was said beside what the same recogniser heard with and without the canceller."""
    table = Table(title="What the recogniser understood", show_lines=True)
    for title in ("the person said", "heard with echo cancellation", "heard without"):
        table.add_column(title, ratio=1)
    for sentence in sentences:
        heard = (_cell(match(sentence, found)) for found in (with_aec, without))
        table.add_row(f"“{sentence.text}”", *heard)
    others = [strangers(sentences, found) for found in (with_aec, without)]
    if any(others):
        table.add_row(
            Text("(nothing)", "dim"), *(Text("\n".join(turn.text for turn in found)) for found in others)
        )
    return table


def _cell(heard: Heard) -> Text:
    colour = "green" if heard.error_rate <= NEARLY else "red"
    text = f"“{textwrap.shorten(heard.text, SHOWN, placeholder=' …')}”" if heard.text else "(nothing)"
    rate = "over 100%" if heard.error_rate > 1 else f"{heard.error_rate:.0%}"
    return Text.assemble((text, colour), (f"\nword error rate {rate}", "dim"))


def _overlaps(sentence: Sentence, turn: Turn) -> bool:
    return turn.start_ms < sentence.end_ms + SLACK_MS and turn.end_ms > sentence.start_ms - SLACK_MS


def _keep_open(console: Console, server: LocalServer) -> None:
    console.print(f"\nTalk to it yourself: [bold]{server.page}[/]  (Ctrl-C ends)")
    try:
        asyncio.run(asyncio.Event().wait())
    except KeyboardInterrupt:
        console.print("stopped")
