"""Sound for the sentences of all sessions, made by a few worker threads."""

from __future__ import annotations

import threading
from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

import numpy as np
import soxr

from aec_core.types import Samples
from server.agents.voices import Voice, VoiceError
from server.pcm import Pcm, to_pcm

THREADS = 2
LIMIT = 128  # sentences that wait or are being spoken
KEPT = 48  # sentences that are remembered, for everybody's narrator says the same
LEVEL_DBFS = -20.0
PEAK = 0.9


class VoiceService:
    """A voice behind bounded workers, shared by all sessions."""

    def __init__(self, voice: Voice) -> None:
        self.voice = voice
        self._workers = ThreadPoolExecutor(THREADS, thread_name_prefix="voice")
        self._lock = threading.Lock()
        self._due = 0
        self._known: OrderedDict[tuple[str, int], Pcm] = OrderedDict()

    def submit(self, text: str, rate: int) -> Future[Pcm]:
        """Ask for the sound of a text at `rate` Hz, `(n,)` at -20 dBFS; returns at once.

        The future fails with `VoiceError` where the voice does, and if too much is waiting.
        """
        future: Future[Pcm] = Future()
        with self._lock:
            known = self._known.get((text, rate))
            busy = self._due >= LIMIT
            if known is None and not busy:
                self._due += 1
        if known is not None:
            future.set_result(known)
        elif busy:
            future.set_exception(VoiceError(f"{LIMIT} sentences wait for the voice"))
        else:
            future = self._workers.submit(self._speak, text, rate)
            future.add_done_callback(partial(self._over, text, rate))
        return future

    def close(self) -> None:
        """Drop what waits and end the threads."""
        self._workers.shutdown(cancel_futures=True)

    def _speak(self, text: str, rate: int) -> Pcm:
        audio, native = self.voice.say(text)
        if native != rate:
            audio = np.asarray(soxr.resample(audio, native, rate), np.float32)
        return to_pcm(_levelled(audio))

    def _over(self, text: str, rate: int, future: Future[Pcm]) -> None:
        with self._lock:
            self._due -= 1
            if future.cancelled() or future.exception() is not None:
                return
            self._known[text, rate] = future.result()
            if len(self._known) > KEPT:
                self._known.popitem(last=False)


def _levelled(audio: Samples) -> Samples:
    """Bring speech to one level, whichever voice it is, and keep it from clipping."""
    power = float(np.mean(audio**2)) if len(audio) else 0.0
    if power < 1e-9:
        return audio
    gain = 10 ** (LEVEL_DBFS / 20) / power**0.5
    return audio * np.float32(min(gain, PEAK / float(np.abs(audio).max())))
