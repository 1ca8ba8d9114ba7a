"""Is the reference really what the loudspeaker plays? Time is counted by the microphone's samples."""

from __future__ import annotations

from math import inf

import numpy as np

from aec_core.types import Samples
from server.events import ReferenceState
from server.wiring import Wiring

_SOUND = 1e-4  # -80 dBFS: less is a silent loudspeaker
_SILENT_MS = 3000.0
_MISSING_MS = 1000.0
_CLAIMED_MS = 2000.0  # of silence, where the client says that it plays
_DENIED_MS = 1000.0  # of sound, where it says that it does not

MISSING = "the client says that it plays, but sends no reference: its echo cannot be cancelled"
SILENT = "the client says that it plays, but the reference is silent: is it what the loudspeaker plays?"
DENIED = "the client says that nothing plays, but the reference has sound: the reference is believed"
SWAPPED = (
    "the reference is an echo of the microphone: are the two swapped? (Or the reference is sent later than "
    "its echo arrives.)"
)


class ReferenceHealth:
    """What is known of the reference, and where the client's own word contradicts it."""

    def __init__(self) -> None:
        self._wiring = Wiring()
        self._without_ms = inf
        self._quiet_ms = inf
        self._waited_ms = 0.0
        self._claim: bool | None = None  # the client plays
        self._claimed_ms = 0.0  # for so long
        self._sound_ms = 0.0  # heard since then

    @property
    def state(self) -> ReferenceState | None:
        """None until there is enough to say."""
        if self.missing:
            return "missing" if self._waited_ms >= _MISSING_MS else None
        if self._wiring.swapped:
            return "swapped"
        return "silent" if self._quiet_ms > _SILENT_MS or self._contradicts_playing else "ok"

    @property
    def message(self) -> str | None:
        """What is wrong, in words; None if nothing is."""
        match self.state:
            case "missing":
                return MISSING if self._claim and self._claimed_ms >= _MISSING_MS else None
            case "swapped":
                return SWAPPED
            case "silent":
                return SILENT if self._contradicts_playing else None
            case _:
                return DENIED if self.denied else None

    @property
    def missing(self) -> bool:
        """None has come for a while."""
        return self._without_ms > _MISSING_MS

    @property
    def denied(self) -> bool:
        """There is sound although the client says that nothing plays."""
        return self._claim is False and self._sound_ms > _DENIED_MS

    @property
    def _contradicts_playing(self) -> bool:
        return self._claim is True and min(self._claimed_ms, self._quiet_ms) > _CLAIMED_MS

    def claim(self, playing: bool) -> None:
        """Take the client's word for whether it plays."""
        if playing != self._claim:
            self._claim, self._claimed_ms, self._sound_ms = playing, 0.0, 0.0

    def advance(self, ms: float) -> None:
        """Count so much microphone audio."""
        self._without_ms += ms
        self._quiet_ms += ms
        self._waited_ms += ms
        self._claimed_ms += ms
        if self._quiet_ms > _SILENT_MS:
            self._sound_ms = 0.0

    def hear(self, ref: Samples | None, ms: float) -> None:
        """Take reference audio `(n,)` of `ms` that arrived; None is silence that was left out."""
        self._without_ms = 0.0
        if ref is not None and np.abs(ref).max(initial=0.0) > _SOUND:
            self._quiet_ms = 0.0
            self._sound_ms += ms

    def compare(self, mic: Samples, ref: Samples) -> None:
        """Take a hop of each, `(320,)`, aligned."""
        self._wiring.process(mic, ref)
