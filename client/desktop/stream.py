"""One full-duplex audio stream: the block that is played is the reference of the block that is captured."""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np

from client.desktop.devices import DeviceError, Setup, portaudio
from client.desktop.ring import Ring, Samples

_CAPTURED_S = 2  # that may wait for the program
_PLAYED_S = 1
_CLOSE_S = 2.0
_LONGEST_BLOCK = 8192  # samples; longer ones are dealt with in pieces


Stamp = tuple[int, float]
"""How many samples were captured, and when that was, in monotonic seconds."""


@dataclass
class Counters:
    """What went wrong in the audio, in samples or events since the start.

    Attributes:
        input_overflow: The system lost captured audio, or put silence where it had none; times.
        output_underflow: The system had nothing to play; times.
        late_samples: Played as silence, since the program had not delivered the agent's voice.
        dropped_samples: Captured and played, but not processed, since the program was behind by 2 s.
    """

    input_overflow: int = 0
    output_underflow: int = 0
    late_samples: int = 0
    dropped_samples: int = 0

    @property
    def xruns(self) -> int:
        return self.input_overflow + self.output_underflow

    def as_dict(self) -> dict[str, int]:
        return asdict(self)


class DuplexCallback:
    """What happens on the audio thread: blocks are copied between rings made before, and nothing else.

    Args:
        capacity: Samples for captured audio, and as many again for what waits to be played.
        channel: Of the input, from 0.
    """

    def __init__(self, capacity: int, channel: int) -> None:
        self.captured = Ring(capacity, 2)  # microphone, reference
        self.voice = Ring(capacity, 1)  # what will be played
        self.counters = Counters()
        self.blocks = 0
        self.stamp: Stamp = (0, 0.0)
        self.voiced = False  # something is being played: only then is an empty ring a fault
        self._channel = channel
        self._pair = np.zeros((_LONGEST_BLOCK, 2), np.float32)

    def __call__(self, indata: Samples, outdata: Samples, frames: int, _time: Any, status: Any) -> None:
        if status:
            self._count(status)
        self.blocks += 1
        for start in range(0, frames, _LONGEST_BLOCK):
            end = min(start + _LONGEST_BLOCK, frames)
            self._copy(indata[start:end], outdata[start:end])
        self.stamp = stamp_now(self.captured)

    def _copy(self, indata: Samples, outdata: Samples) -> None:
        n = len(indata)
        pair = self._pair[:n]
        mic, ref = pair[:, :1], pair[:, 1:]
        got = self.voice.read_into(ref)
        if got < n:
            ref[got:] = 0
            if self.voiced:
                self.counters.late_samples += n - got
        mic[:] = indata[:, self._channel : self._channel + 1]
        outdata[:] = ref  # the same on all channels
        if not self.captured.write(pair):
            self.counters.dropped_samples += n

    def _count(self, status: Any) -> None:
        # Underflow of the input is audio that the system made up: to the canceller as bad as a loss.
        self.counters.input_overflow += bool(status.input_overflow) + bool(status.input_underflow)
        self.counters.output_underflow += bool(status.output_underflow) + bool(status.output_overflow)


def stamp_now(captured: Ring) -> Stamp:
    """Say how much has been captured until now."""
    return captured.written, time.monotonic()


class AudioStream:
    """The open devices; use it as a context manager.

    Args:
        setup: Devices, rate and channels.
        latency_ms: What to ask of the system; None for its own safe value.
        open_stream: Makes the stream; sounddevice's by default.

    Raises:
        DeviceError: If the devices cannot be opened, on entering.
    """

    def __init__(
        self,
        setup: Setup,
        latency_ms: float | None = None,
        open_stream: Callable[..., Any] | None = None,
    ) -> None:
        self.setup = setup
        self.rate = setup.rate
        self.callback = DuplexCallback(_CAPTURED_S * setup.rate, setup.channel)
        self._latency = "high" if latency_ms is None else latency_ms / 1000
        self._open = open_stream
        self._stream: Any = None

    @property
    def counters(self) -> Counters:
        return self.callback.counters

    @property
    def active(self) -> bool:
        """The system still calls us."""
        return self._stream is not None and bool(self._stream.active)

    @property
    def latency_ms(self) -> float:
        """From the callback to the loudspeaker, and from the microphone back, as the system says."""
        return 1000 * float(sum(self._stream.latency))

    def __enter__(self) -> Self:
        sounddevice = portaudio()
        make = self._open or sounddevice.Stream
        setup = self.setup
        try:
            self._stream = make(
                samplerate=setup.rate,
                blocksize=setup.rate // 50,  # 20 ms, a frame of the protocol
                device=(setup.microphone.index, setup.loudspeaker.index),
                channels=(setup.inputs, setup.outputs),
                dtype="float32",
                latency=self._latency,
                dither_off=True,  # the reference is what is played, without noise of PortAudio's
                callback=self.callback,
            )
            self._stream.start()
        except sounddevice.PortAudioError as error:
            names = f"{setup.microphone.name} and {setup.loudspeaker.name}"
            raise DeviceError(f"{names} cannot be opened at {setup.rate} Hz: {error.args[0]}") from error
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop the audio; does nothing the second time."""
        stream, self._stream = self._stream, None
        if stream is not None:
            close_stream(stream)


def close_stream(stream: Any) -> None:
    """Close a stream of sounddevice, whatever has become of its device."""
    # The driver of a device that is gone may never come back from closing it.
    closing = threading.Thread(target=stream.close, daemon=True)
    closing.start()
    closing.join(_CLOSE_S)
    if closing.is_alive():
        atexit.register(_leave)


def _leave() -> None:
    """End the process before PortAudio waits for the lost device once more, as it would at the exit."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)
