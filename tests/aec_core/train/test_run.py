"""The whole of training, on one shard and for a step or two."""

import os
import shutil
import signal
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
from aec_core.train.records import read_columns
from aec_core.train.run import TrainOptions, train


@pytest.fixture
def options(tmp_path, manifest, shard):
    """Of a run whose mixtures are in the cache already."""
    cache = tmp_path / "cache"
    folder = cache / _key(DataConfig(manifest, "train", 1e-3), AecConfig())
    folder.mkdir(parents=True)
    shard.save(folder / "00000")
    return TrainOptions(
        (manifest,), steps=1, data_hours=(1e-3,), out=tmp_path / "run", cache=cache, validate_minutes=0
    )


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
        train(replace(options, hours=0, steps=None))
    with pytest.raises(ValueError, match="no recipe"):
        train(replace(options, recipe="none"))
    with pytest.raises(ValueError, match="1 manifests need as many"):
        train(replace(options, data_hours=(1.0, 2.0)))
    with pytest.raises(ValueError, match="hours"):
        train(replace(options, data_hours=(-1.0,)))


def test_a_run_is_judged_on_held_out_calls_and_keeps_its_best(options):
    train(replace(options, validate_minutes=10.0))
    best, _ = load_checkpoint(options.out / "best.safetensors")
    last, _ = load_checkpoint(options.out / "model.safetensors")
    np.testing.assert_array_equal(best["near.weight"], last["near.weight"])  # of the one look at the end
    with safe_open(options.out / "best.safetensors", framework="numpy") as file:
        assert float(file.metadata()["score"]) == pytest.approx(
            read_columns(options.out / "validation.csv")["score"][0], abs=1e-3
        )
    assert (options.out / "curves.png").exists()


def test_a_manifest_without_held_out_speech_is_trained_on_unjudged(options, tmp_path, caplog):
    (manifest,) = options.manifests
    lines = [line for line in manifest.read_text().splitlines() if ",valid," not in line]
    unsplit = manifest.with_name("unsplit.csv")
    unsplit.write_text("\n".join(lines) + "\n")
    folder = options.cache / _key(DataConfig(unsplit, "train", 1e-3), AecConfig())
    shutil.copytree(next(options.cache.glob("train-*")), folder)
    train(replace(options, manifests=(unsplit,), validate_minutes=10.0))
    assert "no validation" in caplog.text
    assert not (options.out / "best.safetensors").exists()


def test_a_terminated_run_keeps_what_is_done(options, monkeypatch):
    """SIGTERM after the second step, as a scheduler sends it."""
    step = Trainer._train

    def step_and_terminate(self, *batch):
        terms = step(self, *batch)
        if self.step == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return terms

    monkeypatch.setattr(Trainer, "_train", step_and_terminate)
    with pytest.raises(KeyboardInterrupt):
        train(replace(options, steps=3))
    assert (options.out / "last.pt").exists()
    with safe_open(options.out / "model.safetensors", framework="numpy") as file:
        assert file.metadata()["steps"] == "2"
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
