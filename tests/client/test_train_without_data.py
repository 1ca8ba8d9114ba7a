"""The whole way of `duplex train` on a machine that has no data: slow, because it mixes and trains."""

from importlib.util import find_spec

import numpy as np
import pytest
from typer.testing import CliRunner

from aec_core import SAMPLE_RATE, EchoCanceller
from client.cli import app

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (find_spec("torch") and find_spec("pyroomacoustics")), reason="needs the 'train' extra"
    ),
]


def test_the_shipped_voices_are_mixed_and_trained_on(tmp_path):
    options = ["--steps", "3", "--data-hours", "0.05", "--workers", "1", "--validate-minutes", "0"]
    folders = ["--out", str(tmp_path / "run"), "--cache", str(tmp_path / "cache")]
    result = CliRunner().invoke(app, ["train", *options, *folders])
    assert result.exit_code == 0, result.output
    assert not list((tmp_path / "cache").glob("train-*/skipped.csv"))
    aec = EchoCanceller.pretrained(1, path=tmp_path / "run" / "model.safetensors")
    mic = (0.1 * np.random.default_rng(0).standard_normal((1, SAMPLE_RATE))).astype(np.float32)
    assert np.isfinite(aec.process(mic, mic).vad).all()
