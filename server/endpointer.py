"""Turns on the sample clock: starts, pauses, stops and barge-ins out of frame decisions.

    IDLE -> STARTING -> SPEAKING <-> PAUSING -> IDLE

Sans-I/O: one hop in, decisions out. Every position is a sample index on the microphone clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import Literal

from aec_core.types import HOP, SAMPLE_RATE
from server.evidence import Eagerness, Ending, Wait, ending, semantic_wait, takes_the_floor

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


@dataclass(frozen=True, slots=True)
class Timing:
    """Durations in ms; measured in `docs/algorithm.md`."""

    start: int = 120  # speech that starts a turn while nothing plays
    start_in_playback: int = 160
    gap: int = 60  # what may be missing from it
    pause: int = 100  # silence after which the turn model is asked
    resume: int = 40  # speech that ends a pause
    duck: int = 200  # speech during playback: lower the agent's voice
    commit: int = 400  # … and stop it
    regret: int = 1200  # silence after a duck: it was nothing
    hysteresis: float = 0.15  # speech goes on at this much less than the threshold
    longest_turn: int = 28_000  # what a recogniser of 30 s windows can hold


@dataclass(frozen=True, slots=True)
class Started:
    """A turn began; `start` includes the prefix padding."""

    start: int
    during_playback: bool


@dataclass(frozen=True, slots=True)
class Paused:
    """The talker fell silent after `end`: time to ask whether the turn is over."""

    end: int


@dataclass(frozen=True, slots=True)
class Stopped:
    """The turn is over; `end` includes the `silence` samples that it took to be sure."""

    end: int
    silence: int
    reason: str
    p_turn: float | None


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The talker wants the floor: `duck` the agent's voice, then `commit` to stopping it."""

    stage: Literal["duck", "commit"]
    audio: int  # gated speech so far, samples


@dataclass(frozen=True, slots=True)
class Regretted:
    """What ducked the agent was no interruption: it may go on."""

    audio: int


Decision = Started | Paused | Stopped | Interrupted | Regretted


class _State(Enum):
    IDLE = auto()
    STARTING = auto()
    SPEAKING = auto()
    PAUSING = auto()


@dataclass(slots=True)
class _BargeIn:
    voiced: int  # gated speech, samples
    ducked: bool = False
    committed: bool = False


