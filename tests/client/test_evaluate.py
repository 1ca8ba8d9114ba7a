"""`duplex evaluate` at the command line, and the listeners that it takes from the service."""

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from typer.testing import CliRunner

pytest.importorskip("pesq")

from client.cli import app
from client.listeners import listeners

RECORDINGS = Path(__file__).parents[2] / "client" / "recordings"


def run(*args: object):
    return CliRunner().invoke(app, ["evaluate", *map(str, args)])


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--manifest", "none.csv"], "no manifest at none.csv"),
        (["--linear", "nlms"], "kalman or wrls"),
        (["--manifest", "none.csv", "--pairs", "nowhere"], "no manifest at none.csv"),
        (["--clips", "0"], "clips"),
    ],
)
def test_bad_input_is_clear(args, said):
    result = run(*args)
    assert result.exit_code in (1, 2)
    assert said in result.stderr


@pytest.fixture(scope="module")
def heard():
    return listeners()


@pytest.fixture(scope="module")
def speech():
    return sf.read(RECORDINGS / "near.flac", dtype="float32")[0]


def test_the_detector_hears_speech_and_nothing_below_the_floor_of_the_service(heard, speech):
    assert heard.detect is not None
    probability = heard.detect(speech)
    assert len(probability) == len(speech) // 320
    assert probability.max() > 0.9
    np.testing.assert_array_equal(probability, heard.detect(speech))  # no state is left from the last clip
    assert not heard.detect(1e-3 * speech).any()


def test_the_recogniser_writes_words(heard, speech):
    if heard.recognise is None:
        pytest.skip("whisper is not installed")
    assert len(heard.recognise(speech).split()) > 3
