"""The C implementation in this process, by the machine's own compiler: for checks and measurements."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from aec_core.dfsmn import HIDDEN, LAYERS, TAPS
from aec_core.export.c_weights import HEADER_FILE, c_header
from aec_core.stft import BINS
from aec_core.types import HOP, Samples

_STRUCT_BYTES = 1 << 18  # more than a `duplex_suppressor` takes


def find_compiler() -> str | None:
    """Return the path of the machine's C compiler."""
    return shutil.which("cc")


def compile_suppressor(folder: Path, options: Sequence[str] = ("-O2",)) -> Path:
    """Compile the header into a shared library in `folder`.

    Raises:
        subprocess.CalledProcessError: If the compiler does not take it.
    """
    library = folder / f"suppressor{''.join(options)}.so".replace("/", "_")
    (folder / HEADER_FILE).write_text(c_header(), encoding="utf-8")
    source = folder / "suppressor.c"
    source.write_text(f'#define DUPLEX_SUPPRESSOR_IMPLEMENTATION\n#include "{HEADER_FILE}"\n')
    strict = ("-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror")
    command = ["cc", *strict, *options, "-shared", "-fPIC", source, "-o", library, "-lm"]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return library


class NativeSuppressor:
    """One stream of the compiled implementation."""

    def __init__(self, library: Path, file: bytes) -> None:
        """Load the weights file.

        Raises:
            ValueError: If the implementation does not take it.
        """
        self._c = ctypes.CDLL(str(library))
        self._c.duplex_suppressor_init.restype = ctypes.c_char_p
        self._file = np.frombuffer(bytearray(file), np.uint8)  # lies where floats may
        self._self = np.zeros(_STRUCT_BYTES, np.uint8)
        wrong = self._c.duplex_suppressor_init(
            _at(self._self), _at(self._file), ctypes.c_size_t(len(self._file))
        )
        if wrong is not None:
            raise ValueError(wrong.decode())

    def masks(self, power: Samples) -> tuple[Samples, Samples]:
        """Map the powers of a frame, `(3, bins)`, to near and echo mask, `(bins,)` each."""
        near, echo = np.empty((2, BINS), np.float32)
        self._c.duplex_suppressor_masks(_at(self._self), _at(power), _at(near), _at(echo))
        return near, echo

    def process(self, heard: Samples, betas: Samples) -> Samples:
        """Map a frame of mic, error and aligned reference, `(3, hop)`, to one for each beta, `(2, hop)`."""
        out = np.empty((2, HOP), np.float32)
        mic, error, ref = heard
        self._c.duplex_suppressor_process(
            _at(self._self), _at(mic), _at(error), _at(ref), _at(betas), _at(out)
        )
        return out

    def state(self) -> Samples:
        """Return the memory, `(layers, taps - 1, hidden)`, newest first."""
        out = np.empty((LAYERS, TAPS - 1, HIDDEN), np.float32)
        self._c.duplex_suppressor_state(_at(self._self), _at(out))
        return out


def _at(array: np.ndarray) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)
