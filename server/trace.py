"""The debug trace: what the listener saw and decided, hop by hop, as `duplex.trace` events."""

from __future__ import annotations

from typing import Any, Literal, assert_never

from aec_core.types import HOP, SAMPLE_RATE
from server.decisions import Decision, Interrupted, Paused, Regretted, Started, Stopped
from server.gate import GateReading
from server.server_event import FromServer
from server.session_config import Part

HOPS = 10  # an event
_MS = SAMPLE_RATE // 1000

DecisionName = Literal["started", "paused", "judged", "stopped", "duck", "commit", "false_interruption"]
HeardState = Literal["idle", "starting", "speaking", "pausing", "recording"]


class TraceDecision(Part):
    """One decision; `at_ms` is when it was made, `about_ms` the place in the audio that it is about."""

    at_ms: float
    decision: DecisionName
    about_ms: float | None = None
    reason: str | None = None
    p_turn: float | None = None


class Trace(FromServer):
    """Hops of `hop_ms` from `start_ms` on, one value of each list for each hop.

    Attributes:
        speech: P(speech) as it was weighed.
        near_dbfs: Level of the cleaned signal.
        echo_dbfs: Level of the echo that it was expected to hold still.
        gate: There was more than echo.
        playing: The agent was believed to speak.
        state: Of the endpointer; `recording` without turn detection.
    """

    type: Literal["duplex.trace"] = "duplex.trace"
    start_ms: float
    hop_ms: float = 1000 * HOP / SAMPLE_RATE
    speech: tuple[float, ...] = ()
    near_dbfs: tuple[float, ...] = ()
    echo_dbfs: tuple[float, ...] = ()
    gate: tuple[bool, ...] = ()
    playing: tuple[bool, ...] = ()
    state: tuple[HeardState, ...] = ()
    decisions: tuple[TraceDecision, ...] = ()


class Tracer:
    """Gathers a fifth of a second at a time."""

    def __init__(self) -> None:
        self._hops: list[dict[str, Any]] = []
        self._decisions: list[TraceDecision] = []
        self._start = 0

    def decided(self, now: int, decision: Decision) -> None:
        """Take a decision that was made when audio up to sample `now` had been heard."""
        self._decisions.append(TraceDecision(at_ms=now / _MS, **_told(decision)))

    def judged(self, now: int, pause_end: int, p_turn: float) -> None:
        """Take the turn model's answer about the pause that began at sample `pause_end`."""
        judgement = TraceDecision(
            at_ms=now / _MS, decision="judged", about_ms=pause_end / _MS, p_turn=round(p_turn, 3)
        )
        self._decisions.append(judgement)

    def process(
        self, start: int, speech: float, reading: GateReading, playing: bool, state: HeardState
    ) -> Trace | None:
        """Take one hop that begins at sample `start`; return an event every tenth time."""
        if start != self._start + len(self._hops) * HOP:
            self._hops = []  # a gap that was left out
        if not self._hops:
            self._start = start
        self._hops.append(
            {
                "speech": round(min(speech, 1.0), 3),
                "near_dbfs": round(reading.near_dbfs, 1),
                "echo_dbfs": round(reading.residual_dbfs, 1),
                "gate": reading.open,
                "playing": playing,
                "state": state,
            }
        )
        if len(self._hops) < HOPS:
            return None
        columns: dict[str, Any] = {name: tuple(hop[name] for hop in self._hops) for name in self._hops[0]}
        trace = Trace(start_ms=self._start / _MS, decisions=tuple(self._decisions), **columns)
        self._hops, self._decisions = [], []
        return trace


def _told(decision: Decision) -> dict[str, Any]:
    match decision:
        case Started():
            reason = "during_playback" if decision.during_playback else "speech"
            return {"decision": "started", "about_ms": decision.start / _MS, "reason": reason}
        case Paused():
            return {"decision": "paused", "about_ms": decision.end / _MS}
        case Stopped():
            place = {"about_ms": (decision.end - decision.silence) / _MS, "p_turn": decision.p_turn}
            return {"decision": "stopped", "reason": decision.reason, **place}
        case Interrupted():
            return {"decision": decision.stage, "reason": decision.reason}
        case Regretted():
            return {"decision": "false_interruption", "reason": decision.reason}
        case _:
            assert_never(decision)
