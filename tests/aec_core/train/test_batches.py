from itertools import islice

import numpy as np
import pytest
import torch

from aec_core.features import FEATURES, MELS
from aec_core.train.batches import Batches, SpecAugment
from aec_core.types import HOP

REFERENCE = slice(2 * MELS, 3 * MELS)


def batches(saved, seed=0, batch=4, frames=32):
    return Batches([saved], batch, frames, np.random.default_rng(seed))


def test_crops_are_pieces_of_the_shard_on_one_clock(saved, shard):
    features, error, near = next(iter(batches(saved)))
    assert features.shape == (4, 32, FEATURES)
    assert error.shape == near.shape == (4, 32 * HOP)
    assert features.dtype == error.dtype == near.dtype == torch.float32
    for crop, crop_error, crop_near in zip(features.numpy(), error.numpy(), near.numpy(), strict=True):
        found = np.argwhere((shard.features == crop[0]).all(axis=2))
        clip, start = found[0]
        audio = slice(start * HOP, (start + 32) * HOP)
        np.testing.assert_array_equal(crop, shard.features[clip, start : start + 32])
        np.testing.assert_array_equal(crop_error, shard.error[clip, audio])
        np.testing.assert_array_equal(crop_near, shard.near[clip, audio])


def test_the_same_generator_state_gives_the_same_batches(saved):
    first = batches(saved)
    list(islice(first, 3))
    second = batches(saved, seed=9)
    second.rng.bit_generator.state = first.rng.bit_generator.state
    for a, b in zip(next(iter(first)), next(iter(second)), strict=True):
        assert torch.equal(a, b)
    assert not torch.equal(next(iter(batches(saved)))[0], next(iter(batches(saved, seed=1)))[0])


def test_a_crop_longer_than_the_clips_is_a_whole_clip(saved, shard):
    assert next(iter(batches(saved, frames=500)))[0].shape[1] == shard.features.shape[1]


def test_normalisation_is_of_all_clips_and_draws_nothing_from_the_run(saved, shard):
    data = batches(saved, frames=500)
    before = data.rng.bit_generator.state
    mean, std = data.normalisation()
    assert data.rng.bit_generator.state == before
    assert mean.dtype == std.dtype == np.float32
    frames = shard.features.reshape(-1, FEATURES).astype(np.float32)
    np.testing.assert_allclose(mean, frames.mean(axis=0), atol=1.0)
    np.testing.assert_allclose(std, frames.std(axis=0), rtol=0.25)
    assert (std > 0).all()


@pytest.fixture
def masked():
    """`(before, after)` of 64 crops, with a mean that no feature has."""
    features, mean = torch.randn(64, 240, FEATURES), torch.full((FEATURES,), 100.0)
    mean[REFERENCE] += torch.arange(MELS)
    return features, SpecAugment()(features, mean, np.random.default_rng(0)), mean


def test_specaugment_touches_the_reference_alone_and_copies(masked):
    before, after, _ = masked
    assert torch.equal(after[..., : 2 * MELS], before[..., : 2 * MELS])
    assert before.abs().max() < 50  # what was given stays


def test_masked_cells_take_the_mean_in_bands_and_in_spans(masked):
    before, after, mean = masked
    changed = (after != before)[..., REFERENCE]
    assert torch.equal(after[..., REFERENCE][changed], mean[REFERENCE].expand_as(changed)[changed])
    bands, spans = changed.all(dim=1), changed.all(dim=2)
    assert torch.equal(changed, bands[:, None] | spans[:, :, None])
    assert bands.sum(dim=1).max() <= 2 * 27
    assert spans.sum(dim=1).max() <= 0.2 * 240
    assert (bands.sum(dim=1) > 0).float().mean() > 0.4
    assert (spans.sum(dim=1) > 0).float().mean() > 0.4


def test_short_crops_are_masked_within_their_share():
    features, mean = torch.randn(64, 10, FEATURES), torch.full((FEATURES,), 100.0)
    after = SpecAugment()(features, mean, np.random.default_rng(1))
    assert (after != features)[..., REFERENCE].all(dim=2).sum(dim=1).max() <= 2
