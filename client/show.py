"""Events as lines that a person reads: when, what, and the facts that matter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rich.text import Text

Event = dict[str, Any]

LAST_WORDS = 6
TRANSCRIPTION = "conversation.item.input_audio_transcription."


class Timeline:
    """Turns events into lines; remembers the text of each item, as partial results come in pieces."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}
        self._reference_state: str | None = None
        self._makers: dict[str, Callable[[Event], Text | None]] = {
            "session.created": self._created,
            "input_audio_buffer.speech_started": self._started,
            "input_audio_buffer.speech_stopped": self._stopped,
            "duplex.barge_in": self._barge_in,
            "duplex.false_interruption": self._false_interruption,
            "duplex.reference": self._reference,
            "duplex.gap": self._gap,
            "duplex.draining": self._draining,
            TRANSCRIPTION + "delta": self._delta,
            TRANSCRIPTION + "completed": self._completed,
            TRANSCRIPTION + "failed": self._failed,
            "response.output_audio_transcript.delta": self._says,
            "conversation.item.truncated": self._truncated,
            "error": self._error,
            "connection.lost": self._lost,
            "session.updated": self._updated,
            "session.replaced": self._replaced,
        }

    def line(self, event: Event) -> Text | None:
        """Return the line for an event, or None where there is nothing to tell."""
        maker = self._makers.get(event["type"])
        return maker(event) if maker else None

    def _created(self, event: Event) -> Text:
        backends = event["session"].get("backends") or {}
        live = ", ".join(f"{role} {name}" for role, name in sorted(backends.items()) if name)
        return _line(None, "session", "dim", live)

    def _started(self, event: Event) -> Text:
        during = (event.get("duplex") or {}).get("during_playback")
        return _line(
            event["audio_start_ms"], "speech started", "bold green", "while the agent talks" if during else ""
        )

    def _stopped(self, event: Event) -> Text:
        duplex = event.get("duplex") or {}
        facts = [str(duplex.get("reason") or "")]
        if duplex.get("silence_ms") is not None:
            facts.append(f"after {duplex['silence_ms']:.0f} ms of silence")
        if duplex.get("p_turn") is not None:
            facts.append(f"P(turn over) {duplex['p_turn']:.2f}")
        return _line(event["audio_end_ms"], "speech stopped", "green", ", ".join(filter(None, facts)))

    def _barge_in(self, event: Event) -> Text:
        meaning = {"duck": "the agent should lower its voice", "commit": "the agent should stop"}
        facts = f"{meaning.get(event['stage'], '')}, after {event['audio_ms']:.0f} ms of speech"
        return _line(None, f"barge-in {event['stage']}", "bold magenta", facts)

    def _false_interruption(self, _event: Event) -> Text:
        return _line(None, "false interruption", "magenta", "the agent may go on")

    def _reference(self, event: Event) -> Text | None:
        if event["state"] == self._reference_state:
            return None  # only its drift is news
        self._reference_state = event["state"]
        facts = " ".join(filter(None, (event["state"], event.get("message"))))
        return _line(event.get("at_ms"), "reference", "cyan", facts)

    def _gap(self, event: Event) -> Text:
        amounts = {key.removesuffix("_ms"): event.get(key) for key in ("lost_ms", "filled_ms", "dropped_ms")}
        facts = ", ".join(f"{ms:.0f} ms {what}" for what, ms in amounts.items() if ms)
        return _line(event.get("at_ms"), f"gap: {event.get('reason')}", "yellow", facts)

    def _draining(self, event: Event) -> Text:
        return _line(None, "draining", "yellow", f"the server stops in {event['deadline_ms']} ms")

    def _delta(self, event: Event) -> Text:
        text = event.get("text") or self._texts.get(event["item_id"], "") + event.get("delta", "")
        self._texts[event["item_id"]] = text
        return _line(event.get("end_ms"), "hearing", "dim", f"{text} …")

    def _completed(self, event: Event) -> Text:
        return _line(None, "transcript", "bold yellow", f"“{event['transcript'].strip()}”")

    def _failed(self, event: Event) -> Text:
        return _line(None, "no transcript", "red", str((event.get("error") or {}).get("message", "")))

    def _says(self, event: Event) -> Text:
        return _line(None, "agent", "blue", event["delta"].strip())

    def _truncated(self, event: Event) -> Text:
        heard = (event.get("duplex") or {}).get("transcript", "")
        facts = f"after {event['audio_end_ms'] / 1000:.2f} s of it; the last words heard: “{_end(heard)}”"
        return _line(None, "agent stopped", "blue", facts)

    def _lost(self, event: Event) -> Text:
        return _line(None, "connection lost", "yellow", f"{event['message']}; trying again")

    def _updated(self, event: Event) -> Text | None:
        if not event["session"].get("resumed"):
            return None
        return _line(None, "session resumed", "yellow", "what was sent meanwhile follows")

    def _replaced(self, event: Event) -> Text:
        self._texts.clear()
        facts = f"a new one goes on; {event['lost_ms']:.0f} ms of audio are lost ({event['message']})"
        return _line(event["start_ms"], "session replaced", "bold yellow", facts)

    def _error(self, event: Event) -> Text:
        error = event["error"]
        warning = error.get("type") == "warning"
        style = "yellow" if warning else "bold red"
        return _line(None, "warning" if warning else "error", style, str(error.get("message", "")))


def _line(ms: float | None, what: str, style: str, facts: str) -> Text:
    when = "        " if ms is None else f"{ms / 1000:7.2f}s"
    return Text.assemble((when, "dim"), "  ", (f"{what:<18}", style), "  ", facts)


def _end(text: str) -> str:
    """Return the last few words."""
    words = text.split()
    return " ".join([*(["…"] if len(words) > LAST_WORDS else []), *words[-LAST_WORDS:]])
