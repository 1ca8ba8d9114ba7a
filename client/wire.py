"""Client side of the binary frames of `/v1/realtime`: a 32-byte header, then interleaved int16 samples.

The byte table is in docs/protocol.md. The server has its own reading of it on purpose: both are held to
the golden vectors in tests/golden, so neither can drift without a test failing.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum, IntFlag

import numpy as np
from numpy.typing import NDArray

Pcm = NDArray[np.int16]
"""Samples of one frame, shape `(n, channels)`."""

SUBPROTOCOL = "duplex.v1"
VERSION = 1
CODEC_INT16 = 1
FRAME_MS = 20

_HEADER = struct.Struct("<BBHIQQHBBI")
HEADER_BYTES = _HEADER.size


class Kind(IntEnum):
    MIC_REF = 1
    MIC = 2
    REF = 3
    AGENT = 16
    CLEANED = 17


class Flag(IntFlag):
    DISCONTINUITY = 1
    REF_SILENT = 2
    ONE_CLOCK = 4
    REPLAYED = 8
    MUTED = 16


class WireError(ValueError):
    """The server sent bytes that are not a frame of this protocol."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One binary message.

    Attributes:
        kind: What the channels are.
        seq: Counts the sender's frames.
        audio: int16 PCM, shape `(n, channels)`.
        mic_start: Index of the first sample on the mic clock, at the wire rate.
        ref_start: Index of the first sample on the ref clock, at the wire rate.
        flags: See `Flag`.
        ms: The sender's monotonic milliseconds; wraps at 32 bits.
    """

    kind: int
    seq: int
    audio: Pcm
    mic_start: int
    ref_start: int
    flags: int = 0
    ms: int = 0


class Numbering:
    """Gives the frames of one sender their numbers and sample indices.

    Attributes:
        next_seq: Number of the next frame.
        sent: Samples of the microphone so far.
    """

    def __init__(self) -> None:
        self.next_seq = 0
        self.sent = 0
        self._ref_sent = 0

    def pair(self, audio: Pcm, ms: int) -> Frame:
        """Number a frame of microphone and reference on one clock, `(n, 2)`."""
        frame = Frame(Kind.MIC_REF, self.next_seq, audio, self.sent, self.sent, Flag.ONE_CLOCK, ms)
        self.next_seq += 1
        self.sent += len(audio)
        return frame

    def apart(self, kind: Kind, audio: Pcm, ms: int) -> Frame:
        """Number a frame `(n,)` of a microphone or a reference that has a clock of its own."""
        frame = Frame(kind, self.next_seq, audio[:, None], self.sent, self._ref_sent, 0, ms)
        self.next_seq += 1
        if kind == Kind.MIC:
            self.sent += len(audio)
        else:
            self._ref_sent += len(audio)
        return frame


def pack(frame: Frame) -> bytes:
    """Write a frame as the bytes of one WebSocket message."""
    samples, channels = frame.audio.shape
    header = _HEADER.pack(
        frame.kind,
        VERSION,
        frame.flags,
        frame.seq & 0xFFFF_FFFF,
        frame.mic_start,
        frame.ref_start,
        samples,
        channels,
        CODEC_INT16,
        frame.ms & 0xFFFF_FFFF,
    )
    return header + frame.audio.astype("<i2", copy=False).tobytes()


def unpack(message: bytes) -> Frame:
    """Read one binary message.

    Raises:
        WireError: If the header is short, of another version or codec, or does not fit its payload.
    """
    if len(message) < HEADER_BYTES:
        raise WireError(f"a frame of {len(message)} bytes has no whole header")
    kind, version, flags, seq, mic_start, ref_start, samples, channels, codec, ms = _HEADER.unpack_from(
        message
    )
    if version != VERSION or codec != CODEC_INT16:
        raise WireError(f"frame of version {version}, codec {codec}: this client reads 1 and 1")
    if channels > 2 or len(message) - HEADER_BYTES != 2 * samples * channels:
        raise WireError(f"{len(message) - HEADER_BYTES} payload bytes for {samples} samples x {channels}")
    audio = np.frombuffer(message, "<i2", offset=HEADER_BYTES).astype(np.int16).reshape(samples, channels)
    return Frame(kind, seq, audio, mic_start, ref_start, flags, ms)


def to_int16(audio: NDArray[np.float32] | NDArray[np.int16]) -> NDArray[np.int16]:
    """Turn float samples in [-1, 1] into int16, clipped at full scale; int16 passes.

    Raises:
        ValueError: If the samples are of another kind, or not finite.
    """
    if audio.dtype == np.int16:
        return audio.astype(np.int16, copy=False)
    if not np.issubdtype(audio.dtype, np.floating):
        raise ValueError(f"samples are float in [-1, 1] or int16, not {audio.dtype}")
    if not np.isfinite(audio).all():
        raise ValueError("the audio holds NaN or infinite samples")
    return np.clip(np.rint(audio * 32768.0), -32768, 32767).astype(np.int16)
