"""Voices: programs that speak, where they are installed, and the recordings that ship."""

from __future__ import annotations

import json
import logging
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from importlib.resources import as_file, files
from pathlib import Path
from typing import Protocol

import numpy as np
import soundfile

from aec_core.types import Samples
from server.settings import VoiceName

SPEAK_S = 15.0  # for one sentence; a program that takes longer is stopped
MAX_CHARACTERS = 1000
logger = logging.getLogger(__name__)

_CHINESE = re.compile("[\u3400-\u9fff]")


class VoiceError(Exception):
    """A voice cannot be had, or did not speak; the message says why."""


class Voice(Protocol):
    """Anything that turns a sentence into sound.

    Attributes:
        name: For people.
        free: It says any text, and not only those that it knows.
    """

    name: str
    free: bool

    def say(self, text: str) -> tuple[Samples, int]:
        """Return the sound of a text, `(n,)`, and its sample rate in Hz; takes a while.

        Raises:
            VoiceError: If it cannot.
        """
        ...


class Program:
    """A program that writes a WAV file."""

    free = True

    def __init__(self, name: str, command: Sequence[str]) -> None:
        """Name the program.

        Args:
            name: For people.
            command: What is run; it reads the text from its input, `{wav}` stands for the file it writes.
        """
        self.name = name
        self._command = list(command)

    def say(self, text: str) -> tuple[Samples, int]:
        """Run the program on a text, at most 1000 characters of it."""
        text = " ".join(text.split())[:MAX_CHARACTERS]
        with tempfile.TemporaryDirectory() as folder:
            wav = Path(folder) / "said.wav"
            command = [part.replace("{wav}", str(wav)) for part in self._spoken_by(text)]
            try:
                subprocess.run(
                    command, input=text.encode(), check=True, capture_output=True, timeout=SPEAK_S, cwd=folder
                )
                audio, rate = soundfile.read(wav, dtype="float32", always_2d=True)
            except subprocess.TimeoutExpired:
                raise VoiceError(f"{self.name} took more than {SPEAK_S:g} s for a sentence") from None
            except subprocess.CalledProcessError as error:
                # What programs print names files of this machine: it is for the log, not for the client.
                said = error.stderr.decode(errors="replace").strip()[-500:]
                logger.warning("%s failed with %d: %s", self.name, error.returncode, said)
                raise VoiceError(f"{self.name} failed with {error.returncode}") from None
            except (OSError, soundfile.SoundFileError) as error:
                logger.warning("%s wrote no sound: %s", self.name, error)
                raise VoiceError(f"{self.name} wrote no sound") from None
        return np.asarray(audio.mean(axis=1), np.float32), rate

    def _spoken_by(self, text: str) -> list[str]:
        return self._command


class EspeakNg(Program):
    """espeak-ng, which knows many languages; Chinese by its characters."""

    def _spoken_by(self, text: str) -> list[str]:
        return [*self._command, "-v", "cmn" if _CHINESE.search(text) else "en-us"]


class Shipped:
    """Recordings of the texts that the agents say word for word."""

    name = "shipped recordings"
    free = False

    def __init__(self) -> None:
        folder = files("server.agents.prompts")
        self._places: Mapping[str, tuple[int, int]] = json.loads((folder / "prompts.json").read_text("utf-8"))
        with as_file(folder / "prompts.ogg") as path:
            self._audio, self._rate = soundfile.read(path, dtype="float32")

    def say(self, text: str) -> tuple[Samples, int]:
        """Return the recording of a text."""
        if text not in self._places:
            raise VoiceError("no voice is installed that says any text: install piper, flite or espeak-ng")
        start, end = self._places[text]
        return np.asarray(self._audio[start:end], np.float32), self._rate


def load_voice(name: VoiceName = "auto", model: Path | None = None) -> Voice:
    """Choose a voice.

    Args:
        name: `auto` is piper if a model for it is given, else flite, else espeak-ng, else the recordings.
        model: The `.onnx` file of a piper voice, with its `.json` beside it.

    Raises:
        VoiceError: If a voice that was asked for by name cannot be had.
    """
    if name == "auto":
        name = _best(model is not None)
    if name == "shipped":
        return Shipped()
    if shutil.which(name) is None:
        raise VoiceError(f"the voice {name} is not installed")
    if name == "flite":
        return Program("flite slt", ["flite", "-voice", "slt", "-f", "/dev/stdin", "-o", "{wav}"])
    if name == "espeak-ng":
        return EspeakNg("espeak-ng", ["espeak-ng", "--stdin", "-w", "{wav}"])
    if model is None:
        raise VoiceError("piper needs a model: set agent_voice_model to the .onnx file of a voice")
    return Program(f"piper {model.stem}", ["piper", "-m", str(model.resolve()), "-f", "{wav}"])


def _best(has_model: bool) -> VoiceName:
    if has_model and shutil.which("piper"):
        return "piper"
    if shutil.which("flite"):
        return "flite"
    return "espeak-ng" if shutil.which("espeak-ng") else "shipped"
