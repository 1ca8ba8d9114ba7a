"""What other programs play, as the reference: a second input with a clock of its own."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from client.desktop.devices import DeviceError, open_input, portaudio
from client.desktop.frames import FRAME_S, Framer
from client.desktop.ring import Ring, Samples
from client.desktop.stream import Stamp, close_stream, stamp_now

_CAPTURED_S = 2
# The reference must be on its way before its echo, whatever the two inputs' buffers are.
_LEAD_MS = 60


class MonitorCallback:
    """What happens on the audio thread: the block is copied.

    Attributes:
        lost: Blocks for which there was no room, or of which the system lost something.
    """

    def __init__(self, capacity: int, channels: int) -> None:
        self.captured = Ring(capacity, channels)
        self.blocks = 0
        self.lost = 0
        self.stamp: Stamp = (0, 0.0)

    def __call__(self, indata: Samples, _frames: int, _time: Any, status: Any) -> None:
        self.blocks += 1
        written = self.captured.write(indata)
        self.lost += bool(status) or not written
        self.stamp = stamp_now(self.captured)


class Monitor:
    """The monitor of a loudspeaker; use it as a context manager.

    Args:
        wanted: Number of the device, or a part of its name.

    Raises:
        DeviceError: If there is no such device; on entering, if it cannot be opened.
    """

    def __init__(self, wanted: str) -> None:
        self.device, self.rate, channels = open_input(wanted)
        self.callback = MonitorCallback(_CAPTURED_S * self.rate, channels)
        self._channels = channels
        self._framer = Framer(self.rate, 1)
        self._frames = 0
        self._stream: Any = None

    def __enter__(self) -> Self:
        sounddevice = portaudio()
        try:
            self._stream = sounddevice.InputStream(
                samplerate=self.rate,
                blocksize=self.rate // 50,
                device=self.device.index,
                channels=self._channels,
                dtype="float32",
                latency="high",
                callback=self.callback,
            )
            self._stream.start()
        except sounddevice.PortAudioError as error:
            raise DeviceError(f"{self.device.name} cannot be opened: {error.args[0]}") from error
        return self

    def __exit__(self, *_: object) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            close_stream(stream)

    def frames(self) -> list[tuple[NDArray[np.int16], int]]:
        """Return the new frames, each `(320,)` at 16 kHz, and the milliseconds to send them with."""
        mono = self.callback.captured.read().mean(axis=1, keepdims=True, dtype=np.float32)
        found: list[tuple[NDArray[np.int16], int]] = []
        for frame in self._framer.push(mono):
            self._frames += 1
            ms = captured_ms(self.callback.stamp, self.rate, self._frames * FRAME_S) - _LEAD_MS
            found.append((frame[:, 0], ms))
        return found


def captured_ms(stamp: Stamp, rate: int, seconds: float) -> int:
    """Return when so many seconds of audio had been captured, in monotonic ms.

    Args:
        stamp: When how many samples had been captured.
        rate: Of these, Hz.
        seconds: Of audio since the start.
    """
    samples, at = stamp
    return round(1000 * (at + seconds - samples / rate))
