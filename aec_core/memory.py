"""How the C library hands out memory: a hop needs the same megabytes again and again."""

from __future__ import annotations

import contextlib
import ctypes

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # names of `mallopt` in glibc's malloc.h
_KEEP_BYTES = 64 << 20
_LARGEST_BYTES = 16 << 20


def keep_freed_memory() -> None:
    """Let this process keep up to 64 MB of freed memory for its next arrays.

    For programs, at their start.     By default glibc gives large arrays back to the kernel at once and
    asks for them anew, cleared, in the next hop: with 32 streams that was a quarter of the canceller's
    time. Does nothing where there is no glibc.
    """
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(_MMAP_THRESHOLD, _LARGEST_BYTES)
        libc.mallopt(_TRIM_THRESHOLD, _KEEP_BYTES)
