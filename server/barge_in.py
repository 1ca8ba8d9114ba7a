"""May the talker interrupt the agent? First duck its voice, then stop it, or let it go on.

Counts gated speech, and weighs the words as soon as a recogniser has some. Sans-I/O.
"""

from __future__ import annotations

from dataclasses import dataclass

from aec_core.types import HOP, SAMPLE_RATE
from server.decisions import Decision, Interrupted, Regretted, Timing
from server.floor import Claim, Floor

_MS = SAMPLE_RATE // 1000


@dataclass(slots=True)
class _Attempt:
    voiced: int  # gated speech, samples
    counted: int  # of it, what no harmless words explain
    ducked: bool = False
    committed: bool = False
    regretted: bool = False
    over: bool = False  # its turn has ended: what is said now belongs to no turn, or to the next


class BargeIn:
    """The attempts of one session to take the floor, one at a time."""

    def __init__(self, timing: Timing, floor: Floor) -> None:
        self._timing = timing
        self._floor = floor
        self._attempt: _Attempt | None = None
        self._claim = Claim.NOTHING  # of the turn's words so far
        self._played_at: int | None = None  # end of the last hop with playback
        self._playing_since = 0

    def turn_started(self, voiced: int, playing: bool) -> None:
        """A turn started with so much speech, over the agent or not."""
        self._claim = Claim.NOTHING
        if playing:
            self._begin(voiced)
        elif self._attempt is not None:
            self._attempt.over = False
            if self._attempt.regretted:
                self._attempt = None

    def turn_ended(self) -> None:
        """Nothing more comes of an attempt that succeeded; of another only its words or silence do."""
        if self._attempt is not None:
            self._attempt.over = True
            if self._attempt.committed:
                self._attempt = None

    def process(self, now: int, voiced: bool, playing: bool, speaking: bool, silent: int) -> list[Decision]:
        """Take one hop.

        Args:
            now: End of the hop.
            voiced: It holds gated speech.
            playing: The agent's voice is on the loudspeaker.
            speaking: A turn is open, and the talker is not pausing.
            silent: Samples since the last speech.
        """
        self._watch(now, playing)
        if self._attempt is None or self._attempt.regretted:
            if not (voiced and playing and speaking):
                return []
            self._begin(0)  # the agent began to speak over the talker
        return self._weigh(now, voiced, silent)

    def heard(self, text: str, until: int, now: int) -> list[Decision]:
        """Take a partial transcript of the turn, made from audio up to sample `until`."""
        self._claim = self._floor.claim(text)
        attempt = self._attempt
        if attempt is None or attempt.committed or attempt.regretted:
            return []
        if self._claim is Claim.HARMLESS:
            # Only what was said since may still want the floor.
            attempt.counted = min(attempt.counted, max(now - until, 0))
        return self._decide(attempt, now) if attempt.ducked else []

    def understood(self, text: str) -> list[Decision]:
        """Take the final transcript of the turn that made the attempt; it is over then."""
        attempt, self._attempt = self._attempt, None
        if attempt is None or attempt.committed:
            return []
        claim = self._floor.claim(text)
        if claim is Claim.FLOOR:
            return [Interrupted("commit", attempt.voiced, "words")]
        if not attempt.ducked or attempt.regretted:
            return []
        return [Regretted(attempt.voiced, "no_words" if claim is Claim.NOTHING else "backchannel")]

    def drop(self) -> list[Decision]:
        """Forget the attempt; an agent that was ducked for it may go on."""
        attempt, self._attempt = self._attempt, None
        waits = attempt is not None and attempt.ducked and not (attempt.committed or attempt.regretted)
        return [Regretted(attempt.voiced, "cleared")] if attempt and waits else []

    def _begin(self, voiced: int) -> None:
        old = self._attempt
        still_ducked = old is not None and old.ducked and not (old.committed or old.regretted)
        self._attempt = _Attempt(voiced, voiced, ducked=still_ducked)

    def _watch(self, now: int, playing: bool) -> None:
        if not playing:
            return
        if self._played_at is None or now - self._played_at > self._timing.rest * _MS:
            self._playing_since = now
        self._played_at = now

    def _weigh(self, now: int, voiced: bool, silent: int) -> list[Decision]:
        attempt = self._attempt
        if attempt is None or attempt.committed:
            return []
        if not attempt.over and (decisions := self._count(attempt, now, voiced)):
            return decisions
        agreed = self._claim is Claim.HARMLESS
        if silent < (self._timing.regret_agreed if agreed else self._timing.regret) * _MS:
            return []
        if not attempt.ducked:
            self._attempt = None
            return []
        attempt.regretted = True
        return [Regretted(attempt.voiced, "backchannel" if agreed else "silence")]

    def _count(self, attempt: _Attempt, now: int, voiced: bool) -> list[Decision]:
        if voiced:
            attempt.voiced += HOP
            attempt.counted += HOP
        if attempt.ducked:
            return self._decide(attempt, now)
        if attempt.voiced < self._timing.duck * _MS:
            return []
        attempt.ducked = True
        return [Interrupted("duck", attempt.voiced)]

    def _decide(self, attempt: _Attempt, now: int) -> list[Decision]:
        """Commit if speech and words are enough; in the first moment of playback both are needed."""
        timing = self._timing
        cold = self._played_at is not None and now - self._playing_since < timing.warm_up * _MS
        enough = attempt.counted >= (timing.commit_cold if cold else timing.commit) * _MS
        by_words = self._claim is Claim.FLOOR and (not cold or attempt.counted >= timing.commit * _MS)
        if not (enough or by_words):
            return []
        attempt.committed = True
        return [Interrupted("commit", attempt.voiced, "words" if by_words else "speech")]
