import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from aec_core import HopCanceller
from aec_core.config import AecConfig, DelayConfig
from aec_core.dfsmn import random_weights
from aec_core.features import FEATURES
from aec_core.frontend import FrontEnd
from aec_core.train.dataset import CLIPS, DataConfig, Shard, _key, make_shard, pass_front_end, prepare
from aec_core.train.mixtures import Scene, Talk, make_mixture
from aec_core.types import HOP, SAMPLE_RATE
from tests.aec_core.train.corpus import lag, voice, write_manifest

FRAMES = SAMPLE_RATE // HOP  # of a clip of one second
FIELDS = ("features", "error", "near")


def assert_equal(shard, other):
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(shard, name), getattr(other, name))


def test_a_shard_has_the_documented_shapes(shard):
    assert shard.features.shape == (CLIPS, FRAMES, FEATURES)
    assert shard.error.shape == shard.near.shape == (CLIPS, FRAMES * HOP)
    for name in FIELDS:
        array = getattr(shard, name)
        assert array.dtype == np.float16
        assert np.isfinite(array).all()


def test_another_index_makes_other_clips(sources, data, shard, monkeypatch):
    monkeypatch.setattr("aec_core.train.dataset.CLIPS", 1)
    other = make_shard(sources, data, AecConfig(), 1)
    assert np.abs(other.error[0].astype(float) - shard.error[0]).max() > 1e-3


@pytest.mark.parametrize("linear", ["kalman", "wrls"])  # their latencies differ
def test_error_and_near_are_on_one_clock(sources, data, monkeypatch, linear):
    monkeypatch.setattr("aec_core.train.dataset.CLIPS", 12)
    made = make_shard(sources, data, AecConfig(linear=linear), 0)
    pairs = zip(made.error.astype(float), made.near.astype(float), strict=True)
    lags = [lag(error, near) for error, near in pairs if near.any()]
    assert len(lags) >= 5
    assert np.median(lags) == 0
    assert np.mean(np.array(lags) == 0) >= 0.6


def test_without_a_reference_the_error_is_the_microphone_late():
    mic = np.stack([voice(1, 1), voice(1, 2)])
    _, error, latency = pass_front_end(mic, np.zeros_like(mic), FrontEnd(AecConfig(), 2))
    assert latency == FrontEnd(AecConfig(), 1).latency
    np.testing.assert_allclose(error[:, latency:], mic[:, : mic.shape[1] - latency], atol=1e-5)


@pytest.mark.parametrize("linear", ["kalman", "wrls"])
def test_training_hears_what_serving_hears(sources, linear):
    """Features of a clip in a batch are those that the canceller's network sees, hop by hop."""
    rng = np.random.default_rng(4)
    clips = [make_mixture(Scene(talk, delay_ms=60), sources, 3.0, rng) for talk in (Talk.FAR, Talk.DOUBLE)]
    mic, ref = np.stack([c.mic for c in clips]), np.stack([c.ref for c in clips])
    config = AecConfig(linear=linear)
    features, error, latency = pass_front_end(mic, ref, FrontEnd(config, 2))

    core = HopCanceller(config, random_weights(), streams=1)
    network, seen = core.suppressor.process, []

    def listen(heard, state):
        seen.append(heard[0].copy())
        return network(heard, state)

    core.suppressor.process = listen
    hops = [slice(at, at + HOP) for at in range(0, mic.shape[1], HOP)]
    served = np.concatenate([core.process(mic[1:, hop], ref[1:, hop]).linear[0] for hop in hops])
    assert core.front_end.latency == latency
    assert core.front_end.delay[0] >= 0  # it locked: the aligned reference is compared, too
    np.testing.assert_allclose(features[1], seen, atol=1e-4)
    served = served[core.synthesis.latency :]
    np.testing.assert_allclose(error[1, : len(served)], served, atol=1e-6)


def test_a_shard_survives_the_disk(shard, saved):
    assert_equal(Shard.open(saved), shard)
    assert isinstance(Shard.open(saved).features, np.memmap)
    assert [path.name for path in saved.parent.iterdir()] == [saved.name]


def test_prepare_takes_up_interrupted_work(tmp_path, data, shard):
    """A worker process makes the shard that lacks, whole and the same; what is there is not touched."""
    data = replace(data, hours=2 * CLIPS / 3600)
    folder = tmp_path / _key(data, AecConfig())
    (folder / "00000.partial").mkdir(parents=True)  # stopped while writing
    (folder / "00000.partial" / "features.npy").write_bytes(b"half")
    shard.save(folder / "00001")
    there = (folder / "00001" / "near.npy").stat().st_mtime_ns
    steps = []
    paths = prepare(data, AecConfig(), tmp_path, 1, lambda done, total: steps.append((done, total)))
    assert steps == [(1, 2), (2, 2)]
    assert [path.name for path in paths] == ["00000", "00001"] == sorted(p.name for p in folder.iterdir())
    assert_equal(Shard.open(paths[0]), shard)
    assert (folder / "00001" / "near.npy").stat().st_mtime_ns == there
    # Nothing is left to make: no process is started.
    assert prepare(data, AecConfig(), tmp_path, 0, lambda *_: None) == paths


def test_a_bad_manifest_ends_it_before_a_worker_starts_and_skipped_files_are_listed(tmp_path, caplog):
    (tmp_path / "bad").mkdir()
    bad = write_manifest(tmp_path / "bad", [("none.wav", "speech", "x", "a", "train", "")])
    with pytest.raises(ValueError, match="no usable speech"):
        prepare(DataConfig(bad, "train", 0.1), AecConfig(), tmp_path, 1, lambda *_: None)
    (listing,) = tmp_path.glob("train-*/skipped.csv")
    assert listing.read_text().splitlines()[1] == f"{tmp_path / 'bad' / 'none.wav'},missing"
    assert "1 of 1 clips of split train were skipped: 1 missing (none.wav)" in caplog.text


def test_the_key_is_of_what_decides_the_content(manifest, data, tmp_path):
    key, aec = _key(data, AecConfig()), AecConfig()
    assert _key(replace(data, hours=5), aec) == key  # more of the same
    assert _key(data, replace(aec, beta_vad=0.1, beta_asr=0.9)) == key  # behind the network
    edited = write_manifest(tmp_path, [("a.wav", "speech", "vctk", "a", "train", "")])
    others = [
        _key(replace(data, seed=2), aec),
        _key(replace(data, split="valid"), aec),
        _key(replace(data, seconds=2.0), aec),
        _key(replace(data, manifest=edited), aec),
        _key(data, replace(aec, linear="wrls")),
        _key(data, replace(aec, delay=DelayConfig(headroom_ms=4))),
    ]
    assert len({key, *others}) == 7
    json.dumps(asdict(aec))  # the key needs plain values


def test_the_number_of_shards(manifest):
    def shards(hours):
        return DataConfig(manifest, "train", hours).shards

    assert [shards(hours) for hours in (1e-4, 1 / 15, 12)] == [1, 1, 180]
    for hours, seconds in ((0, 10), (-1, 10), (1, 0.5)):
        with pytest.raises(ValueError, match="hours > 0 and clips of at least a second"):
            DataConfig(manifest, "train", hours, seconds)
