"""The whole of training, on one shard and for a step or two."""

from dataclasses import replace

import numpy as np
import pytest
from safetensors import safe_open

from aec_core import HOP, HopCanceller
from aec_core.checkpoint import load_checkpoint, pretrained_path
from aec_core.config import AecConfig
from aec_core.train import run
from aec_core.train.dataset import DataConfig, _key
from aec_core.train.loop import Trainer
from aec_core.train.run import TrainOptions, train


@pytest.fixture
def options(tmp_path, manifest, shard):
    """Of a run whose mixtures are in the cache already."""
    cache = tmp_path / "cache"
    folder = cache / _key(DataConfig(manifest, "train", 1e-3), AecConfig())
    folder.mkdir(parents=True)
    shard.save(folder / "00000")
    return TrainOptions((manifest,), hours=1e-6, data_hours=(1e-3,), out=tmp_path / "run", cache=cache)


def test_a_manifest_becomes_a_checkpoint_that_cancels(options):
    path = train(options)
    assert path == options.out / "model.safetensors"
    weights, config = load_checkpoint(path)
    assert config == AecConfig()
    with safe_open(path, framework="numpy") as file:
        assert file.metadata()["steps"] == "1"
    core = HopCanceller(config, weights, streams=1)
    out = core.process(*(np.full((1, HOP), 0.1, np.float32) for _ in range(2)))
    assert np.isfinite(out.asr).all()
    # The same call goes on: this run was done.
    again, _ = load_checkpoint(train(options))
    np.testing.assert_array_equal(again["near.weight"], weights["near.weight"])


def test_training_starts_from_the_shipped_weights(options):
    trained, _ = load_checkpoint(train(replace(options, init="pretrained")))
    shipped, _ = load_checkpoint(pretrained_path())
    np.testing.assert_array_equal(trained["norm.mean"], shipped["norm.mean"])
    np.testing.assert_allclose(trained["near.weight"], shipped["near.weight"], atol=0.01)


def test_an_interrupt_exports_what_there_is(options, monkeypatch):
    """Ctrl-C in the first step, which a real signal cannot hit reliably."""

    def interrupted(self, features, error, near):
        raise KeyboardInterrupt

    monkeypatch.setattr(Trainer, "_train", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(options)
    load_checkpoint(options.out / "model.safetensors")
    assert (options.out / "last.pt").exists()


def test_bad_options_fail_before_any_work(options, tmp_path, monkeypatch):
    monkeypatch.setattr(run, "prepare", lambda *_: pytest.fail("made data"))
    with pytest.raises(FileNotFoundError, match="no manifest"):
        train(replace(options, manifests=(*options.manifests, tmp_path / "none.csv")))
    with pytest.raises(FileNotFoundError, match="no model file"):
        train(replace(options, init=str(tmp_path / "none.safetensors")))
    with pytest.raises(ValueError, match="not a safetensors file"):
        train(replace(options, init=str(options.manifests[0])))
    with pytest.raises(ValueError, match="hours"):
        train(replace(options, hours=0))
    with pytest.raises(ValueError, match="1 manifests need as many"):
        train(replace(options, data_hours=(1.0, 2.0)))
    with pytest.raises(ValueError, match="hours"):
        train(replace(options, data_hours=(-1.0,)))
