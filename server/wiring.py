"""Are microphone and reference swapped? An echo comes after what it is an echo of, never before."""

from __future__ import annotations

import numpy as np

from aec_core.types import HOP, SAMPLE_RATE, Samples

_RATE = SAMPLE_RATE // 2
_HOPS = 50  # heard at a time: one second
_FRAME = _HOPS * HOP // 2
_LOWEST, _HIGHEST = 150, 3600  # Hz: where speech is, below the alias of halving the rate
_LONGEST = 600 * _RATE // 1000  # delay of an echo, either way
_SHORTEST = 3 * _RATE // 1000  # closer together nobody leads
_ALIKE = 3 * _RATE // 1000  # two estimates of one delay
_LEVEL = 1e-3  # -60 dBFS: less is silence
_KEEP = 0.6  # of the earlier cross spectrum
_CLEAR = 8.0  # a peak, in standard deviations
_DOMINANT = 1.6  # times the best peak the other way round
_NEEDED = 4  # consistent estimates in a row
_PATIENCE = 20  # checks without a result, after which they are made more rarely
_SOON, _LATER, _SETTLED = 25, 100, 500  # hops from check to check: 0.5, 2 and 10 s
_BINS_HZ = np.arange(_FRAME + 1) * _RATE / (2 * _FRAME)
_BAND = (_BINS_HZ >= _LOWEST) & (_BINS_HZ <= _HIGHEST)


class Wiring:
    """Watches which of two signals is the echo of the other.

    Costs one transform of a second of audio now and then, and nothing while either is silent.

    Attributes:
        swapped: The reference is an echo of the microphone; None until there is an echo.
    """

    def __init__(self) -> None:
        self.swapped: bool | None = None
        self._heard: Samples | None = None  # (2, hops, 160), a ring, while there is a check to wait for
        self._hops = 0
        self._cross = np.zeros(_FRAME + 1, np.complex64)
        self._wait = _HOPS
        self._checks = 0
        self._lag = 0  # of the newest estimate; positive: the microphone is the echo
        self._alike = 0

    def process(self, mic: Samples, ref: Samples) -> None:
        """Take a hop of each, `(320,)`, as it came from the client."""
        self._wait -= 1
        if self._wait >= _HOPS:
            self._heard = None
            return
        if self._heard is None:
            self._heard = np.empty((2, _HOPS, HOP // 2), np.float32)
        at = self._hops % _HOPS
        self._hops += 1
        for signal, ring in zip((mic, ref), self._heard, strict=True):
            np.add(signal[::2], signal[1::2], out=ring[at])
        if self._wait > 0:
            return
        audio = np.roll(self._heard, -at - 1, axis=1).reshape(2, -1) * np.float32(0.5)
        if np.sqrt(np.mean(audio**2, axis=1)).min() < _LEVEL:
            self._wait = _SOON
            return
        self._judge(self._estimate(audio))

    def _estimate(self, audio: Samples) -> int | None:
        """Return by how many samples at 8 kHz the microphone follows the reference, if that is clear."""
        mic, ref = np.fft.rfft(audio, 2 * _FRAME)
        cross = mic * ref.conj() * _BAND
        cross /= np.maximum(np.abs(cross), 1e-12)
        self._cross = (_KEEP * self._cross + (1 - _KEEP) * cross).astype(np.complex64)
        correlation = np.abs(np.fft.irfft(self._cross))
        deviation = float(np.sqrt(np.mean(correlation**2)))
        forward, backward = correlation[_SHORTEST:_LONGEST], correlation[-_SHORTEST:-_LONGEST:-1]
        ahead, behind = float(forward.max()), float(backward.max())
        if max(ahead, behind) < _CLEAR * deviation or max(ahead, behind) < _DOMINANT * min(ahead, behind):
            return None
        if ahead > behind:
            return _SHORTEST + int(forward.argmax())
        return -_SHORTEST - int(backward.argmax())

    def _judge(self, lag: int | None) -> None:
        self._checks += 1
        if lag is None:
            self._alike = 0
        else:
            self._alike = self._alike + 1 if self._alike and abs(lag - self._lag) <= _ALIKE else 1
            self._lag = lag
        if self._alike >= _NEEDED:
            self.swapped = self._lag < 0
        doubtful = self._alike and (self._lag < 0) != self.swapped
        if self.swapped is False and not doubtful:
            self._wait = _SETTLED
        else:
            self._wait = _SOON if doubtful or self._checks < _PATIENCE else _LATER
