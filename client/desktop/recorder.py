"""A session on disk: what was heard, what was played, what was made of it, and every event."""

from __future__ import annotations

import json
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import soundfile
from numpy.typing import NDArray

from client.audio import AudioFileError
from client.duplex import Event

Pcm = NDArray[np.int16]

SAMPLE_RATE = 16_000
RECEIVED = ("mic", "ref")
CLEANED = ("vad", "asr")


class Recorder:
    """Writes `mic.wav`, `ref.wav`, `vad.wav`, `asr.wav` (16 kHz) and `events.jsonl` while a session goes on.

    The four files are equally long, and sample `n` of each belongs to sample `n` of the microphone.

    Args:
        folder: Where; it is made, and files of these names in it are replaced.

    Raises:
        AudioFileError: If it cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.samples = 0
        self._cleaned = 0
        self._ref = 0
        self._ahead: Pcm | None = None  # of the reference
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._events = (folder / "events.jsonl").open("w", encoding="utf-8")
            self._files = {
                name: soundfile.SoundFile(
                    folder / f"{name}.wav", "w", samplerate=SAMPLE_RATE, channels=1, subtype="PCM_16"
                )
                for name in (*RECEIVED, *CLEANED)
            }
        except (OSError, soundfile.LibsndfileError) as error:
            raise AudioFileError(f"{folder}: cannot be written ({error})") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def add(self, mic: Pcm, ref: Pcm) -> None:
        """Add what was captured and played, each `(n,)`."""
        self.add_mic(mic)
        self.add_ref(ref, 0)

    def add_mic(self, mic: Pcm) -> None:
        """Add to the microphone alone."""
        self._files["mic"].write(mic)
        self.samples += len(mic)
        self._write_ref()

    def add_ref(self, ref: Pcm, start: int) -> None:
        """Add to the reference alone.

        Args:
            ref: `(n,)`; what is ahead of the microphone waits for it.
            start: Sample of the microphone at which the first `ref` of all belongs; later ones follow on.
        """
        if self._ahead is None:
            ref = np.concatenate([np.zeros(max(start, 0), np.int16), ref])[max(-start, 0) :]
            self._ahead = np.zeros(0, np.int16)
        self._ahead = np.concatenate([self._ahead, ref])
        self._write_ref()

    def add_cleaned(self, start: int, audio: Pcm) -> None:
        """Add both outputs `(n, 2)`, which belong to the microphone's sample `start` and those after it.

        What is missing before them is silent; what the microphone has not recorded is left out.
        """
        piece = audio[max(self._cleaned - start, 0) : max(self.samples - start, 0)]
        if not len(piece):
            return
        self._fill(start)
        for channel, name in enumerate(CLEANED):
            self._files[name].write(piece[:, channel])
        self._cleaned += len(piece)

    def event(self, event: Event) -> None:
        """Add an event."""
        self._events.write(json.dumps(event, ensure_ascii=False) + "\n")

    def close(self) -> None:
        """Make the files equally long and close them."""
        self._fill(self.samples)
        self._files["ref"].write(np.zeros(self.samples - self._ref, np.int16))
        self._events.close()
        for file in self._files.values():
            file.close()

    def _write_ref(self) -> None:
        if self._ahead is None:
            return
        piece = self._ahead[: self.samples - self._ref]
        self._files["ref"].write(piece)
        self._ref += len(piece)
        self._ahead = self._ahead[len(piece) :]

    def _fill(self, end: int) -> None:
        missing = max(end - self._cleaned, 0)
        for name in CLEANED:
            self._files[name].write(np.zeros(missing, np.int16))
        self._cleaned += missing
