"""What is kept of a recorded session: files that only the owner can read, and for how long.

A bundle is a directory: `mic`, `ref`, `vad` and `asr` `.wav` (16 kHz, aligned, int16), `events.jsonl` (what
the peer was told), `messages.bin` (what it sent, to run it again) and `config.json`.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import struct
import sys
import time
import wave
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import numpy as np

from aec_core.types import SAMPLE_RATE
from server.pcm import Pcm, from_bytes

if sys.platform != "win32":
    import fcntl

SOUNDS = ("mic", "ref", "vad", "asr")
EVENTS, MESSAGES, CONFIG = "events.jsonl", "messages.bin", "config.json"

_NAME = re.compile(r"(\d{8}T\d{6}Z)_sess_[a-z0-9-]{1,63}_[0-9a-f]{16}")
_RECORD = struct.Struct("<?I")  # text or not, bytes


class Bundle:
    """The files of one session, being written.

    Args:
        folder: Where bundles are kept; made for the owner only if it is missing.
        session_id: Names the bundle, after the time.
        config: For `config.json`.

    Raises:
        OSError: If they cannot be made.
    """

    def __init__(self, folder: Path, session_id: str, config: Mapping[str, Any]) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path = folder / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}_{session_id}"
        self.path.mkdir(mode=0o700)
        self._files: list[IO[bytes]] = []
        _lock(self._create(CONFIG))
        self._files[0].write(json.dumps(config, indent=1).encode())
        self._events, self._messages = self._create(EVENTS), self._create(MESSAGES)
        self._sounds = [self._sound(name) for name in SOUNDS]

    def add_message(self, message: bytes | str) -> None:
        """Keep what the peer sent."""
        content = message.encode() if isinstance(message, str) else message
        self._messages.write(_RECORD.pack(isinstance(message, str), len(content)) + content)

    def add_events(self, lines: Iterable[str]) -> None:
        """Keep what the peer was told."""
        self._events.writelines(f"{line}\n".encode() for line in lines)

    def add_sound(self, channels: Iterable[Pcm]) -> None:
        """Keep as many samples of each of `SOUNDS`; the files are whole after it."""
        for sound, samples in zip(self._sounds, channels, strict=True):
            sound.writeframes(samples.astype("<i2").tobytes())

    def close(self) -> None:
        """Finish the files."""
        for sound in self._sounds:
            sound.close()
        for file in self._files:  # a `Wave_write` leaves its file open
            file.close()

    def _create(self, name: str) -> IO[bytes]:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
        self._files.append(file := os.fdopen(os.open(self.path / name, flags, 0o600), "wb"))
        return file

    def _sound(self, name: str) -> wave.Wave_write:
        sound = wave.open(self._create(f"{name}.wav"), "wb")  # noqa: SIM115 (closed in `close`)
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(SAMPLE_RATE)
        return sound


def read_messages(bundle: Path) -> Iterator[bytes | str]:
    """Yield what the peer of a bundle sent, in order; one that was cut off at the end is left out.

    Raises:
        OSError: If it cannot be read.
    """
    with (bundle / MESSAGES).open("rb") as file:
        while len(head := file.read(_RECORD.size)) == _RECORD.size:
            is_text, size = _RECORD.unpack(head)
            content = file.read(size)
            if len(content) < size:
                return
            yield content.decode() if is_text else content


def read_sound(bundle: Path, name: str) -> Pcm:
    """Return one of `SOUNDS`.

    Raises:
        OSError: If it cannot be read.
        wave.Error: If it is no sound.
    """
    with wave.open(str(bundle / f"{name}.wav"), "rb") as sound:
        return from_bytes(sound.readframes(sound.getnframes()))


def join(pieces: Iterable[Iterable[Pcm]]) -> list[Pcm]:
    """Return each channel in one piece."""
    return [np.concatenate(channel) for channel in zip(*pieces, strict=True)]


def prune(folder: Path, keep_s: float, max_bytes: float) -> list[Path]:
    """Delete bundles that are too old and then, oldest first, those that are too much; return them.

    What is not named like a bundle, and what any process still writes, is left alone; links are not followed.
    """
    bundles = sorted(
        path for path in folder.iterdir() if _NAME.fullmatch(path.name) and not path.is_symlink()
    )
    sizes = {path: _size(path) for path in bundles}
    oldest = f"{datetime.fromtimestamp(time.time() - keep_s, UTC):%Y%m%dT%H%M%SZ}"
    gone: list[Path] = []
    for path in bundles:
        if (path.name < oldest or sum(sizes.values()) > max_bytes) and not _is_being_written(path):
            with suppress(OSError):  # somebody else deletes it
                shutil.rmtree(path)
            del sizes[path]
            gone.append(path)
    return gone


def _size(bundle: Path) -> int:
    with suppress(OSError):
        return sum(file.lstat().st_size for file in bundle.iterdir())
    return 0


def _is_being_written(bundle: Path) -> bool:
    with suppress(OSError), (bundle / CONFIG).open("rb") as file:
        return not _lock(file)
    return False


def _lock(file: IO[bytes]) -> bool:
    """Keep a file for as long as it is open; False if it is kept already, in whichever process."""
    if sys.platform == "win32":  # there no file that is open can be deleted
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
