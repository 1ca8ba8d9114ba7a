"""Partitioned-block frequency-domain Kalman filter: the linear stage that recovers fast.

Enzner and Vary's frequency-domain Kalman filter in partitioned form (Kuech, Mabande, Enzner,
ICASSP 2014). Overlap-save with blocks of one hop, so it adds no latency.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from aec_core.config import KalmanConfig
from aec_core.fft import irfft, rfft
from aec_core.stft import BINS, N_FFT
from aec_core.types import HOP, Rows, Samples, Spectrum

_FLOOR = np.float32(1e-7)  # of a power spectrum of N_FFT samples: about -120 dBFS
_AUDIBLE = np.float32(1e-7 * N_FFT**2 / 2)  # power of a block of reference: -70 dBFS
_NEIGHBOURS = 21  # bins that share a noise level, 525 Hz
_FRESH = 10  # hops of reference until the path is trusted more than its prior
_LEAST_DOUBT = np.float32(5e-3)  # share of the prior that stays: an echo may appear after minutes
_MOST_COUPLING = np.float32(4)  # a mic 6 dB above the reference
_MOST_DRIFT = np.float32(0.1)  # samples a hop: 312 ppm
_TRUST_MEMORY = np.float32(0.6)  # for each hop
_LEAST_TRUST = np.float32(0.3)  # of the echo that is taken off: a path has to begin somewhere
_SILENT = np.float32(1e-9)  # energy of a hop
_OMEGA = (-2j * np.pi / N_FFT * np.arange(BINS)).astype(np.complex64)  # a delay of d is exp(d * omega)


class KalmanFilter:
    """Estimates the echo of each stream from its aligned reference; a `LinearFilter`.

    Beyond the textbook: the prior of the path comes from the levels that are heard, noise is
    smoothed over neighbouring bins, a rotation of the path follows clock drift, and the output is
    the error after the update as far as the path was right before it. `docs/experiments.md` has what
    each of them brings.
    """

    latency = 0

    def __init__(self, config: KalmanConfig, streams: int) -> None:
        shape = (streams, config.partitions, BINS)
        self._config = config
        self._path = np.zeros(shape, np.complex64)  # W
        self._variance = np.zeros(shape, np.float32)  # P
        self._history = np.zeros(shape, np.complex64)  # X, newest first
        self._ref_past = np.zeros((streams, HOP), np.float32)
        self._noise = np.zeros((streams, BINS), np.float32)  # Psi
        self._levels = np.zeros((streams, 2, BINS), np.float32)  # power of mic and ref while it plays
        self._heard = np.zeros(streams, np.intp)  # hops of reference that went into the levels
        self._explained = np.zeros((streams, 2), np.float32)  # energies of `_trust`
        self._drift = np.zeros(streams, np.float32)  # samples a hop by which the echo moves later
        decay = np.float32(config.prior_decay) ** np.arange(config.partitions, dtype=np.float32)
        self._prior_shape = np.float32(config.prior_scale) * decay[:, None]

    @property
    def ref_memory(self) -> int:
        """Samples of past reference that `realign` needs."""
        return (self._config.partitions + 1) * HOP

    def process(self, mic: Samples, ref: Samples, rows: Rows) -> tuple[Samples, Samples]:
        """Adapt to one hop, then cancel it with the new path (`LinearFilter.process`)."""
        x = self._push(ref, rows)  # (n, partitions, bins)
        audible = _power(x[:, 0]).sum(axis=-1) > _AUDIBLE
        # Silence stops the clock: a drift that is a little wrong would turn the path away unseen.
        path = self._path[rows] * np.exp(_OMEGA * (self._drift[rows] * audible)[:, None, None])
        predicted = _convolve(path, x)
        error = mic - predicted
        path = self._adapt(path, x, _block(mic), _block(error), audible, rows)
        echo = _convolve(path, x)
        echo *= self._trust(mic, predicted, rows)[:, None]
        return mic - echo, echo

    def realign(self, rows: Rows, ref_past: Samples, shift: Samples | None = None) -> None:
        """Continue at another delay (`LinearFilter.realign`); the path moves along with its echo."""
        blocks = np.lib.stride_tricks.sliding_window_view(ref_past, N_FFT, axis=-1)[:, ::HOP]
        self._history[rows] = rfft(blocks[:, ::-1])
        self._ref_past[rows] = ref_past[:, -HOP:]
        self._variance[rows] = np.maximum(self._variance[rows], self._prior(rows))
        if shift is not None:
            self._path[rows] = _shift_taps(self._path[rows], shift)

    def reset(self, slot: int) -> None:
        for state in vars(self).values():
            if isinstance(state, np.ndarray) and state is not self._prior_shape:
                state[slot] = 0

    def _push(self, ref: Samples, rows: Rows) -> NDArray[np.complex64]:
        block = np.concatenate([self._ref_past[rows], ref], axis=-1)
        self._ref_past[rows] = ref
        newest = rfft(block)[:, None]
        x = np.concatenate([newest, self._history[rows][:, :-1]], axis=1)
        self._history[rows] = x
        return x

    def _adapt(
        self,
        path: Spectrum,
        x: Spectrum,
        mic: Spectrum,
        error: Spectrum,
        audible: NDArray[np.bool_],
        rows: Rows,
    ) -> NDArray[np.complex64]:
        """Update the path, `(n, partitions, bins)`, and all that is believed about it."""
        x_power = _power(x)
        powers = np.stack([_power(mic), x_power[:, 0], _power(error)], axis=1)
        powers = np.asarray(uniform_filter1d(powers, _NEIGHBOURS, mode="nearest"), np.float32)
        self._learn_levels(powers[:, :2], audible, rows)
        noise = self._learn_noise(powers[:, 2], rows)
        variance = self._expect(rows)

        expected = 0.5 * np.einsum("npf,npf->nf", x_power, variance)
        step = variance / (expected + noise + _FLOOR)[:, None]  # K / X*
        # The constraint holds the path, not the update alone: drift would carry taps out of a block.
        updated = _first_half_taps(path + step * x.conj() * error[:, None])
        self._follow_drift(path, updated - path, audible, rows)
        self._path[rows] = updated
        a2 = np.float32(self._config.transition**2)
        kept = 1 - 0.5 * step * x_power  # never negative: x_power * variance <= 2 * expected
        self._variance[rows] = a2 * kept * variance + (1 - a2) * _power(updated)
        return updated

    def _learn_levels(self, powers: Samples, audible: NDArray[np.bool_], rows: Rows) -> None:
        levels, heard = self._levels[rows], self._heard[rows]
        gain = np.where(audible, np.maximum(np.float32(0.05), 1 / (heard + np.float32(1))), np.float32(0))
        self._levels[rows] = levels + gain[:, None, None].astype(np.float32) * (powers - levels)
        self._heard[rows] = heard + audible

    def _learn_noise(self, power: Samples, rows: Rows) -> Samples:
        """Return the power of all that is not echo: at once where it rises, slowly where it falls."""
        smooth = np.float32(self._config.noise_smoothing)
        noise = np.maximum(smooth * self._noise[rows] + (1 - smooth) * power, power)
        self._noise[rows] = noise
        return noise

    def _expect(self, rows: Rows) -> Samples:
        """Return the variance of the path: the prior at first, and never far below it."""
        prior = self._prior(rows)
        fresh = (self._heard[rows] <= _FRESH)[:, None, None]
        return np.where(fresh, prior, np.maximum(self._variance[rows], _LEAST_DOUBT * prior))

    def _prior(self, rows: Rows) -> Samples:
        """Return the power that the path may have, by how loud the mic is for this reference."""
        mic, ref = self._levels[rows, 0], self._levels[rows, 1]
        coupling = np.minimum((mic + _FLOOR) / (ref + _FLOOR), _MOST_COUPLING)
        return coupling[:, None] * self._prior_shape

    def _trust(self, mic: Samples, predicted: Samples, rows: Rows) -> Samples:
        """Return how much of what the path predicted, `(n,)`, is in the microphone: the regression of both.

        The path after the update explains a part of anything; where the path before it explained
        nothing, as of a reference that nobody hears, that part is speech.
        """
        both = np.stack([np.einsum("ns,ns->n", predicted, each) for each in (mic, predicted)], axis=-1)
        both = _TRUST_MEMORY * self._explained[rows] + (1 - _TRUST_MEMORY) * both
        self._explained[rows] = both
        trust = np.clip(both[:, 0] / (both[:, 1] + _SILENT), _LEAST_TRUST, np.float32(1))
        return trust.astype(np.float32, copy=False)

    def _follow_drift(self, path: Spectrum, update: Spectrum, audible: NDArray[np.bool_], rows: Rows) -> None:
        """Learn the drift from the common rotation of all updates: a delay turns bins by their frequency."""
        turned = np.einsum("npf,npf,f->n", update, path.conj(), -_OMEGA.imag).imag
        size = np.einsum("nf,f->n", _power(path).sum(axis=1), _OMEGA.imag**2) + _FLOOR
        gain = np.float32(self._config.drift_gain) * audible
        drift = self._drift[rows] - gain * np.clip(turned / size, -1, 1)
        self._drift[rows] = np.clip(drift, -_MOST_DRIFT, _MOST_DRIFT)


def _power(spectrum: NDArray[np.complex64]) -> NDArray[np.float32]:
    return spectrum.real**2 + spectrum.imag**2


def _block(half: Samples) -> Spectrum:
    """Spectrum of the newer half of a block: overlap-save knows nothing of the older one."""
    return rfft(np.concatenate([np.zeros_like(half), half], axis=-1))


def _convolve(path: Spectrum, x: Spectrum) -> Samples:
    """Overlap-save: the half of the circular convolution that is linear."""
    return irfft(np.einsum("npf,npf->nf", path, x), n=N_FFT)[..., HOP:]


def _first_half_taps(gradient: NDArray[np.complex64]) -> NDArray[np.complex64]:
    """Gradient constraint: a partition has `HOP` taps, the rest of its block is zero."""
    taps = irfft(gradient, n=N_FFT)
    taps[..., HOP:] = 0
    return rfft(taps)


def _shift_taps(path: NDArray[np.complex64], shift: Samples) -> NDArray[np.complex64]:
    """Move each impulse response by its own number of samples, later if positive."""
    taps = irfft(path, n=N_FFT)[..., :HOP]
    n, partitions, _ = taps.shape
    flat = taps.reshape(n, -1)
    source = np.arange(flat.shape[1]) - shift[:, None].astype(np.intp)
    moved = np.take_along_axis(flat, source.clip(0, flat.shape[1] - 1), axis=1)
    moved[(source < 0) | (source >= flat.shape[1])] = 0
    return rfft(moved.reshape(n, partitions, HOP), n=N_FFT)
