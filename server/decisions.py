"""What the endpointer decides, and the durations that it decides by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Timing:
    """Durations in ms; why they are what they are: `docs/turn-taking.md`."""

    start: int = 120  # speech that starts a turn while nothing plays
    start_in_playback: int = 160
    gap: int = 60  # what may be missing from it
    pause: int = 100  # silence after which the turn model is asked
    resume: int = 40  # speech that ends a pause
    duck: int = 200  # speech during playback: lower the agent's voice
    commit: int = 400  # … and stop it
    commit_cold: int = 800  # the same in the first `warm_up` of playback
    warm_up: int = 1000  # after a `rest` of the loudspeaker: what is heard may still be echo
    rest: int = 1000
    regret: int = 1200  # silence after a duck: it was nothing
    regret_agreed: int = 500  # the same where only assent was recognised
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
    """The talker wants the floor: `duck` the agent's voice, then `commit` to stopping it.

    `reason` is `speech`, which lasted long enough, or `words`, which were recognised.
    """

    stage: Literal["duck", "commit"]
    audio: int  # gated speech so far, samples
    reason: Literal["speech", "words"] = "speech"


@dataclass(frozen=True, slots=True)
class Regretted:
    """What ducked the agent was no interruption: it may go on.

    `reason` is `silence`, `no_words`, `backchannel` (or the agent's own words) or `cleared`.
    """

    audio: int
    reason: Literal["silence", "no_words", "backchannel", "cleared"] = "silence"


Decision = Started | Paused | Stopped | Interrupted | Regretted
