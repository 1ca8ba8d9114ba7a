"""The loudspeaker's signal when it travels in frames of its own, perhaps on a clock of its own."""

from __future__ import annotations

import numpy as np

from aec_core.types import HOP, SAMPLE_RATE, Samples
from server.clock import SampleClock
from server.events import AudioGap
from server.protocol import AudioFrame, Flag
from server.resample import alignment, interpolate, make_resampler, reach
from server.sequence import Piece, Sequencer

_LONGEST_MS = 2000  # what is kept while the microphone does not ask for it
_JUMP = 50 * SAMPLE_RATE // 1000  # a larger error is not slewed away but jumped over
# The canceller follows a delay that is off; a reference that is moved quickly costs words behind the echo.
_SLEW = 0.0005  # of the error, a hop: a time constant of 40 s
_MOST_SLEW = 0.008  # samples a hop: 25 ppm


class FarEnd:
    """Reference frames, read on the microphone's clock.

    Args:
        rate: On the wire, Hz.
        mic_clock: Fed by the owner with the microphone's frames.
    """

    def __init__(self, rate: int, mic_clock: SampleClock) -> None:
        self._rate = rate
        self._mic_clock = mic_clock
        self._clock = SampleClock(rate)
        self._sequence = Sequencer(rate, "reference")
        self._resampler = make_resampler(rate, 1)
        self._audio = np.zeros(0, np.float32)
        self._start = 0  # of `_audio`, at 16 kHz on the reference's clock
        self._one_clock = False
        self._position: float | None = None
        self._mic_next = 0

    @property
    def drift_ppm(self) -> float | None:
        """How much faster the reference's clock runs than the microphone's; None while unknown."""
        if self._one_clock or not (self._clock.trusted and self._mic_clock.trusted):
            return None
        return 1e6 * (self._ratio - 1)

    def push(self, frame: AudioFrame, piece: Piece, ms: float) -> list[AudioGap]:
        """Take one frame, whose samples are `piece`, sent at `ms` on the unwrapped clock."""
        self._one_clock = bool(frame.flags & Flag.ONE_CLOCK)
        self._clock.observe(piece.end, ms)
        reports: list[AudioGap] = []
        for item in self._sequence.push(piece):
            if isinstance(item, AudioGap):
                reports.append(item)
                continue
            if item.fresh:
                self._restart(item.start)
            self._keep(self._resampler.process(item.audio)[0])
        return reports

    def read(self, mic_start: int, patient: bool) -> Samples | None:
        """Return the hop `(320,)` that was played while the microphone heard its own from `mic_start`.

        Args:
            mic_start: First sample, at 16 kHz on the microphone's clock.
            patient: Return None rather than zeros for what has not come yet.
        """
        target = self._target(mic_start)
        contiguous = mic_start == self._mic_next
        position = target if self._position is None or not contiguous else self._position
        if abs(target - position) > _JUMP or self._one_clock:
            position = target
        slew = min(max(_SLEW * (target - position), -_MOST_SLEW), _MOST_SLEW)
        step = HOP * self._ratio + slew
        if patient and position + step + reach() > self._start + len(self._audio):
            return None
        hop = self._between(position - self._start, step)
        self._position, self._mic_next = position + step, mic_start + HOP
        self._forget(int(self._position) - reach() - self._start)
        return hop

    def _between(self, position: float, step: float) -> Samples:
        """Return a hop from `position` of the buffer on, during which it moves by `step`."""
        first = int(position)
        if step == HOP and position == first and 0 <= first <= len(self._audio) - HOP:
            return self._audio[first : first + HOP]  # one clock: nothing to compute
        return interpolate(self._audio, position + np.arange(HOP, dtype=np.float64) * (step / HOP))

    @property
    def _ratio(self) -> float:
        """Reference samples for each microphone sample."""
        if self._one_clock or not (self._clock.trusted and self._mic_clock.trusted):
            return 1.0
        return self._clock.samples_per_ms / self._mic_clock.samples_per_ms

    def _target(self, mic_start: int) -> float:
        if self._one_clock or not self._mic_clock.known:
            return float(mic_start)
        to_wire = self._rate / SAMPLE_RATE
        return self._clock.index_at(self._mic_clock.ms_at(mic_start * to_wire)) / to_wire

    def _restart(self, start: int) -> None:
        padding = start % alignment(self._rate)
        self._resampler = make_resampler(self._rate, 1)
        self._audio = np.zeros(0, np.float32)
        self._start = (start - padding) * SAMPLE_RATE // self._rate - self._resampler.latency
        self._position = None
        self._keep(self._resampler.process(np.zeros((1, padding), np.float32))[0])

    def _keep(self, audio: Samples) -> None:
        self._audio = np.concatenate([self._audio, audio])
        self._forget(len(self._audio) - _LONGEST_MS * SAMPLE_RATE // 1000)

    def _forget(self, samples: int) -> None:
        used = min(max(samples, 0), len(self._audio))
        self._audio = self._audio[used:]
        self._start += used
