"""The gate that knows the reference: is there more in the cleaned signal than echo leaves behind?

No voice activity detector rejects intelligible residual echo, so a talker counts only while the
cleaned signal is louder than what the echo is expected to leave of itself.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

from aec_core.types import HOP, SAMPLE_RATE

_HOP_MS = 1000 * HOP / SAMPLE_RATE
_TINY = 1e-12


def decibels(mean_square: float) -> float:
    """Return a mean square in dB relative to full scale, -120 at least."""
    return 10 * math.log10(max(mean_square, _TINY))


@dataclass(frozen=True, slots=True)
class GateConfig:
    """What counts as louder than echo.

    Attributes:
        margin_db: By how much the talker must exceed the predicted residual echo.
        margin_in_turn_db: The same for somebody who has the floor already: weak endings of words.
        floor_dbfs: Nothing below this level is speech.
        level_ms: Levels are means over this long.
        memory_ms: The prediction holds the loudest echo of this long: reverberation, buffers.
        ref_floor_dbfs: Below it the reference is silent and only the floor counts.
        ref_to_echo_db: Echo level assumed from the reference alone; the linear estimate of the
            echo says more as soon as the filter has converged.
        search_ms: Playback in which the delay of the echo may stay unknown, as with headphones.
        search_ref_to_echo_db: Echo level assumed until then, and while what passed is in the memory:
            nothing is cancelled yet.
        warmup_ms: Playback at the start of which `warmup_ref_to_echo_db` holds in its place.
        leak_fall_ms: Time constant with which the leak is believed to fall, in playback time: the
            first words of an agent pass before the canceller has converged.
        usual_leak_db: A leak that any converged canceller reaches; less has to be proven.
        leak_proof_ms: Time constant with which it is believed to fall below the usual leak.
        leak_rise_ms: The same for a leak that grows, as after a change of the echo path.
        least_leak_db: The leak is never believed to be smaller.
    """

    margin_db: float = 6.0
    margin_in_turn_db: float = 3.0
    floor_dbfs: float = -55.0
    level_ms: float = 100.0
    memory_ms: float = 400.0
    ref_floor_dbfs: float = -60.0
    ref_to_echo_db: float = -25.0
    search_ms: float = 1000.0
    search_ref_to_echo_db: float = 0.0
    warmup_ms: float = 1500.0
    warmup_ref_to_echo_db: float = -10.0
    leak_fall_ms: float = 500.0
    usual_leak_db: float = -20.0
    leak_proof_ms: float = 6000.0
    leak_rise_ms: float = 2000.0
    least_leak_db: float = -45.0

    def __post_init__(self) -> None:
        times = (self.level_ms, self.memory_ms, self.leak_fall_ms, self.leak_proof_ms, self.leak_rise_ms)
        if min(times) < _HOP_MS:
            raise ValueError(f"level_ms, memory_ms and the leak's times must be at least {_HOP_MS:g}")


@dataclass(frozen=True, slots=True)
class GateReading:
    """What the gate saw in one hop."""

    open: bool
    near_dbfs: float  # cleaned signal over `level_ms`
    residual_dbfs: float  # predicted residual echo; -120 while the reference is silent
    ref_active: bool  # the reference plays now, or did within `memory_ms`


class _Level:
    """The mean power over some hops, and the loudest that this was over more of them."""

    def __init__(self, mean_hops: int, most_hops: int) -> None:
        self._powers: deque[float] = deque(maxlen=mean_hops)
        self._means: deque[float] = deque(maxlen=most_hops)

    def process(self, power: float) -> tuple[float, float]:
        """Take the power of a hop; return the mean and the loudest."""
        self._powers.append(power)
        mean = sum(self._powers) / len(self._powers)
        self._means.append(mean)
        return mean, max(self._means)


class EchoGate:
    """Compares the cleaned signal with the echo that it may still hold."""

    def __init__(self, config: GateConfig | None = None) -> None:
        self._config = config or GateConfig()
        level = round(self._config.level_ms / _HOP_MS)
        memory = round(self._config.memory_ms / _HOP_MS)
        self._near, self._echo, self._ref = (_Level(level, memory) for _ in range(3))
        self._level_hops = level
        self._memory_hops = 0  # that are remembered, `memory` at most
        self._most_hops = memory
        self._since_speech = memory  # hops; what is remembered of a talker says nothing about the echo
        self._leak_db = 0.0  # residual over echo
        self._played = 0  # hops with an active reference that the leak has seen
        self._searched = 0  # hops with an active reference while the delay was not known
        self._uncancelled = 0  # hops for which echo from before it was known is still remembered

    @property
    def leak_db(self) -> float:
        """What the canceller is believed to leave of the echo, dB."""
        return self._leak_db

    def process(
        self,
        near: float,
        echo: float,
        ref: float,
        speaking: bool,
        in_turn: bool = False,
        located: bool = True,
    ) -> GateReading:
        """Judge one hop.

        Args:
            near: Mean square of the cleaned signal.
            echo: … of the linear echo estimate.
            ref: … of the reference as played.
            speaking: A talker is confirmed, or seems to start: what is heard now says nothing
                about the echo, so the leak is not learnt from it.
            in_turn: Somebody has the floor and spoke a moment ago.
            located: The delay of the echo is known.
        """
        config = self._config
        level, loudest = self._near.process(near)
        _, loudest_echo = self._echo.process(echo)
        _, loudest_ref = self._ref.process(ref)
        self._memory_hops = min(self._memory_hops + 1, self._most_hops)
        self._since_speech = 0 if speaking else self._since_speech + 1
        # The echo may last longer than the memory of a reference that the phone delays by 600 ms.
        playing = decibels(max(loudest_ref, loudest_echo)) > config.ref_floor_dbfs
        residual = 0.0
        if playing:
            self._search(located)
            expected = max(loudest_echo, loudest_ref * self._coupling())
            residual = expected * 10 ** (self._leak_db / 10)
            # Where the echo is faint, the noise of the room is what is left, and says nothing.
            audible = decibels(expected) > config.floor_dbfs + 20 and not self._uncancelled
            if self._since_speech >= self._memory_hops and audible:
                self._learn(loudest / expected)
        margin = config.margin_in_turn_db if in_turn else config.margin_db
        above = decibels(level) > max(config.floor_dbfs, decibels(residual) + margin)
        return GateReading(above, decibels(level), decibels(residual), playing)

    def _search(self, located: bool) -> None:
        """Count what is played before the canceller knows where the echo is."""
        if located or self._searched * _HOP_MS >= self._config.search_ms:
            self._uncancelled = max(self._uncancelled - 1, 0)
        else:
            self._searched += 1
            self._uncancelled = self._level_hops

    def _coupling(self) -> float:
        if self._uncancelled:
            return 10 ** (self._config.search_ref_to_echo_db / 10)
        warm = self._played * _HOP_MS >= self._config.warmup_ms
        decibel = self._config.ref_to_echo_db if warm else self._config.warmup_ref_to_echo_db
        return 10 ** (decibel / 10)

    def _learn(self, ratio: float) -> None:
        """Follow the ratio of the loudest of both in dB: peaks are what opens a gate.

        It falls fast and rises slowly: a talker that is not recognised as one yet must not be taken
        for a leak.
        """
        config = self._config
        self._played += 1
        error = min(max(decibels(ratio), config.least_leak_db), 10.0) - self._leak_db
        if error > 0:
            time = config.leak_rise_ms
        else:
            # A suppressor that mutes the first word may still let the tenth pass.
            time = config.leak_fall_ms if self._leak_db > config.usual_leak_db else config.leak_proof_ms
        self._leak_db += error * _HOP_MS / time
