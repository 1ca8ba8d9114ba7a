"""Time-delay estimation by GCC-PHAT and the delay line that follows it (paper, Fig. 1a)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aec_core.config import DelayConfig, ms_to_hops, ms_to_samples
from aec_core.fft import irfft, next_fast_len, rfft
from aec_core.ring import HopRing
from aec_core.types import HOP, SAMPLE_RATE, Rows, Samples, Spectrum

_RATE = SAMPLE_RATE // 2  # delays are estimated at 8 kHz
_HALF_HOP = HOP // 2
_HALF_BAND = np.array([-1, 0, 9, 16, 9, 0, -1], np.float32) / 32


class DelayEstimator:
    """Finds by how many samples the reference appears late in the microphone.

    Every `update_hops` it correlates the last `mic_window_ms` of microphone with the reference
    that could have caused them. A delay counts once `confirmations` looks in a row agree; while
    the reference is silent or the microphone clips, nothing is learnt and nothing is lost.
    """

    def __init__(self, config: DelayConfig, streams: int) -> None:
        self._config = config
        window = ms_to_hops(config.mic_window_ms)
        reach = ms_to_hops(config.max_delay_ms)
        self._window = window * _HALF_HOP
        self._lags = reach * _HALF_HOP
        self._n_fft = next_fast_len(self._window + self._lags)
        low, high = (round(hz * self._n_fft / _RATE) for hz in config.band_hz)
        self._band = slice(low, high)

        self._halve = _Halve(streams)
        self._mic = HopRing(streams, window, _HALF_HOP)
        self._ref = HopRing(streams, window + reach, _HALF_HOP)
        self._peak = np.zeros((streams, window), np.float32)  # loudest mic sample of each hop
        self._cross = np.zeros((streams, high - low), np.complex64)
        self._hops = np.zeros(streams, np.intp)
        self._candidate = np.full(streams, -1, np.intp)
        self._agreed = np.zeros(streams, np.intp)
        self.delay = np.full(streams, -1, np.intp)
        """Confirmed delay of each stream, samples at 16 kHz; -1 until the first lock."""

    def process(self, mic: Samples, ref: Samples, rows: Rows) -> None:
        """Take one hop `(n, hop)` of each signal; `delay` changes when a look confirms it."""
        both = self._halve.process(np.stack([mic, ref], axis=1), rows)
        self._mic.push(both[:, 0], rows)
        self._ref.push(both[:, 1], rows)
        hops = self._hops[rows] + 1
        self._hops[rows] = hops
        every = self._peak.shape[1]
        streams = np.arange(len(self.delay))[rows]
        self._peak[streams, hops % every] = np.abs(mic).max(axis=-1)

        due = streams[hops % self._config.update_hops == 0]
        if len(due):
            self._look(due)

    def reset(self, slot: int) -> None:
        for part in (self._halve, self._mic, self._ref):
            part.reset(slot)
        for state in (self._peak, self._cross, self._hops, self._agreed):
            state[slot] = 0
        self._candidate[slot] = self.delay[slot] = -1

    def _look(self, rows: NDArray[np.intp]) -> None:
        mic = self._mic.last(self._window, rows)
        ref = self._ref.last(self._window + self._lags, rows)
        floor = 10 ** (self._config.ref_floor_dbfs / 20)
        audible = np.sqrt(np.mean(ref[:, -self._window :] ** 2, axis=-1)) > floor
        usable = audible & (self._peak[rows].max(axis=-1) < self._config.clip_level)
        if not usable.any():
            return
        rows, mic, ref = rows[usable], mic[usable], ref[usable]
        lag, sharpness = self._correlate(mic, ref, rows)
        self._confirm(lag, sharpness > self._config.peak_to_rms, rows)

    def _correlate(
        self, mic: Samples, ref: Samples, rows: NDArray[np.intp]
    ) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
        """Return each stream's best lag at 8 kHz and its peak over the RMS of all lags."""
        mic_spec = rfft(mic, n=self._n_fft)[:, self._band]
        ref_spec = rfft(ref, n=self._n_fft)[:, self._band]
        smooth = np.float32(self._config.smoothing)
        cross: Spectrum = mic_spec * ref_spec.conj()
        cross *= 1 - smooth
        cross += smooth * self._cross[rows]
        self._cross[rows] = cross
        phat = np.zeros((len(rows), self._n_fft // 2 + 1), np.complex64)
        # The root of the power is enough here, and takes a tenth of the time of an exact magnitude.
        size = np.sqrt(cross.real**2 + cross.imag**2) + np.float32(1e-12)
        np.multiply(cross, 1 / size, out=phat[:, self._band])
        # The reference starts `lags` samples before the microphone does, so lag 0 is at -lags.
        correlation = irfft(phat, n=self._n_fft)[:, -self._lags :]
        np.abs(correlation, out=correlation)
        best = self._hold(correlation, correlation.argmax(axis=-1), rows)
        power = np.einsum("nl,nl->n", correlation, correlation) / np.float32(self._lags)
        rms = np.sqrt(power) + np.float32(1e-20)
        return best, np.take_along_axis(correlation, best[:, None], axis=-1)[:, 0] / rms

    def _hold(self, correlation: Samples, best: NDArray[np.intp], rows: NDArray[np.intp]) -> NDArray[np.intp]:
        """Prefer the confirmed delay to a higher peak nearby: that is a reflection, not a jump."""
        config, held = self._config, self.delay[rows] // 2
        reach = round(config.tolerance_ms * _RATE / 1000)
        around = (held[:, None] + np.arange(-reach, reach + 1)).clip(0, self._lags - 1)
        heights = np.take_along_axis(correlation, around, axis=-1)
        peak = np.take_along_axis(correlation, best[:, None], axis=-1)[:, 0]
        near = np.abs(best - held) <= config.hold_ms * _RATE / 1000
        kept = (held >= 0) & near & (heights.max(axis=-1) >= config.hold_share * peak)
        nearest = np.take_along_axis(around, heights.argmax(axis=-1)[:, None], axis=-1)[:, 0]
        return np.where(kept, nearest, best)

    def _confirm(self, lag: NDArray[np.intp], sharp: NDArray[np.bool_], rows: NDArray[np.intp]) -> None:
        near = np.abs(lag - self._candidate[rows]) <= self._config.tolerance_ms * _RATE / 1000
        agreed = np.where(sharp & near, self._agreed[rows] + 1, np.where(sharp, 1, 0))
        self._candidate[rows] = np.where(sharp, lag, self._candidate[rows])
        self._agreed[rows] = agreed
        confirmed = agreed >= self._config.confirmations
        self.delay[rows[confirmed]] = 2 * lag[confirmed]


class _Halve:
    """Half-band low-pass and decimation by two, streaming, for (mic, ref) pairs."""

    def __init__(self, streams: int) -> None:
        self._past = np.zeros((streams, 2, len(_HALF_BAND) - 1), np.float32)

    def process(self, hop: Samples, rows: Rows) -> Samples:
        x = np.concatenate([self._past[rows], hop], axis=-1)
        self._past[rows] = hop[..., -self._past.shape[-1] :]
        span = hop.shape[-1]
        out = np.zeros((*hop.shape[:-1], span // 2), np.float32)
        for tap, weight in enumerate(_HALF_BAND):
            if weight:
                out += weight * x[..., tap : tap + span : 2]
        return out

    def reset(self, slot: int) -> None:
        self._past[slot] = 0


@dataclass(frozen=True)
class Moved:
    """Streams whose reference is read at another delay from this hop on."""

    jumped: NDArray[np.intp]  # the delay of the device changed: the echo path comes along
    drifted: NDArray[np.intp]  # first lock or clock drift: the echo moves inside the filter
    shift: Samples  # of the drifted: samples by which it moves later (negative: earlier)


class Aligner:
    """Delays the reference so that the echo of each stream begins `headroom_ms` into the filter."""

    def __init__(
        self, config: DelayConfig, streams: int, memory: int, lead: NDArray[np.intp] | int = 0
    ) -> None:
        """Set up `streams` delay lines.

        Args:
            config: Of the estimate and its headroom.
            streams: How many there are.
            memory: How many past samples `past` must be able to return.
            lead: Samples by which the aligned reference is early on top, `(streams,)`: an
                augmentation of training data (paper, section III-A).
        """
        self.estimator = DelayEstimator(config, streams)
        hops = ms_to_hops(config.max_delay_ms) + -(-memory // HOP) + 1
        self._ring = HopRing(streams, hops, HOP)
        self._lead = np.broadcast_to(np.asarray(lead, np.intp), streams)
        self._headroom = ms_to_samples(config.headroom_ms)
        self._slack = ms_to_samples(config.slack_ms)
        self._step = ms_to_samples(config.tolerance_ms) + 16
        self._applied = np.zeros(streams, np.intp)  # delay of the line
        self._believed = np.full(streams, -1, np.intp)

    @property
    def delay(self) -> NDArray[np.intp]:
        """Confirmed delay of each stream in samples; -1 until the first lock."""
        return self.estimator.delay

    def process(self, mic: Samples, ref: Samples, rows: Rows) -> tuple[Samples, Moved]:
        """Take one hop of each, return the aligned reference `(n, hop)` and what moved."""
        self.estimator.process(mic, ref, rows)
        self._ring.push(ref, rows)
        moved = self._follow(np.arange(len(self._applied))[rows])
        return self._ring.last(HOP, rows, self._applied[rows]), moved

    def past(self, samples: int, rows: NDArray[np.intp]) -> Samples:
        """Return the `samples` before the newest hop at the current delay, `(n, samples)`."""
        return self._ring.last(samples, rows, self._applied[rows] + HOP)

    def reset(self, slot: int) -> None:
        self.estimator.reset(slot)
        self._ring.reset(slot)
        self._applied[slot] = 0
        self._believed[slot] = -1

    def _follow(self, rows: NDArray[np.intp]) -> Moved:
        delay, believed = self.estimator.delay[rows], self._believed[rows]
        self._believed[rows] = delay
        lead = self._lead[rows]
        wanted = np.maximum(delay - self._headroom - lead, 0)
        inside = delay - lead - self._applied[rows]  # where in the filter the echo begins
        jumped = (believed >= 0) & (np.abs(delay - believed) > self._step)
        outside = (inside < self._headroom // 4) | (inside > self._slack)
        drifted = (delay >= 0) & ~jumped & outside & (wanted != self._applied[rows])
        shift = (self._applied[rows] - wanted)[drifted].astype(np.float32)
        self._applied[rows[jumped | drifted]] = wanted[jumped | drifted]
        return Moved(rows[jumped], rows[drifted], shift)
