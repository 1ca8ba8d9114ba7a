"""`duplex.aec.stats`: levels and beliefs, as often as the client wants them."""

from __future__ import annotations

from aec_core.types import HOP, SAMPLE_RATE
from server.events import AecStats
from server.gate import decibels
from server.hop import CleanHop

_HOPS_A_SECOND = SAMPLE_RATE / HOP


class StatsClock:
    """Averages levels over the time between two reports, counted in samples.

    Attributes:
        rate_hz: Reports a second; 0 is none.
    """

    def __init__(self, rate_hz: float) -> None:
        self.rate_hz = rate_hz
        self._hops = 0
        self._mic = self._ref = self._out = 0.0  # summed power

    def process(self, hop: CleanHop, double_talk: bool, late: int, lost: int) -> AecStats | None:
        """Take a hop and return a report if one is due.

        Args:
            hop: From the canceller.
            double_talk: Both ends speak now.
            late: Frames that came too late since the session began.
            lost: Frames that never came.
        """
        self._hops += 1
        self._mic += hop.mic_power
        self._ref += hop.ref_power
        self._out += hop.vad_power
        if not self.rate_hz or self._hops < _HOPS_A_SECOND / self.rate_hz:
            return None
        mic, ref, out = (_dbfs(total, self._hops) for total in (self._mic, self._ref, self._out))
        self._hops, self._mic, self._ref, self._out = 0, 0.0, 0.0, 0.0
        return AecStats(
            at_ms=1000 * max(hop.start + HOP, 0) / SAMPLE_RATE,
            delay_ms=hop.delay_ms,
            erle_db=hop.erle_db,
            mic_dbfs=mic,
            ref_dbfs=ref,
            out_dbfs=out,
            double_talk=double_talk,
            late=late,
            lost=lost,
        )


def _dbfs(total: float, hops: int) -> float:
    return round(decibels(total / hops), 1)
