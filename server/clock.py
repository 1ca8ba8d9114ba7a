"""Sample clocks of two devices, compared through the sender's milliseconds."""

from __future__ import annotations

from math import exp

_BUCKET_MS = 1000
_MEMORY_MS = 120_000
_TRUST_MS = 10_000
_STEP_MS = 50  # of the counter against the clock: the device was restarted
_MOST_PPM = 1000  # devices are within 200


class SampleClock:
    """A line through (sender's milliseconds, sample counter).

    A frame may be sent late but never early, so that of each second only the least late one counts.

    Args:
        rate: Nominal, Hz.
    """

    def __init__(self, rate: int) -> None:
        self._nominal = rate / 1000  # samples per ms
        self._bucket: int | None = None
        self._best = (0.0, 0.0)  # ms, samples ahead of the nominal clock; least late of the bucket
        self._weight = 0.0
        self._first_ms = self._last_ms = 0.0
        self._ms = self._ahead = 0.0  # weighted means
        self._var = self._cov = 0.0

    @property
    def known(self) -> bool:
        """Anything was observed."""
        return self._bucket is not None

    @property
    def trusted(self) -> bool:
        """The slope is more than jitter."""
        return self._last_ms - self._first_ms >= _TRUST_MS

    @property
    def samples_per_ms(self) -> float:
        return self._nominal + self._slope

    def observe(self, index: int, ms: float) -> None:
        """Take the index of the newest sample at the time that its frame was sent."""
        bucket, ahead = int(ms // _BUCKET_MS), index - self._nominal * ms
        if self._bucket is None or bucket > self._bucket:
            if self._bucket is not None:
                self._learn(*self._best)
            self._bucket, self._best = bucket, (ms, ahead)
        elif ahead > self._best[1]:
            self._best = (ms, ahead)

    def index_at(self, ms: float) -> float:
        """Return the sample index at a time of the sender's clock."""
        mean_ms, mean_ahead = self._centre
        return self._nominal * ms + mean_ahead + self._slope * (ms - mean_ms)

    def ms_at(self, index: float) -> float:
        """Return the time of a sample on the sender's clock."""
        mean_ms, mean_ahead = self._centre
        return (index - mean_ahead + self._slope * mean_ms) / self.samples_per_ms

    @property
    def _centre(self) -> tuple[float, float]:
        return (self._ms, self._ahead) if self._weight else self._best

    @property
    def _slope(self) -> float:
        """Samples per ms beyond the nominal rate."""
        most = self._nominal * _MOST_PPM / 1e6
        return min(max(self._cov / self._var, -most), most) if self.trusted else 0.0

    def _learn(self, ms: float, ahead: float) -> None:
        expected = self.index_at(ms) - self._nominal * ms
        if self._weight and abs(ahead - expected) > _STEP_MS * self._nominal:
            self._weight = self._var = self._cov = 0.0
        if not self._weight:
            self._first_ms = ms
        self._last_ms = ms
        forget = exp(-_BUCKET_MS / _MEMORY_MS)
        self._weight = forget * self._weight + 1
        off_ms, off_ahead = ms - self._ms, ahead - self._ahead
        self._ms += off_ms / self._weight
        self._ahead += off_ahead / self._weight
        self._var = forget * self._var + off_ms * (ms - self._ms)
        self._cov = forget * self._cov + off_ms * (ahead - self._ahead)
