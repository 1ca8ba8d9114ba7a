"""16-bit samples as they travel, and the floats that the canceller works with."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator

from aec_core.types import Samples

Pcm = NDArray[np.int16]
"""Samples of one channel, shape `(n,)`."""

WIRE = np.dtype("<i2")
FULL_SCALE = np.float32(32768)


def _decoded(text: Any) -> bytes:
    if not isinstance(text, str):
        raise ValueError("must be base64 text")
    try:
        audio = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("is not base64") from None
    if len(audio) % 2:
        raise ValueError(f"{len(audio)} bytes is no whole number of 16-bit samples")
    return audio


Base64Pcm = Annotated[bytes, BeforeValidator(_decoded)]
"""16-bit little-endian mono samples; base64 on the wire, bytes here."""


def from_bytes(audio: bytes | memoryview, offset: int = 0) -> Pcm:
    """Read little-endian samples from a place on."""
    return np.frombuffer(audio, WIRE, offset=offset).astype(np.int16, copy=False)


def to_base64(pcm: Pcm) -> str:
    """Return little-endian samples as base64."""
    return base64.b64encode(pcm.astype(WIRE).tobytes()).decode()


def to_float(pcm: Pcm) -> Samples:
    """Return samples in [-1, 1), of any shape."""
    audio = pcm.astype(np.float32)
    audio /= FULL_SCALE
    return audio


def to_pcm(audio: Samples) -> Pcm:
    """Return 16-bit samples of any shape, clipped at full scale."""
    scaled = audio * FULL_SCALE
    np.rint(scaled, out=scaled)
    return np.clip(scaled, -32768, 32767, out=scaled).astype(np.int16)
