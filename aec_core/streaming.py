"""The canceller for chunks of any size: what programs outside the server use."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from aec_core.canceller import HopCanceller
from aec_core.config import AecConfig, LinearName
from aec_core.dfsmn import Weights
from aec_core.types import HOP, Mask, Samples


@dataclass(frozen=True)
class Output:
    """What `process` returns: float32 of the input's shape, `latency` behind it."""

    vad: Samples
    asr: Samples
    echo: Samples  # estimate of the linear stage
    linear: Samples  # what the linear stage alone leaves
    delay_ms: Any  # float for one stream, `(S,)` for many; NaN until the first lock
    erle_db: Any


class EchoCanceller:
    """Streaming echo canceller; the result does not depend on how the audio is cut into chunks."""

    def __init__(self, config: AecConfig, weights: Weights, streams: int = 1) -> None:
        self._start(HopCanceller(config, weights, streams))

    @classmethod
    def pretrained(cls, streams: int = 1, linear: LinearName | None = None, path: Path | None = None) -> Self:
        """Build from the weights that ship with the package, or from a checkpoint at `path`.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If it is not a checkpoint.
        """
        self = cls.__new__(cls)
        self._start(HopCanceller.pretrained(streams, linear, path))
        return self

    def _start(self, core: HopCanceller) -> None:
        self._core = core
        self._waiting = np.zeros((2, core.streams, HOP), np.float32)  # mic, ref of the hop being filled
        self._filled = np.zeros(core.streams, np.intp)
        self._ready = np.zeros((4, core.streams, HOP), np.float32)  # vad, asr, echo, linear of the last hop

    @property
    def latency(self) -> int:
        """Samples by which the output lags the input; constant, for every chunk size."""
        return self._core.latency + HOP

    def set_betas(self, vad: float, asr: float, slot: int = 0) -> None:
        """Choose how hard each output of one stream suppresses, both in [0, 2]."""
        self._core.set_betas(slot, vad, asr)

    def reset(self, slot: int) -> None:
        """Let a new stream join at `slot`: nothing of the old one stays."""
        self._core.reset(slot)
        self._waiting[:, slot] = self._filled[slot] = self._ready[:, slot] = 0

    def process(self, mic: NDArray[Any], ref: NDArray[Any], active: Mask | None = None) -> Output:
        """Cancel the echo of a chunk of any size.

        Args:
            mic: Microphone, float32 in [-1, 1] or int16, 16 kHz, `(n,)` for one stream, else `(S, n)`.
            ref: What the loudspeaker plays, of the same shape, on the same clock.
            active: Streams that take part, `(S,)`; the others keep their state and return zeros.

        Raises:
            ValueError: If shapes differ or values are not finite; nothing is consumed then.
            TypeError: If an array is neither floating-point nor int16.
        """
        if mic.shape != ref.shape:
            raise ValueError(f"mic and ref must have equal lengths, got {mic.shape} and {ref.shape}")
        shape = mic.shape
        pair = np.stack([_as_streams(mic, self._core.streams), _as_streams(ref, self._core.streams)])
        who = np.ones(self._core.streams, np.bool_) if active is None else active
        if who.shape != (self._core.streams,):
            raise ValueError(f"active is {who.shape}, must be ({self._core.streams},)")
        if not np.isfinite(pair[:, who]).all():
            raise ValueError("mic or ref has values that are not finite")
        out = np.zeros((4, *pair.shape[1:]), np.float32)
        # Streams whose hops are filled equally far go together: nearly always all of them.
        for filled in np.unique(self._filled[who]):
            self._advance(pair, out, who & (self._filled == filled))
        delay, erle = self._core.delay_ms, self._core.erle_db
        if len(shape) == 1:
            out, delay, erle = out[:, 0], float(delay[0]), float(erle[0])
        return Output(out[0, ...], out[1, ...], out[2, ...], out[3, ...], delay, erle)

    def _advance(self, pair: Samples, out: Samples, group: Mask) -> None:
        rows, at = np.flatnonzero(group), 0
        filled = int(self._filled[rows[0]])
        while at < pair.shape[-1]:
            step = min(HOP - filled, pair.shape[-1] - at)
            there, here = slice(filled, filled + step), slice(at, at + step)
            self._waiting[:, rows, there] = pair[:, rows, here]
            out[:, rows, here] = self._ready[:, rows, there]
            at, filled = at + step, filled + step
            if filled == HOP:
                hop = self._core.process(self._waiting[0], self._waiting[1], group)
                self._ready[:, rows] = np.stack([hop.vad, hop.asr, hop.echo, hop.linear])[:, rows]
                filled = 0
        self._filled[rows] = filled


def _as_streams(audio: NDArray[Any], streams: int) -> Samples:
    """Return float32 `(S, n)`."""
    if audio.dtype == np.int16:
        audio = audio.astype(np.float32) / 32768
    elif not np.issubdtype(audio.dtype, np.floating):
        raise TypeError(f"audio must be float32 in [-1, 1] or int16, not {audio.dtype}")
    if audio.ndim == 1 and streams == 1:
        audio = audio[None]
    if audio.ndim != 2 or len(audio) != streams:
        raise ValueError(f"audio of shape {audio.shape} does not fit {streams} stream(s)")
    return audio.astype(np.float32, copy=False)
