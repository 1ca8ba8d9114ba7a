"""The agent's voice on this machine: a clip that repeats, and steps back when somebody talks."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from client.audio import load_mono
from client.duplex import Event
from client.page import web_directory

Audio = NDArray[np.float32]

CLIP = "clip"
SILENT = "none"

_DUCKED = 0.25
_FADE_MS = 20  # a step in the volume would click
_PAUSE_MS = 1200  # between the end of a person's turn and the agent's next word


def load_clip(name: str, rate: int) -> Audio:
    """Return what the agent says: the clip that ships, nothing, or a file of the user's.

    Args:
        name: `clip`, `none` or the path of a sound file.
        rate: Of the result, Hz.

    Raises:
        AudioFileError: If the file cannot be used.
    """
    if name == SILENT:
        return np.zeros(0, np.float32)
    folder = web_directory()
    shipped = None if folder is None else folder / "agent.mp3"
    return load_mono(shipped if name == CLIP and shipped is not None else Path(name), rate)


class Player(Protocol):
    """What is on the loudspeaker."""

    @property
    def speaks(self) -> bool:
        """There is, or will be, something to play."""
        ...

    def hear(self, event: Event) -> None:
        """Take an event of the session."""
        ...

    def read(self, n: int) -> Audio:
        """Return the next samples at the device's rate, `(n, 1)`."""
        ...

    def report(self, ahead: int) -> Event | None:
        """Return what to tell the service; `ahead` samples that were read are still to be played."""
        ...


class Agent:
    """Plays a clip over and over; lowers its voice, stops and goes on as the events ask.

    Time is counted in the samples that it has given.

    Args:
        clip: What it says, `(n,)`; empty for an agent that is silent.
        rate: Of the clip, Hz.
    """

    def __init__(self, clip: Audio, rate: int) -> None:
        self._clip = clip
        self._step = 1000 / (_FADE_MS * rate)  # of the volume, a sample
        self._pause = _PAUSE_MS * rate // 1000
        self._position = 0
        self._volume = self._target = 1.0
        self._waits: int | None = None  # samples until it goes on

    @property
    def speaks(self) -> bool:
        """It has something to say."""
        return len(self._clip) > 0

    def hear(self, event: Event) -> None:
        """Take an event of the session."""
        kind = event["type"]
        if kind == "duplex.barge_in":
            self._target = 0.0 if event["stage"] == "commit" else min(self._target, _DUCKED)
        elif kind == "duplex.false_interruption":
            self._target = 1.0
        elif kind == "input_audio_buffer.speech_started":
            self._waits = None
        elif kind == "input_audio_buffer.speech_stopped":
            self._waits = self._pause

    def read(self, n: int) -> Audio:
        """Return the next samples, `(n, 1)`."""
        if self._waits is not None:
            self._waits -= n
            if self._waits <= 0:
                self._waits, self._target = None, 1.0
        if not self.speaks or self._volume == self._target == 0:
            return np.zeros((n, 1), np.float32)
        voice = np.take(self._clip, np.arange(self._position, self._position + n), mode="wrap")
        self._position = (self._position + n) % len(self._clip)
        return (voice * self._fade(n))[:, None]

    def report(self, ahead: int) -> Event | None:
        """Nothing: the service hears in the reference whether a clip plays."""
        return None

    def _fade(self, n: int) -> Audio:
        """Move the volume towards its target; return it for each sample, `(n,)`."""
        steps = self._step * np.arange(1, n + 1, dtype=np.float32)
        rising = self._target >= self._volume
        ramp = self._volume + (steps if rising else -steps)
        gains = np.minimum(ramp, self._target) if rising else np.maximum(ramp, self._target)
        self._volume = float(gains[-1]) if n else self._volume
        return gains.astype(np.float32, copy=False)
