"""An agent of the service on this machine's loudspeaker."""

from __future__ import annotations

import numpy as np
import soxr

from client.agent_voice import AgentVoice
from client.desktop.frames import FRAME, SAMPLE_RATE
from client.desktop.ring import Samples
from client.duplex import Event

AGENTS = ("narrator", "parrot", "openai")

_REPORT_MS = 200  # between two reports while it speaks


class ServiceAgent:
    """Turns what the service sends, at 16 kHz, into what the device plays.

    Args:
        voice: That the session's frames go into, and which hears the session's events.
        rate: Of the device, Hz.
    """

    speaks = True

    def __init__(self, voice: AgentVoice, rate: int) -> None:
        self._voice = voice
        self._rate = rate
        same = rate == SAMPLE_RATE
        self._resampler = None if same else soxr.ResampleStream(SAMPLE_RATE, rate, 1, dtype="float32")
        self._ready: Samples = np.zeros((0, 1), np.float32)
        self._told: Event | None = None

    def hear(self, event: Event) -> None:
        """Nothing to do: the voice has heard it."""

    def read(self, n: int) -> Samples:
        """Return what is played next, `(n, 1)`; silence where the agent says nothing."""
        while len(self._ready) < n:
            piece = self._voice.take(FRAME)[:, None].astype(np.float32) / np.float32(32768)
            if self._resampler is not None:
                piece = self._resampler.resample_chunk(piece)
            self._ready = np.concatenate([self._ready, piece], dtype=np.float32)
        out, self._ready = self._ready[:n], self._ready[n:]
        return out

    def report(self, ahead: int) -> Event | None:
        """Return what the service should know of the playback now, or None if that is no news.

        Args:
            ahead: Samples at the device's rate that were read and are not played yet.
        """
        report = self._voice.report
        if report is None:
            return None
        waiting_ms = 1000 * (ahead + len(self._ready)) / self._rate
        report["played_ms"] = max(round(report["played_ms"] - waiting_ms, 3), 0.0)
        if self._is_news(report):
            self._told = report
            return report
        return None

    def _is_news(self, report: Event) -> bool:
        told = self._told
        if told is None or (told["playing"], told["item_id"]) != (report["playing"], report["item_id"]):
            return True
        return report["playing"] and abs(report["played_ms"] - told["played_ms"]) >= _REPORT_MS
