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
_OMEGA = (2 * np.pi / N_FFT * np.arange(BINS)).astype(np.float32)  # a delay of d is exp(-1j * d * omega)


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
        self._history_power = np.zeros(shape, np.float32)
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
        x, x_power = self._push(ref, rows)
        audible = x_power[:, 0].sum(axis=-1) > _AUDIBLE
        # Silence stops the clock: a drift that is a little wrong would turn the path away unseen.
        path = self._path[rows] * _turn(self._drift[rows] * audible)[:, None]
        predicted = _convolve(path, x)
        heard = _blocks(mic, mic - predicted)
        path = self._adapt(path, x, x_power, heard, audible, rows)
        echo = _convolve(path, x)
        echo *= self._trust(mic, predicted, rows)[:, None]
        return mic - echo, echo

    def realign(self, rows: Rows, ref_past: Samples, shift: Samples | None = None) -> None:
        """Continue at another delay (`LinearFilter.realign`); the path moves along with its echo."""
        blocks = np.lib.stride_tricks.sliding_window_view(ref_past, N_FFT, axis=-1)[:, ::HOP]
        history = rfft(blocks[:, ::-1])
        self._history[rows], self._history_power[rows] = history, _power(history)
        self._ref_past[rows] = ref_past[:, -HOP:]
        self._variance[rows] = np.maximum(self._variance[rows], self._prior(rows))
        if shift is not None:
            self._path[rows] = _shift_taps(self._path[rows], shift)

    def reset(self, slot: int) -> None:
        for state in vars(self).values():
            if isinstance(state, np.ndarray) and state is not self._prior_shape:
                state[slot] = 0

    def _push(self, ref: Samples, rows: Rows) -> tuple[NDArray[np.complex64], Samples]:
        """Take a hop; return the spectra of all partitions and their powers, `(n, partitions, bins)`."""
        newest = rfft(np.concatenate([self._ref_past[rows], ref], axis=-1))[:, None]
        self._ref_past[rows] = ref
        x = np.concatenate([newest, self._history[rows][:, :-1]], axis=1)
        x_power = np.concatenate([_power(newest), self._history_power[rows][:, :-1]], axis=1)
        self._history[rows], self._history_power[rows] = x, x_power
        return x, x_power

    def _adapt(
        self,
        path: NDArray[np.complex64],
        x: NDArray[np.complex64],
        x_power: Samples,
        heard: Spectrum,
        audible: NDArray[np.bool_],
        rows: Rows,
    ) -> NDArray[np.complex64]:
        """Update the path, `(n, partitions, bins)`, and all that is believed about it.

        Args:
            path: Before this hop.
            x: Spectra of the reference, `(n, partitions, bins)`.
            x_power: Their powers.
            heard: Spectra of mic and error, `(n, 2, bins)`.
            audible: Streams whose reference plays, `(n,)`.
            rows: The `n` streams.
        """
        error = heard[:, 1]
        powers = np.concatenate([_power(heard), x_power[:, :1]], axis=1)
        powers = np.asarray(uniform_filter1d(powers, _NEIGHBOURS, mode="nearest"), np.float32)
        self._learn_levels(powers[:, ::2], audible, rows)
        noise = self._learn_noise(powers[:, 1], rows)
        variance = self._expect(rows)

        expected = np.float32(0.5) * _dot(x_power, variance)
        scale = 1 / (expected + noise + _FLOOR)  # K = variance * scale * X*
        # Arrays of all partitions are large: what follows writes into few of them.
        updated = x.conj()
        updated *= (error * scale)[:, None]
        updated *= variance
        updated += path
        # The constraint holds the path, not the update alone: drift would carry taps out of a block.
        updated = _first_half_taps(updated)
        self._follow_drift(path, updated, audible, rows)
        self._path[rows] = updated
        a2 = np.float32(self._config.transition**2)
        kept = x_power * variance
        kept *= (-0.5 * a2 * scale)[:, None]
        kept += a2  # a2 * (1 - K X / 2), never negative: x_power * variance <= 2 * expected
        kept *= variance
        kept += (1 - a2) * _power(updated)
        self._variance[rows] = kept
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
        fresh = self._heard[rows] <= _FRESH
        variance = np.maximum(self._variance[rows], _LEAST_DOUBT * prior)
        variance[fresh] = prior[fresh]
        return variance

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

    def _follow_drift(
        self, path: NDArray[np.complex64], updated: Spectrum, audible: NDArray[np.bool_], rows: Rows
    ) -> None:
        """Learn the drift from the common rotation of all updates: a delay turns bins by their frequency."""
        parts = path.view(np.float32)
        size = _dot(parts, parts) @ np.repeat(_OMEGA**2, 2) + _FLOOR
        turned = path.conj()
        turned *= updated
        rotation = turned.sum(axis=1).imag @ _OMEGA
        gain = np.float32(self._config.drift_gain) * audible
        drift = self._drift[rows] - gain * np.clip(rotation / size, -1, 1)
        self._drift[rows] = np.clip(drift, -_MOST_DRIFT, _MOST_DRIFT)


def _power(spectrum: NDArray[np.complex64]) -> NDArray[np.float32]:
    return spectrum.real**2 + spectrum.imag**2


def _dot(a: Samples, b: Samples) -> Samples:
    """Sum the products of two arrays over the partitions, `(n, partitions, bins)` to `(n, bins)`."""
    return np.einsum("npf,npf->nf", a, b)


def _turn(delay: Samples) -> Spectrum:
    """Return the rotation of each bin, `(n, bins)`, for a delay of so many samples, `(n,)`."""
    # A complex exponential takes ten times as long as its two parts.
    angle = delay[:, None] * _OMEGA
    turn = np.empty(angle.shape, np.complex64)
    np.cos(angle, out=turn.real)
    np.sin(-angle, out=turn.imag)
    return turn


def _blocks(*halves: Samples) -> Spectrum:
    """Spectra of newer halves of blocks, `(n, halves, bins)`: overlap-save knows nothing of older ones."""
    n = len(halves[0])
    blocks = np.zeros((n, len(halves), N_FFT), np.float32)
    for block, half in zip(blocks.swapaxes(0, 1), halves, strict=True):
        block[:, HOP:] = half
    return rfft(blocks)


def _convolve(path: NDArray[np.complex64], x: NDArray[np.complex64]) -> Samples:
    """Overlap-save: the half of the circular convolution that is linear."""
    return irfft((path * x).sum(axis=1), n=N_FFT)[..., HOP:]


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
