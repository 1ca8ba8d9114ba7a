"""End of turn from sound: Smart Turn v3.2 behind a bounded worker thread.

The model (BSD-2, inside the `pipecat-ai` wheel) maps the last 8 s of a turn to P(complete).
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from functools import cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from aec_core.types import SAMPLE_RATE, Samples
from server.asr.contract import Closable
from server.vad import onnx_session
from server.weights import SMART_TURN

WINDOW = 8 * SAMPLE_RATE
_N_FFT, _FFT_HOP, _MELS = 400, 160, 80

logger = logging.getLogger(__name__)


def _mel_to_hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    """Slaney's scale: linear up to 1 kHz, logarithmic above."""
    return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp(np.log(6.4) / 27 * (mel - 15)))


@cache
def _mel_filters() -> NDArray[np.float64]:
    """Triangles of equal area, shape `(80, 201)`, 0-8 kHz."""
    top = 15 + 27 * np.log(SAMPLE_RATE / 2 / 1000) / np.log(6.4)
    edges = _mel_to_hz(np.linspace(0, top, _MELS + 2))
    bins = np.linspace(0, SAMPLE_RATE / 2, _N_FFT // 2 + 1)
    rise = (bins - edges[:-2, None]) / np.diff(edges)[:-1, None]
    fall = (edges[2:, None] - bins) / np.diff(edges)[1:, None]
    return np.maximum(0, np.minimum(rise, fall)) * (2 / (edges[2:] - edges[:-2]))[:, None]


def turn_features(audio: Samples) -> NDArray[np.float32]:
    """Return the log-mel features of the last 8 s, shape `(80, 800)`.

    They are Whisper's, over audio of zero mean and unit variance: a short turn is padded with
    silence in front before it is normalised, as in the model's training.
    """
    x = np.zeros(WINDOW, np.float32)
    tail = audio[-WINDOW:]
    x[WINDOW - len(tail) :] = tail
    x = (x - x.mean()) / np.sqrt(x.var() + 1e-7)
    padded = np.pad(x, _N_FFT // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, _N_FFT)[::_FFT_HOP]
    window = np.hanning(_N_FFT + 1)[:-1]
    power = np.abs(np.fft.rfft(frames[: WINDOW // _FFT_HOP] * window)) ** 2  # (800, 201)
    log = np.log10(np.maximum(_mel_filters() @ power.T, 1e-10))  # (80, 800)
    return ((np.maximum(log, log.max() - 8) + 4) / 4).astype(np.float32)


class TurnModel(Protocol):
    """Anything that judges whether a turn is complete."""

    def predict(self, audio: Samples) -> float:
        """Return P(complete) of a turn `(n,)`."""
        ...


class SmartTurn:
    """Smart Turn v3.2 on one CPU thread; about 35 ms a decision."""

    def __init__(self, model: bytes | None = None) -> None:
        self._session = onnx_session(SMART_TURN.read() if model is None else model)

    def predict(self, audio: Samples) -> float:
        """Return P(complete) of a turn `(n,)` at 16 kHz; only its last 8 s count."""
        return self.predict_together([audio])[0]

    def predict_together(self, audios: Sequence[Samples]) -> list[float]:
        """Return P(complete) of several turns, in order."""
        features = np.stack([turn_features(audio) for audio in audios])
        outputs = self._session.run(None, {"input_features": features})
        return [float(p) for p in np.asarray(outputs[0]).reshape(-1)]


class Turns(Protocol):
    """What the listener needs: decisions that arrive later, or never."""

    def submit(self, audio: Samples) -> Future[float]:
        """Ask for P(complete); the future is cancelled when there is no room."""
        ...


class TurnService:
    """The worker over a turn model, shared by all sessions.

    The queue is bounded: when it is full the answer is a cancelled future, which the endpointer
    treats as a model that is late. A future that the caller cancels is not computed.
    """

    def __init__(self, model: TurnModel, depth: int = 8, threads: int = 1) -> None:
        self._model = model
        self._jobs: queue.Queue[tuple[Future[float], Samples] | None] = queue.Queue(depth)
        self._closed = threading.Event()
        self._threads = [threading.Thread(target=self._run, name="turn", daemon=True) for _ in range(threads)]
        for thread in self._threads:
            thread.start()

    def submit(self, audio: Samples) -> Future[float]:
        """Ask for P(complete) of a turn `(n,)`; returns at once."""
        future: Future[float] = Future()
        try:
            if self._closed.is_set():
                raise queue.Full
            self._jobs.put_nowait((future, audio[-WINDOW:].copy()))
        except queue.Full:
            future.cancel()
        return future

    def close(self) -> None:
        """Cancel what waits and end the threads."""
        self._closed.set()
        while True:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                break
            if job is not None:
                job[0].cancel()
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join()
        if isinstance(self._model, Closable):
            self._model.close()

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            future, audio = job
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(self._model.predict(audio))
            except Exception as error:
                logger.exception("turn model failed")
                future.set_exception(error)
