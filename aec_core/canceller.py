"""The echo canceller: the whole signal path, for many streams at once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from aec_core.belief import Belief
from aec_core.checkpoint import load_checkpoint, pretrained_path
from aec_core.config import AecConfig, LinearName
from aec_core.dfsmn import Suppressor, Weights
from aec_core.features import log_mel
from aec_core.frontend import FrontEnd
from aec_core.postfilter import wiener_gains
from aec_core.ring import HopRing
from aec_core.stft import Analysis, Synthesis
from aec_core.types import HOP, SAMPLE_RATE, Mask, Rows, Samples

_AUDIBLE = np.float32(1e-6)  # mean power of a hop of reference: -60 dBFS, above a sound card's noise
_ECHO_LASTS = round(2.0 * SAMPLE_RATE / HOP)  # hops: the longest delay, and the reverberation after it


@dataclass(frozen=True)
class Cleaned:
    """One hop of every stream, `(S, hop)` each and all on one clock: `latency` behind the input."""

    mic: Samples
    ref: Samples  # as played, not aligned
    echo: Samples  # estimate of the linear stage
    vad: Samples  # for voice activity detection (beta 0.6)
    asr: Samples  # for speech recognition (beta 0.2)

    @property
    def linear(self) -> Samples:
        """What the linear stage alone leaves."""
        return self.mic - self.echo


class HopCanceller:
    """Cancels the echo of `S` streams hop by hop; slots join, leave and reset on their own."""

    def __init__(self, config: AecConfig, weights: Weights, streams: int = 1) -> None:
        if streams < 1:
            raise ValueError(f"streams is {streams}, must be at least 1")
        self.config = config
        self.streams = streams
        self.front_end = FrontEnd(config, streams)
        self.analysis = Analysis(streams, channels=3)
        self.suppressor = Suppressor(weights)
        self.synthesis = Synthesis(streams, channels=2)
        self.latency = self.front_end.latency + self.synthesis.latency
        self._memory = self.suppressor.init_state(streams)
        self._betas = np.tile(np.array([config.beta_vad, config.beta_asr], np.float32), (streams, 1))
        self._mic, self._ref = (HopRing(streams, 1 - -self.latency // HOP, HOP) for _ in range(2))
        self._echo = HopRing(streams, 2, HOP)
        self._quiet = np.full(streams, _ECHO_LASTS)  # hops since the reference sounded
        self._belief = Belief(streams)

    @classmethod
    def pretrained(cls, streams: int = 1, linear: LinearName | None = None, path: Path | None = None) -> Self:
        """Build from the weights that ship with the package, or from a checkpoint at `path`.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If it is not a checkpoint.
        """
        weights, config = load_checkpoint(path or pretrained_path())
        return cls(replace(config, linear=linear or config.linear), weights, streams)

    def process(self, mic: Samples, ref: Samples, active: Mask | None = None) -> Cleaned:
        """Cancel the echo of one hop of each active stream.

        Args:
            mic: Microphone, float32 `(S, hop)` in [-1, 1].
            ref: What the loudspeaker plays, `(S, hop)`, on the same clock.
            active: Streams that take part, `(S,)`; the others keep their state and return zeros.

        Raises:
            ValueError: If a shape is wrong or an active row has a value that is not finite.
        """
        rows = self._rows(mic, ref, active)
        mic, ref = mic[rows], ref[rows]
        heard = self.front_end.process(mic, ref, rows)
        spectra = self.analysis.process(np.stack([heard.mic, heard.error, heard.ref], axis=1), rows)
        near, echo = self._masks(log_mel(spectra), rows)
        gains = wiener_gains(near, echo, self._betas[rows])
        gains[self._echo_is_gone(ref, rows)] = 1
        out = self.synthesis.process(gains * spectra[:, 1:2], rows)

        self._mic.push(mic, rows)
        self._ref.push(ref, rows)
        self._echo.push(heard.echo, rows)
        past = self._mic.last(HOP, rows, self.latency)
        self._belief.update(past, heard.ref, out[:, 0], rows)
        played = self._ref.last(HOP, rows, self.latency)
        return self._all_rows(rows, past, played, self._echo.last(HOP, rows, HOP), out[:, 0], out[:, 1])

    @property
    def delay_ms(self) -> NDArray[np.float64]:
        """Lag of the echo behind the reference, `(S,)`; NaN until the first lock."""
        delay = self.front_end.delay
        return np.where(delay < 0, np.nan, delay * 1000 / SAMPLE_RATE)

    @property
    def erle_db(self) -> NDArray[np.float32]:
        """Echo return loss enhancement while only the far end speaks, `(S,)`, about the last second."""
        return self._belief.erle_db

    @property
    def double_talk(self) -> Mask:
        """Whether the near end speaks while the reference plays, `(S,)`."""
        return self._belief.double_talk

    def set_betas(self, slot: int, vad: float, asr: float) -> None:
        """Choose how hard each output of one stream suppresses.

        Raises:
            ValueError: If a beta is not in [0, 2].
        """
        checked = replace(self.config, beta_vad=vad, beta_asr=asr)
        self._betas[slot] = checked.beta_vad, checked.beta_asr

    def reset(self, slot: int) -> None:
        """Let a new stream join at `slot`: nothing of the old one stays."""
        for part in (
            self.front_end,
            self.analysis,
            self.synthesis,
            self._mic,
            self._ref,
            self._echo,
            self._belief,
        ):
            part.reset(slot)
        for past in self._memory:
            past[slot] = 0
        self._betas[slot] = self.config.beta_vad, self.config.beta_asr
        self._quiet[slot] = _ECHO_LASTS

    def _rows(self, mic: Samples, ref: Samples, active: Mask | None) -> Rows:
        shape = (self.streams, HOP)
        if mic.shape != shape or ref.shape != shape:
            raise ValueError(f"mic {mic.shape} and ref {ref.shape} must both be {shape}")
        rows: Rows = slice(None)
        if active is not None:
            if active.shape != (self.streams,):
                raise ValueError(f"active is {active.shape}, must be ({self.streams},)")
            rows = slice(None) if active.all() else np.flatnonzero(active)
        if not (np.isfinite(mic[rows]).all() and np.isfinite(ref[rows]).all()):
            raise ValueError("mic or ref has values that are not finite")
        return rows

    def _echo_is_gone(self, ref: Samples, rows: Rows) -> Mask:
        """Whether the reference was silent for so long, `(n,)`, that whatever is heard is the near end."""
        sounds = np.einsum("ns,ns->n", ref, ref) > HOP * _AUDIBLE
        self._quiet[rows] = np.where(sounds, 0, np.minimum(self._quiet[rows] + 1, _ECHO_LASTS))
        return self._quiet[rows] == _ECHO_LASTS

    def _masks(self, features: Samples, rows: Rows) -> tuple[Samples, Samples]:
        everyone = isinstance(rows, slice)
        state = self._memory if everyone else [past[rows] for past in self._memory]
        near, echo, after = self.suppressor.process(features, state)
        if everyone:
            self._memory = after
        else:
            for past, new in zip(self._memory, after, strict=True):
                past[rows] = new
        return near, echo

    def _all_rows(self, rows: Rows, *signals: Samples) -> Cleaned:
        if isinstance(rows, slice):
            return Cleaned(*signals)
        whole = np.zeros((len(signals), self.streams, HOP), np.float32)
        for out, signal in zip(whole, signals, strict=True):
            out[rows] = signal
        return Cleaned(*whole)
