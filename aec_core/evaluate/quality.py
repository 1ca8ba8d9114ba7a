"""Perceived quality as models of listeners judge it: AECMOS and DNSMOS."""

from __future__ import annotations

import importlib
from typing import Any, Literal

import numpy as np

from aec_core.types import SAMPLE_RATE, Wave

TalkType = Literal["st", "nst", "dt"]
"""AECMOS's marker: far-end single talk, near-end single talk, double talk."""


class Mos:
    """Microsoft's AECMOS and DNSMOS, as the package `speechmos` ships them; both from 1 to 5."""

    def __init__(self) -> None:
        """Load the models.

        Raises:
            ImportError: If speechmos is not installed.
        """
        self._aecmos: Any = importlib.import_module("speechmos.aecmos")
        self._dnsmos: Any = importlib.import_module("speechmos.dnsmos")

    def echo(self, mic: Wave, ref: Wave, out: Wave, talk: TalkType) -> dict[str, float]:
        """Judge how much echo is heard and how much else was degraded; clips of at most 20 s."""
        clips = {"lpb": _legal(ref), "mic": _legal(mic), "enh": _legal(out)}
        scores = self._aecmos.run(clips, SAMPLE_RATE, talk)
        return {"aecmos_echo": scores["echo_mos"], "aecmos_degradation": scores["deg_mos"]}

    def noise(self, out: Wave) -> dict[str, float]:
        """Judge speech, background and both together without knowing the clean signal."""
        scores = self._dnsmos.run(_legal(out), SAMPLE_RATE)
        names = {"dnsmos_speech": "sig_mos", "dnsmos_background": "bak_mos", "dnsmos_overall": "ovrl_mos"}
        return {ours: float(scores[theirs]) for ours, theirs in names.items()}


def load_mos() -> Mos | None:
    """Return the models, or None without speechmos."""
    try:
        return Mos()
    except ImportError:
        return None


def _legal(audio: Wave) -> Wave:
    return np.clip(audio, -1, 1).astype(np.float32)
