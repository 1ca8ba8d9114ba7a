import json

import numpy as np
import pytest
from safetensors.numpy import save_file

from aec_core import AecConfig, HopCanceller
from aec_core.checkpoint import load_checkpoint, pretrained_path, save_checkpoint
from aec_core.config import KalmanConfig, config_from_dict, load_config
from aec_core.dfsmn import random_weights


def test_round_trip(tmp_path):
    weights, config = (
        random_weights(3),
        AecConfig(linear="wrls", beta_vad=0.7, kalman=KalmanConfig(partitions=5)),
    )
    save_checkpoint(tmp_path / "model.safetensors", weights, config, {"steps": "1"})
    loaded, loaded_config = load_checkpoint(tmp_path / "model.safetensors")
    assert loaded_config == config
    for name, array in weights.items():
        np.testing.assert_array_equal(loaded[name], array)


def test_the_shipped_model_is_small_and_loads():
    assert pretrained_path().stat().st_size < 2_000_000
    core = HopCanceller.pretrained(streams=2, linear="wrls")
    assert (core.streams, core.config.linear) == (2, "wrls")


def test_what_is_no_model_is_refused(tmp_path):
    path = tmp_path / "model.safetensors"
    with pytest.raises(FileNotFoundError, match="no model file"):
        load_checkpoint(path)
    path.write_bytes(b"RIFF....WAVE")
    with pytest.raises(ValueError, match="not a safetensors file"):
        load_checkpoint(path)
    save_file({"a": np.zeros(3)}, path)
    with pytest.raises(ValueError, match="is not a duplex-aec/1 checkpoint"):
        load_checkpoint(path)
    metadata = {"format": "duplex-aec/1", "config": json.dumps({"speed": 2})}
    save_file(random_weights(), path, metadata)
    with pytest.raises(ValueError, match="speed"):
        load_checkpoint(path)


def test_a_truncated_model_is_refused(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(pretrained_path().read_bytes()[:-100])
    with pytest.raises(ValueError, match="safetensors"):
        load_checkpoint(path)


@pytest.mark.parametrize(
    "raw",
    [
        {"beta_asr": 3},
        {"linear": "nlms"},
        {"kalman": {"partitions": 0}},
        {"kalman": {"transition": 1.0}},
        {"wrls": {"taps": 0}},
        {"wrls": {"forgetting": 0.5}},
        {"delay": {"max_delay_ms": 5000}},
        {"delay": {"smoothing": 1}},
        {"delay": {"slack_ms": 1}},
        {"delay": {"nonsense": 1}},
    ],
)
def test_settings_out_of_range_are_refused(raw):
    with pytest.raises(ValueError):  # noqa: PT011  # the messages differ
        config_from_dict(raw)


def test_config_from_toml(tmp_path):
    path = tmp_path / "aec.toml"
    path.write_text('linear = "wrls"\n[delay]\nband_hz = [300, 3400]\n')
    config = load_config(path)
    assert (config.linear, config.delay.band_hz) == ("wrls", (300, 3400))
