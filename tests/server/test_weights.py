import hashlib
from pathlib import Path

import pytest

from server.weights import SILERO_VAD, SMART_TURN, WHISPER_TINY_EN, PackagedFile, WeightsError


@pytest.mark.parametrize("file", [SILERO_VAD, SMART_TURN, WHISPER_TINY_EN], ids=lambda file: file.path)
def test_the_installed_packages_ship_the_pinned_models(file: PackagedFile):
    path = file.verify()
    assert hashlib.sha256(path.read_bytes()).hexdigest() == file.sha256


def test_read_returns_the_content_that_was_checked():
    assert SILERO_VAD.read() == SILERO_VAD.locate().read_bytes()


def test_a_package_that_is_not_installed_is_named():
    with pytest.raises(WeightsError, match="package no-such-package is not installed"):
        PackagedFile("no-such-package", "model.onnx", "0").locate()


def test_a_file_that_the_package_lacks_is_named():
    with pytest.raises(WeightsError, match=r"pipecat-ai does not contain pipecat/other\.onnx"):
        PackagedFile("pipecat-ai", "pipecat/other.onnx", "0").locate()


@pytest.mark.parametrize("access", [PackagedFile.read, PackagedFile.verify], ids=["read", "verify"])
def test_a_changed_file_is_refused(access):
    with pytest.raises(WeightsError, match="expected 1234"):
        access(PackagedFile("pipecat-ai", SILERO_VAD.path, "1234"))


def test_locating_imports_nothing_of_the_package():
    import subprocess
    import sys

    code = "import sys, server.weights as w; w.SILERO_VAD.verify(); print('pipecat' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
    assert Path(SILERO_VAD.locate()).is_file()
