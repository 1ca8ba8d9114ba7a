"""Frame voice activity: Silero VAD over many streams in one call.

The model is Silero VAD 6.2 (MIT): 512 samples with 64 samples of context in, a probability and a
recurrent state out. Streams arrive in hops of 320 samples, so each has a framing of its own.
"""

from __future__ import annotations

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from aec_core.types import HOP, SAMPLE_RATE, Mask, Samples
from server.weights import SILERO_VAD

FRAME = 512
_CONTEXT = 64
_STATE = 128


def onnx_session(model: bytes) -> ort.InferenceSession:
    """Load an ONNX model on one CPU thread; more threads only cost on arrays this small."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


class SileroBank:
    """P(speech) of many streams; slots join, leave and reset on their own."""

    def __init__(self, streams: int, model: bytes | None = None) -> None:
        """Load the model.

        Args:
            streams: Number of slots `S`.
            model: Content of the ONNX file; by default the pinned one of the `pipecat-ai` wheel.

        Raises:
            ValueError: If `streams` is not positive.
            WeightsError: If the packaged model is missing or changed.
        """
        if streams < 1:
            raise ValueError(f"streams is {streams}, must be at least 1")
        self._session = onnx_session(SILERO_VAD.read() if model is None else model)
        self._rate = np.array(SAMPLE_RATE, np.int64)
        # Context, the frame being filled, and room for the hop that completes it.
        self._buffer = np.zeros((streams, _CONTEXT + FRAME + HOP), np.float32)
        self._filled = np.zeros(streams, np.intp)
        self._state = np.zeros((2, streams, _STATE), np.float32)
        self._speech = np.zeros(streams, np.float32)

    def process(self, audio: Samples, active: Mask) -> NDArray[np.float32]:
        """Take one hop of each active stream and return the latest P(speech) of all.

        Args:
            audio: Shape `(S, 320)`; rows of inactive streams are not read.
            active: Which streams take part, shape `(S,)`.

        Returns:
            Shape `(S,)` in [0, 1]; a stream without a complete frame yet has 0.

        Raises:
            ValueError: If a shape is wrong.
        """
        streams = len(self._speech)
        if audio.shape != (streams, HOP) or active.shape != (streams,):
            raise ValueError(
                f"expected ({streams}, {HOP}) and ({streams},), got {audio.shape}, {active.shape}"
            )
        rows = np.flatnonzero(active)
        columns = _CONTEXT + self._filled[rows, None] + np.arange(HOP)
        self._buffer[rows[:, None], columns] = audio[rows]
        self._filled[rows] += HOP
        ready = rows[self._filled[rows] >= FRAME]
        if len(ready):
            self._infer(ready)
        return self._speech.copy()

    def reset(self, slot: int) -> None:
        """Forget everything about one stream."""
        self._buffer[slot] = 0
        self._filled[slot] = 0
        self._state[:, slot] = 0
        self._speech[slot] = 0

    def _infer(self, rows: NDArray[np.intp]) -> None:
        inputs = {
            "input": self._buffer[rows, : _CONTEXT + FRAME],
            "state": self._state[:, rows],
            "sr": self._rate,
        }
        speech, state = self._session.run(None, inputs)
        self._speech[rows] = np.asarray(speech)[:, 0]
        self._state[:, rows] = np.asarray(state)
        self._buffer[rows, :-FRAME] = self._buffer[rows, FRAME:]
        self._filled[rows] -= FRAME
        # A recurrent state that once took a NaN would never report speech again.
        for slot in rows[~np.isfinite(self._state[:, rows]).all(axis=(0, 2))]:
            self.reset(int(slot))