class Endpointer:
    """The turns of one session."""

    def __init__(
        self, detection: TurnDetection | None = None, timing: Timing | None = None, start: int = 0
    ) -> None:
        """Begin at sample `start`: no turn starts before it."""
        self.detection = detection or SemanticVad()
        self._timing = timing or Timing()
        self._state = _State.IDLE
        self._now = start  # end of the newest hop
        self._onset = 0  # of the speech that may start, or started, the turn
        self._voice_end = 0  # end of the last speech
        self._voiced = 0  # speech while STARTING or since the pause
        self._stopped = start  # end of the last turn: the next one cannot start before
        self._turn_start = 0
        self._p_turn: float | None = None
        self._ending = Ending.NOTHING
        self._heard_until = 0
        self._has_words = False  # the turn's words want the floor
        self._barge_in: _BargeIn | None = None

    @property
    def in_turn(self) -> bool:
        """A turn has started and not stopped."""
        return self._state in (_State.SPEAKING, _State.PAUSING)

    @property
    def hearing(self) -> bool:
        """Somebody speaks, or seems to start."""
        return self._state in (_State.STARTING, _State.SPEAKING)

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
        going_on = self._state is _State.SPEAKING
        threshold = self.detection.threshold - self._timing.hysteresis * going_on
        voiced = gate_open and speech >= max(threshold, 0.01)
        if voiced and self._state is not _State.PAUSING:
            self._voice_end = self._now
        decisions = self._step(start, voiced, playing)
        return decisions + self._interrupt(voiced, playing)

    def judge(self, pause_end: int, p_turn: float) -> None:
        """Take the turn model's answer about the pause after `pause_end`; an old one is ignored."""
        if self._state is _State.PAUSING and pause_end == self._voice_end:
            self._p_turn = p_turn

    def heard(self, text: str, until: int) -> list[Decision]:
        """Take a partial transcript of the turn, made from audio up to sample `until`."""
        self._ending, self._heard_until = ending(text), until
        self._has_words = takes_the_floor(text)
        barge_in = self._barge_in
        if barge_in and barge_in.ducked and not barge_in.committed and self._has_words:
            barge_in.committed = True
            return [Interrupted("commit", barge_in.voiced)]
        return []

    def understood(self, text: str) -> list[Decision]:
        """Take the final transcript of a turn: without words, a duck was a mistake."""
        if self.in_turn or self._barge_in is None or self._barge_in.committed:
            return []
        if not takes_the_floor(text):
            return self._regret()
        voiced, self._barge_in = self._barge_in.voiced, None
        return [Interrupted("commit", voiced)]

    def stop(self, reason: str) -> list[Decision]:
        """End the turn now, if there is one."""
        if not self.in_turn:
            self._state = _State.IDLE
            return []
        silence = max(self._now - self._voice_end, 0)
        stopped = Stopped(self._now, silence, reason, self._p_turn)
        self._state = _State.IDLE
        self._stopped = self._now
        return [stopped]

    def forget(self) -> list[Decision]:
        """Drop the turn as if it had not been; an agent that was ducked for it may go on."""
        self._state = _State.IDLE
        self._stopped = self._now
        barge_in, self._barge_in = self._barge_in, None
        return [Regretted(barge_in.voiced)] if barge_in and barge_in.ducked and not barge_in.committed else []

    def _step(self, start: int, voiced: bool, playing: bool) -> list[Decision]:
        if self._state is _State.IDLE:
            if voiced:
                self._state, self._onset, self._voiced = _State.STARTING, start, HOP
            return []
        if self._state is _State.STARTING:
            return self._starting(voiced, playing)
        if self._now - self._turn_start >= self._timing.longest_turn * _MS:
            return self.stop("max_duration")
        if self._state is _State.PAUSING:
            return self._pausing(voiced)
        if self._now - self._voice_end < self._timing.pause * _MS:
            return []
        self._state, self._voiced, self._p_turn = _State.PAUSING, 0, None
        return [Paused(self._voice_end), *self._expire()]

    def _starting(self, voiced: bool, playing: bool) -> list[Decision]:
        self._voiced += HOP * voiced
        if self._now - self._voice_end > self._timing.gap * _MS:
            self._state = _State.IDLE
            return []
        needed = self._timing.start_in_playback if playing else self._timing.start
        if self._voiced < needed * _MS:
            return []
        self._state = _State.SPEAKING
        self._turn_start = max(self._onset - self.detection.prefix_padding_ms * _MS, self._stopped)
        self._ending, self._p_turn, self._has_words = Ending.NOTHING, None, False
        if playing:
            # The hop that completed the start is counted by `_interrupt`.
            self._barge_in = _BargeIn(self._voiced - HOP * voiced)
        return [Started(self._turn_start, playing)]

    def _pausing(self, voiced: bool) -> list[Decision]:
        self._voiced = self._voiced + HOP if voiced else 0
        if self._voiced >= self._timing.resume * _MS:
            self._state, self._voice_end = _State.SPEAKING, self._now
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

    def _interrupt(self, voiced: bool, playing: bool) -> list[Decision]:
        if self._barge_in is None:
            if not (voiced and playing and self._state is _State.SPEAKING):
                return []
            self._barge_in = _BargeIn(0)  # the agent began to speak over the talker
        barge_in, timing = self._barge_in, self._timing
        barge_in.voiced += HOP * voiced
        if barge_in.committed:
            self._barge_in = barge_in if self.in_turn else None
            return []
        if not barge_in.ducked and barge_in.voiced >= timing.duck * _MS:
            barge_in.ducked = True
            return [Interrupted("duck", barge_in.voiced)]
        if barge_in.ducked and (self._has_words or barge_in.voiced >= timing.commit * _MS):
            barge_in.committed = True
            return [Interrupted("commit", barge_in.voiced)]
        silent = self._now - self._voice_end >= timing.regret * _MS
        return self._regret() if silent else []

    def _regret(self) -> list[Decision]:
        barge_in, self._barge_in = self._barge_in, None
        return [Regretted(barge_in.voiced)] if barge_in and barge_in.ducked else []
