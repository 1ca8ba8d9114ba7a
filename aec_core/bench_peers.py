"""What other cancellers cost on the same audio, where they are installed."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from aec_core.types import SAMPLE_RATE, Samples

_TEN_MS = SAMPLE_RATE // 100


def peer_rtfs(mic: Samples, ref: Samples) -> dict[str, dict[str, float]]:
    """Time each installed peer on one stream, shape `(n,)`; a peer that is missing is left out."""
    peers: dict[str, dict[str, float]] = {}
    if (rtf := _webrtc_aec3(mic, ref)) is not None:
        peers["webrtc_aec3"] = {"rtf": rtf}
    return peers


def _webrtc_aec3(mic: Samples, ref: Samples) -> float | None:
    """Return CPU seconds for each second of audio, or None without livekit."""
    try:
        from livekit import rtc
    except ImportError:
        return None
    module = rtc.AudioProcessingModule(echo_cancellation=True)
    pairs = list(zip(_frames(rtc, mic), _frames(rtc, ref), strict=True))
    began = time.process_time()
    for mic_frame, ref_frame in pairs:
        module.process_reverse_stream(ref_frame)
        module.set_stream_delay_ms(0)
        module.process_stream(mic_frame)
    return (time.process_time() - began) / (len(pairs) * _TEN_MS / SAMPLE_RATE)


def _frames(rtc: Any, audio: Samples) -> list[Any]:
    pcm = np.clip(np.rint(audio * 32768), -32768, 32767).astype(np.int16)
    whole = len(pcm) - len(pcm) % _TEN_MS
    pieces = pcm[:whole].reshape(-1, _TEN_MS)
    return [rtc.AudioFrame(bytearray(piece.tobytes()), SAMPLE_RATE, 1, _TEN_MS) for piece in pieces]
