"""Real transforms of float32 arrays that stay in single precision, with types that say so."""

from __future__ import annotations

from typing import Any, cast

import scipy.fft

from aec_core.types import Samples, Spectrum

_rfft: Any = scipy.fft.rfft
_irfft: Any = scipy.fft.irfft


def rfft(x: Samples, n: int | None = None) -> Spectrum:
    """Transform the last axis, `(..., n)` to `(..., n // 2 + 1)`."""
    return cast(Spectrum, _rfft(x, n=n, axis=-1))


def irfft(x: Spectrum, n: int) -> Samples:
    """Invert the last axis, `(..., n // 2 + 1)` to `(..., n)`."""
    return cast(Samples, _irfft(x, n=n, axis=-1))


def next_fast_len(n: int) -> int:
    """Return the next length that transforms fast."""
    return cast(int, cast(Any, scipy.fft.next_fast_len)(n, real=True))
