"""Turns on the sample clock: starts, pauses, stops and barge-ins out of frame decisions.

    IDLE -> STARTING -> SPEAKING <-> PAUSING -> IDLE

Sans-I/O: one hop in, decisions out. Every position is a sample index on the microphone clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from aec_core.types import HOP, SAMPLE_RATE
from server.barge_in import BargeIn
from server.decisions import Decision, Paused, Started, Stopped, Timing
from server.evidence import Eagerness, Ending, Wait, ending, semantic_wait
from server.floor import Floor

_MS = SAMPLE_RATE // 1000


def _check(threshold: float, prefix_padding_ms: int) -> None:
    if not 0 < threshold < 1:
        raise ValueError(f"threshold must be in (0, 1), got {threshold}")
    if not 0 <= prefix_padding_ms <= 2000:
        raise ValueError(f"prefix_padding_ms must be in [0, 2000], got {prefix_padding_ms}")


@dataclass(frozen=True, slots=True)
class SemanticVad:
    """End turns by what is said and how it sounds."""

    eagerness: Eagerness = "auto"
    threshold: float = 0.5
    prefix_padding_ms: int = 300

    def __post_init__(self) -> None:
        _check(self.threshold, self.prefix_padding_ms)


@dataclass(frozen=True, slots=True)
class ServerVad:
    """End turns by silence alone."""

    threshold: float = 0.5
    prefix_padding_ms: int = 300
    silence_duration_ms: int = 500

    def __post_init__(self) -> None:
        _check(self.threshold, self.prefix_padding_ms)
        if not 100 <= self.silence_duration_ms <= 10_000:
            raise ValueError(f"silence_duration_ms must be in [100, 10000], got {self.silence_duration_ms}")


TurnDetection = SemanticVad | ServerVad


class State(StrEnum):
    """Where in a turn the talker is."""

    IDLE = "idle"
    STARTING = "starting"
    SPEAKING = "speaking"
    PAUSING = "pausing"


class Endpointer:
    """The turns of one session.

    Attributes:
        detection: How turns end; may change at any time.
        state: Where in a turn the talker is.
    """

    def __init__(
        self,
        detection: TurnDetection | None = None,
        timing: Timing | None = None,
        start: int = 0,
        floor: Floor | None = None,
    ) -> None:
        """Begin to listen.

        Args:
            detection: How turns end.
            timing: All durations.
            start: No turn starts before this sample.
            floor: Judges what is said over the agent.
        """
        self.detection = detection or SemanticVad()
        self._timing = timing or Timing()
        self.state = State.IDLE
        self._now = start  # end of the newest hop
        self._onset = 0  # of the speech that may start, or started, the turn
        self._voice_end = 0  # end of the last speech
        self._voiced = 0  # speech while STARTING or since the pause
        self._stopped = start  # end of the last turn: the next one cannot start before
        self._turn_start = 0
        self._p_turn: float | None = None
        self._ending = Ending.NOTHING
        self._heard_until = 0
        self._barge_in = BargeIn(self._timing, floor or Floor())

    @property
    def in_turn(self) -> bool:
        """A turn has started and not stopped."""
        return self.state in (State.SPEAKING, State.PAUSING)

    @property
    def hearing(self) -> bool:
        """Somebody speaks, or seems to start."""
        return self.state in (State.STARTING, State.SPEAKING)

    @property
    def voice_end(self) -> int:
        """End of the last speech of the turn, samples."""
        return self._voice_end

    def process(self, start: int, speech: float, gate_open: bool, playing: bool) -> list[Decision]:
        """Take one hop.

        Args:
            start: Its first sample.
            speech: P(speech).
            gate_open: What is heard is more than echo.
            playing: The agent's voice is on the loudspeaker.
        """
        self._now = start + HOP
        going_on = self.state is State.SPEAKING
        threshold = self.detection.threshold - self._timing.hysteresis * going_on
        voiced = gate_open and speech >= max(threshold, 0.01)
        if voiced and self.state is not State.PAUSING:
            self._voice_end = self._now
        decisions = self._step(start, voiced, playing)
        if not self.in_turn:
            self._barge_in.turn_ended()
        speaking, silent = self.state is State.SPEAKING, self._now - self._voice_end
        return decisions + self._barge_in.process(self._now, voiced, playing, speaking, silent)

    def judge(self, pause_end: int, p_turn: float) -> None:
        """Take the turn model's answer about the pause after `pause_end`; an old one is ignored."""
        if self.state is State.PAUSING and pause_end == self._voice_end:
            self._p_turn = p_turn

    def heard(self, text: str, until: int, stable: bool = True) -> list[Decision]:
        """Take a partial transcript of the turn.

        Args:
            text: All of it.
            until: Sample up to which it was heard.
            stable: It will not be revised; how another one ends says nothing yet.
        """
        self._ending, self._heard_until = ending(text) if stable else Ending.NOTHING, until
        return self._barge_in.heard(text, until, self._now)

    def understood(self, text: str) -> list[Decision]:
        """Take the final transcript of a turn: without words, a duck was a mistake."""
        return [] if self.in_turn else self._barge_in.understood(text)

    def stop(self, reason: str) -> list[Decision]:
        """End the turn now, if there is one."""
        if not self.in_turn:
            self.state = State.IDLE
            return []
        silence = max(self._now - self._voice_end, 0)
        stopped = Stopped(self._now, silence, reason, self._p_turn)
        self.state = State.IDLE
        self._stopped = self._now
        return [stopped]

    def forget(self) -> list[Decision]:
        """Drop the turn as if it had not been; an agent that was ducked for it may go on."""
        self.state = State.IDLE
        self._stopped = self._now
        return self._barge_in.drop()

    def _step(self, start: int, voiced: bool, playing: bool) -> list[Decision]:
        if self.state is State.IDLE:
            if voiced:
                self.state, self._onset, self._voiced = State.STARTING, start, HOP
            return []
        if self.state is State.STARTING:
            return self._starting(voiced, playing)
        if self._now - self._turn_start >= self._timing.longest_turn * _MS:
            return self.stop("max_duration")
        if self.state is State.PAUSING:
            return self._pausing(voiced)
        if self._now - self._voice_end < self._timing.pause * _MS:
            return []
        self.state, self._voiced, self._p_turn = State.PAUSING, 0, None
        return [Paused(self._voice_end), *self._expire()]

    def _starting(self, voiced: bool, playing: bool) -> list[Decision]:
        self._voiced += HOP * voiced
        if self._now - self._voice_end > self._timing.gap * _MS:
            self.state = State.IDLE
            return []
        needed = self._timing.start_in_playback if playing else self._timing.start
        if self._voiced < needed * _MS:
            return []
        self.state = State.SPEAKING
        self._turn_start = max(self._onset - self.detection.prefix_padding_ms * _MS, self._stopped)
        self._ending, self._p_turn = Ending.NOTHING, None
        # The hop that completed the start is counted by the barge-in itself.
        self._barge_in.turn_started(self._voiced - HOP * voiced, playing)
        return [Started(self._turn_start, playing)]

    def _pausing(self, voiced: bool) -> list[Decision]:
        self._voiced = self._voiced + HOP if voiced else 0
        if self._voiced >= self._timing.resume * _MS:
            self.state, self._voice_end = State.SPEAKING, self._now
            return []
        return self._expire()

    def _expire(self) -> list[Decision]:
        wait = self._wait()
        return self.stop(wait.reason) if self._now - self._voice_end >= wait.ms * _MS else []

    def _wait(self) -> Wait:
        if isinstance(self.detection, ServerVad):
            return Wait(self.detection.silence_duration_ms, "silence")
        # Words from before the end of the speech say nothing about how it ended.
        fresh = self._heard_until >= self._voice_end
        return semantic_wait(
            self._p_turn, self._ending if fresh else Ending.NOTHING, self.detection.eagerness
        )
