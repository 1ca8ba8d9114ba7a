"""The suppressor's weights as one file for C: header, table, aligned float32 arrays (`docs/on-device.md`)."""

from __future__ import annotations

import struct
import zlib
from importlib import resources
from pathlib import Path

import numpy as np

from aec_core.dfsmn import Folded, Weights, fold
from aec_core.features import MEL_MATRIX
from aec_core.types import Samples

MAGIC = b"DUPLEXSW"
VERSION = 1
HEADER = struct.Struct("<8s4I8x")  # magic, version, arrays, bytes of the file, CRC-32 of all after the header
ENTRY = struct.Struct("<24s6I")  # name, offset in the file, values, four dimensions
ALIGNMENT = 64
HEADER_FILE = "duplex_suppressor.h"


def c_arrays(folded: Folded) -> dict[str, Samples]:
    """Return what the file holds, in its order."""
    return {
        "mel": MEL_MATRIX,
        "input": folded.input,
        "input_bias": folded.input_bias,
        "expand": folded.expand,
        "expand_bias": folded.expand_bias,
        "project": folded.project,
        "memory": folded.memory,
        "heads": folded.heads,
        "heads_bias": folded.heads_bias,
    }


def c_weights(weights: Weights) -> bytes:
    """Return the file."""
    arrays = c_arrays(fold(weights))
    table, data = b"", b""
    start = _aligned(HEADER.size + ENTRY.size * len(arrays))
    for name, array in arrays.items():
        dims = (*array.shape, *[1] * (4 - array.ndim))
        table += ENTRY.pack(name.encode(), start + len(data), array.size, *dims)
        data += np.ascontiguousarray(array, "<f4").tobytes()
        data = data.ljust(_aligned(len(data)), b"\0")
    body = table.ljust(start - HEADER.size, b"\0") + data
    return HEADER.pack(MAGIC, VERSION, len(arrays), HEADER.size + len(body), zlib.crc32(body)) + body


def c_header() -> str:
    """Return the source that reads the file and runs it."""
    return (resources.files("aec_core.export") / HEADER_FILE).read_text(encoding="utf-8")


def export_c(weights: Weights, path: Path) -> Path:
    """Write the weights to `path` and the C header beside it; return the header's path."""
    path.write_bytes(c_weights(weights))
    header = path.with_name(HEADER_FILE)
    header.write_text(c_header(), encoding="utf-8")
    return header


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
