"""SpeexDSP's echo canceller and residual suppressor, called in Debian's shared library.

The signatures are those of `speex_echo.h` and `speex_preprocess.h`, version 1.2.
"""

from __future__ import annotations

import ctypes
import ctypes.util
from collections.abc import Callable
from typing import Any

import numpy as np

from aec_core.evaluate.pcm import from_pcm, to_pcm
from aec_core.types import SAMPLE_RATE, Wave

FRAME = SAMPLE_RATE // 100
_TAIL = 512 * SAMPLE_RATE // 1000  # long enough for the delays of phones: it estimates none itself
_ECHO_SET_SAMPLING_RATE = 24
_PREPROCESS_SET_DENOISE = 0
_PREPROCESS_SET_ECHO_STATE = 24
_FUNCTIONS = {
    "speex_echo_state_init": (ctypes.c_void_p, [ctypes.c_int, ctypes.c_int]),
    "speex_echo_ctl": (ctypes.c_int, [ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p]),
    "speex_echo_cancellation": (None, [ctypes.c_void_p] * 4),
    "speex_echo_state_destroy": (None, [ctypes.c_void_p]),
    "speex_preprocess_state_init": (ctypes.c_void_p, [ctypes.c_int, ctypes.c_int]),
    "speex_preprocess_ctl": (ctypes.c_int, [ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p]),
    "speex_preprocess_run": (ctypes.c_int, [ctypes.c_void_p, ctypes.c_void_p]),
    "speex_preprocess_state_destroy": (None, [ctypes.c_void_p]),
}


def load_speex() -> Callable[[Wave, Wave], Wave]:
    """Return a canceller of one clip: the MDF filter over 512 ms, then its residual suppressor.

    Raises:
        OSError: If the library is not installed (Debian's libspeexdsp1).
    """
    found = ctypes.util.find_library("speexdsp")
    if found is None:
        raise OSError("libspeexdsp is not installed: apt-get install libspeexdsp1")
    library: Any = ctypes.CDLL(found)
    for name, (result, arguments) in _FUNCTIONS.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return lambda mic, ref: _cancel(library, mic, ref)


def _cancel(library: Any, mic: Wave, ref: Wave) -> Wave:
    """Cancel a whole clip, `(n,)`; the answer is as long, and late by what the suppressor adds."""
    frames = -(-len(mic) // FRAME)
    heard, played = (
        to_pcm(np.pad(x, (0, frames * FRAME - len(x)))).reshape(frames, FRAME) for x in (mic, ref)
    )
    out = np.empty_like(heard)
    echo = library.speex_echo_state_init(FRAME, _TAIL)
    suppressor = library.speex_preprocess_state_init(FRAME, SAMPLE_RATE)
    try:
        rate, off = ctypes.c_int(SAMPLE_RATE), ctypes.c_int(0)
        library.speex_echo_ctl(echo, _ECHO_SET_SAMPLING_RATE, ctypes.byref(rate))
        library.speex_preprocess_ctl(suppressor, _PREPROCESS_SET_DENOISE, ctypes.byref(off))
        library.speex_preprocess_ctl(suppressor, _PREPROCESS_SET_ECHO_STATE, echo)
        for frame in range(frames):
            library.speex_echo_cancellation(
                echo, heard[frame].ctypes.data, played[frame].ctypes.data, out[frame].ctypes.data
            )
            library.speex_preprocess_run(suppressor, out[frame].ctypes.data)
    finally:
        library.speex_preprocess_state_destroy(suppressor)
        library.speex_echo_state_destroy(echo)
    return from_pcm(out.ravel())[: len(mic)]
