"""Rows of an ablation, of a step or two each."""

import os
import signal
from dataclasses import replace

import numpy as np
import pytest
from safetensors import safe_open

from aec_core.checkpoint import load_checkpoint
from aec_core.config import AecConfig
from aec_core.train import ablation
from aec_core.train.ablation import AblationOptions, ablate
from aec_core.train.dataset import DataConfig, _key
from aec_core.train.loop import Trainer


@pytest.fixture
def options(tmp_path, manifest, shard):
    """Of runs whose mixtures are in the cache already."""
    cache = tmp_path / "cache"
    for augmented in (False, True):
        folder = cache / _key(DataConfig(manifest, "train", 1e-3, augmented=augmented), AecConfig())
        folder.mkdir(parents=True)
        shard.save(folder / "00000")
    return AblationOptions(
        tmp_path / "out",
        (manifest,),
        (1e-3,),
        rows=("two-stage", "+ DA + PL"),
        seeds=(1, 2),
        steps=2,
        batch=4,
        cache=cache,
    )


def notes(path):
    with safe_open(path, framework="numpy") as file:
        return file.metadata()


def test_every_row_and_seed_becomes_a_checkpoint_that_says_what_it_is(options):
    paths = ablate(options)
    names = ["da-pl-1", "da-pl-2", "da-pl-stage1-1", "da-pl-stage1-2", "da-pl-stage2-1", "da-pl-stage2-2"]
    assert [path.stem for path in paths] == [*names, "two-stage-1", "two-stage-2"]
    said = {path.stem: notes(path) for path in paths}
    first = said["two-stage-2"]
    assert (first["row"], first["seed"], first["steps"], first["mask"]) == ("two-stage", "2", "2", "single")
    assert "stage" not in said["da-pl-1"]
    assert (said["da-pl-stage2-1"]["row"], said["da-pl-stage2-1"]["stage"]) == ("+ DA + PL", "2")
    weights = {path.stem: load_checkpoint(path)[0] for path in paths}
    assert not weights["da-pl-stage1-1"]["layers.project.weight"][3:].any()
    assert weights["da-pl-1"]["layers.project.weight"][8].any()
    assert not np.array_equal(weights["two-stage-1"]["near.bias"], weights["two-stage-2"]["near.bias"])
    assert not list((options.out / "unfinished").iterdir())


def test_finished_rows_are_left_and_interrupted_ones_go_on(options, monkeypatch):
    options = replace(options, rows=("two-stage",))
    first, second = ablate(options)
    before, expected = first.stat().st_mtime_ns, load_checkpoint(second)[0]
    second.unlink()
    train = Trainer._train

    def interrupted_step(self, *batch):
        os.kill(os.getpid(), signal.SIGINT)
        return train(self, *batch)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_train", interrupted_step)
        with pytest.raises(KeyboardInterrupt):
            ablate(options)
    assert (options.out / "unfinished" / "two-stage-2" / "last.pt").exists()
    told = []
    assert ablate(options, told.append) == [first, second]
    assert told == ["two-stage-1 is there"]
    assert first.stat().st_mtime_ns == before
    for name, array in load_checkpoint(second)[0].items():
        np.testing.assert_array_equal(array, expected[name], err_msg=name)


def test_an_unknown_row_fails_before_any_work(options, monkeypatch):
    monkeypatch.setattr(ablation, "make_data", lambda *_: pytest.fail("made data"))
    with pytest.raises(ValueError, match="no recipe"):
        ablate(replace(options, rows=("two-stage", "three-stage")))
