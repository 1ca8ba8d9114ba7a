"""Other cancellers on the same audio: what people would use instead, as their packages ship it."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from aec_core.evaluate.pcm import from_pcm, to_pcm
from aec_core.evaluate.speex import load_speex
from aec_core.types import SAMPLE_RATE, Samples, Wave

TEN_MS = SAMPLE_RATE // 100

Cancel = Callable[[Wave, Wave], Wave]
"""`(mic, ref)`, `(n,)` each, to the cleaned clip, `(n,)`; every call is a new call of a new user."""


@dataclass(frozen=True)
class Peer:
    """One canceller.

    Attributes:
        name: For tables.
        key: For JSON.
        cancel: Cleans one clip.
        latency: Samples by which its output lags the microphone.
    """

    name: str
    key: str
    cancel: Cancel
    latency: int

    def __call__(self, mic: Wave, ref: Wave) -> Wave:
        """Clean one clip, `(n,)`, in time with the microphone."""
        flush = np.zeros(self.latency, np.float32)
        return self.cancel(np.append(mic, flush), np.append(ref, flush))[self.latency :]


def find_peers() -> tuple[list[Peer], list[str]]:
    """Return the peers that this machine has, and one line about each that it lacks."""
    found: list[Peer] = []
    missing: list[str] = []
    for name, key, load, latency in _PEERS:
        try:
            found.append(Peer(name, key, load(), latency))
        except (ImportError, OSError, AttributeError) as error:
            missing.append(f"{name} is left out: {error}")
    return found, missing


def _load_aec3() -> Cancel:
    rtc: Any = importlib.import_module("livekit.rtc")

    def cancel(mic: Wave, ref: Wave) -> Wave:
        module = rtc.AudioProcessingModule(echo_cancellation=True)
        out: list[Samples] = []
        for heard, played in zip(_frames(mic), _frames(ref), strict=True):
            frames = [rtc.AudioFrame(bytearray(x.tobytes()), SAMPLE_RATE, 1, TEN_MS) for x in (heard, played)]
            module.process_reverse_stream(frames[1])
            module.set_stream_delay_ms(0)
            module.process_stream(frames[0])
            out.append(from_pcm(np.frombuffer(frames[0].data, np.int16)))
        return np.concatenate(out)[: len(mic)]

    return cancel


def _load_pyaec() -> Cancel:
    package: Any = importlib.import_module("pyaec")

    def cancel(mic: Wave, ref: Wave) -> Wave:
        aec = package.Aec(TEN_MS, 512 * SAMPLE_RATE // 1000, SAMPLE_RATE, True)
        pairs = zip(_frames(mic), _frames(ref), strict=True)
        out = [
            np.array(aec.cancel_echo(heard.tolist(), played.tolist()), np.int16) for heard, played in pairs
        ]
        return from_pcm(np.concatenate(out))[: len(mic)]

    return cancel


def _frames(audio: Wave) -> Any:
    """Cut into 10 ms of 16 bits, `(frames, 160)`, the last one filled up with silence."""
    return to_pcm(np.pad(audio, (0, -len(audio) % TEN_MS))).reshape(-1, TEN_MS)


# Latencies were measured: the lag at which each passes speech while nothing is played.
_PEERS: tuple[tuple[str, str, Callable[[], Cancel], int], ...] = (
    ("WebRTC AEC3", "webrtc_aec3", _load_aec3, 128),
    ("SpeexDSP", "speexdsp", load_speex, 160),
    ("pyaec", "pyaec", _load_pyaec, 160),
)
