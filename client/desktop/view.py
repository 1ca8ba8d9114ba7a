"""The session in a terminal: levels, the canceller, captions, and what happened last."""

from __future__ import annotations

from collections import deque

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from client.desktop.stream import AudioStream
from client.duplex import Event
from client.show import TRANSCRIPTION, Timeline

_FLOOR_DBFS = -70.0
_BAR = 40  # characters
_LAST = 10  # lines of what happened
_LEVELS = (("microphone", "mic_dbfs"), ("reference", "ref_dbfs"), ("cleaned", "out_dbfs"))


class View:
    """Remembers what the events said, and draws it.

    Args:
        title: Names the devices and the service.
        stream: Its counters are shown.
    """

    def __init__(self, title: str, stream: AudioStream) -> None:
        self._title = title
        self._stream = stream
        self._stats: Event = {}
        self._timeline = Timeline()
        self._lines: deque[Text] = deque(maxlen=_LAST)
        self._caption = ""
        self._speaking = False
        self.seconds = 0.0

    def event(self, event: Event) -> None:
        """Take an event of the session."""
        kind = event["type"]
        if kind == "duplex.aec.stats":
            self._stats = event
            self.seconds = event["at_ms"] / 1000
            return
        if kind == "input_audio_buffer.speech_started":
            self._speaking, self._caption = True, ""
        elif kind == "input_audio_buffer.speech_stopped":
            self._speaking = False
        elif kind == TRANSCRIPTION + "delta":
            self._caption = event.get("text") or self._caption + event.get("delta", "")
            return
        elif kind == TRANSCRIPTION + "completed":
            self._caption = event["transcript"].strip()
        if (line := self._timeline.line(event)) is not None:
            self._lines.append(line)

    def __rich__(self) -> RenderableType:
        happened = Text("\n").join(self._lines)
        return Panel(Group(self._levels(), self._facts(), self._speech(), happened), title=self._title)

    def _levels(self) -> Table:
        table = Table.grid(padding=(0, 1))
        for name, key in _LEVELS:
            table.add_row(Text(name, "dim"), level_bar(self._stats.get(key)), _db(self._stats.get(key)))
        return table

    def _facts(self) -> Text:
        stats, counters = self._stats, self._stream.counters
        delay = stats.get("delay_ms")
        parts = [
            f"{self.seconds:6.1f} s",
            "delay –" if delay is None else f"delay {delay:.0f} ms",
            f"ERLE {stats.get('erle_db') or 0:.0f} dB",
            f"xruns {counters.xruns}",
            f"late {1000 * counters.late_samples // self._stream.rate} ms",
            f"dropped {1000 * counters.dropped_samples // self._stream.rate} ms",
        ]
        line = Text("   ".join(parts), "bold red" if counters.dropped_samples else "bold")
        if stats.get("double_talk"):
            line.append("   double talk", "magenta")
        return line

    def _speech(self) -> Text:
        dot = ("● ", "bold green") if self._speaking else ("○ ", "dim")
        return Text.assemble("\n", dot, (self._caption or "…", "bold yellow"), "\n")


def level_bar(dbfs: float | None) -> Text:
    """Draw a level between −70 and 0 dBFS; red where it is about to clip."""
    level = _FLOOR_DBFS if dbfs is None else min(max(dbfs, _FLOOR_DBFS), 0.0)
    filled = round(_BAR * (1 - level / _FLOOR_DBFS))
    colour = "red" if level > -3 else "yellow" if level > -12 else "green"
    return Text.assemble(("█" * filled, colour), ("─" * (_BAR - filled), "dim"))


def _db(dbfs: float | None) -> Text:
    return Text("" if dbfs is None else f"{dbfs:6.1f} dBFS")
