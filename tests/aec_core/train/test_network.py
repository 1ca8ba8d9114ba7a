from dataclasses import replace

import numpy as np
import pytest
import torch

from aec_core.checkpoint import load_checkpoint, pretrained_path
from aec_core.dfsmn import SHAPES, TAPS, Suppressor, parameters, random_weights
from aec_core.features import FEATURES
from aec_core.stft import BINS
from aec_core.train.network import Network, export_weights, import_weights
from aec_core.train.stages import FINAL, PROGRESSIVE, Stage

ZEROS, ONES = np.zeros(FEATURES, np.float32), np.ones(FEATURES, np.float32)


def network_of(weights, stages=FINAL):
    network = Network(ZEROS, ONES, stages)
    import_weights(network, weights)
    return network


def features_like(weights, shape=(2, 60), seed=0):
    """Random features as the weights expect them."""
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((*shape, FEATURES)).astype(np.float32)
    return z * weights["norm.std"] + weights["norm.mean"]


def serve(weights, features):
    """Masks of serving, frame by frame: `(near, echo)`, `(batch, time, bins)` each."""
    suppressor = Suppressor(weights)
    state, masks = suppressor.init_state(len(features)), []
    for frame in features.swapaxes(0, 1):
        near, echo, state = suppressor.process(frame, state)
        masks.append((near, echo))
    return (np.stack(part, axis=1) for part in zip(*masks, strict=True))


def shipped():
    return load_checkpoint(pretrained_path())[0]


@pytest.mark.parametrize("weights", [random_weights, shipped])
@torch.no_grad()
def test_training_and_serving_compute_the_same_masks(weights):
    weights = weights()
    features = features_like(weights)
    (trained,) = network_of(weights)(torch.from_numpy(features))
    for ours, served in zip(trained, serve(weights, features), strict=True):
        assert ours.shape == (2, 60, BINS)
        assert ours.std() > 0.05  # masks that say something
        np.testing.assert_allclose(ours.numpy(), served, atol=1e-5)


@pytest.mark.parametrize("weights", [random_weights, shipped])
def test_export_is_the_reverse_of_import(weights):
    weights = weights()
    exported = export_weights(network_of(weights))
    assert exported.keys() == weights.keys()
    for name, array in weights.items():
        np.testing.assert_array_equal(exported[name], array)
        assert exported[name].flags.c_contiguous


def test_training_learns_the_papers_number_of_parameters():
    learnt = sum(p.numel() for p in Network(ZEROS, ONES).parameters())
    assert learnt == parameters() == 432_770


@torch.no_grad()
def test_the_future_does_not_change_the_past_and_the_past_is_heard():
    weights = random_weights(2)
    network, features = network_of(weights), torch.from_numpy(features_like(weights, (1, 50)))
    other = features.clone()
    other[:, 25] += 5
    for a, b in zip(network(features)[0], network(other)[0], strict=True):
        assert torch.equal(a[:, :25], b[:, :25])
        assert (a[:, 25] - b[:, 25]).abs().max() > 1e-3
        assert (a[:, 25 + TAPS :] - b[:, 25 + TAPS :]).abs().max() > 1e-4  # layers add to the look-back


def test_exported_weights_are_a_copy_and_so_is_the_normalisation():
    mean = ZEROS.copy()
    network, other = Network(mean, ONES), Network(mean, ONES)
    before = export_weights(network)
    with torch.no_grad():
        network.heads[0].near.bias += 1
        network.mean += 1
    assert not np.array_equal(export_weights(network)["near.bias"], before["near.bias"])
    for array in (before["norm.mean"], export_weights(other)["norm.mean"], mean):
        np.testing.assert_array_equal(array, 0)


def test_wrong_weights_are_refused_before_anything_is_set():
    network = Network(ZEROS, ONES)
    before = export_weights(network)
    weights = random_weights() | {"echo.bias": np.zeros(1, np.float32)}  # would broadcast
    with pytest.raises(ValueError, match=r"'echo\.bias' is float32 \(1,\)"):
        import_weights(network, weights)
    for name, array in export_weights(network).items():
        np.testing.assert_array_equal(array, before[name])


def scrambled(stages):
    """A network whose heads differ."""
    network = network_of(random_weights(3), stages)
    with torch.no_grad():
        for index, heads in enumerate(network.heads):
            heads.near.weight.mul_(0.5 + 0.25 * index)
            heads.echo.bias.add_(index)
    return network


@torch.no_grad()
def test_every_stage_can_be_served():
    """Layers above a stage pass on what they get, so that a stage's export is a whole checkpoint."""
    features = features_like(random_weights(3))
    whole = tuple(replace(stage, share=1.0) for stage in PROGRESSIVE)
    network = scrambled(whole)
    for stage, trained in enumerate(network(torch.from_numpy(features))):
        exported = export_weights(network, stage)
        assert {name: array.shape for name, array in exported.items()} == SHAPES
        for ours, served in zip(trained, serve(exported, features), strict=True):
            np.testing.assert_allclose(ours.numpy(), served, atol=1e-5)


@torch.no_grad()
def test_a_stage_sees_its_share_of_the_clips():
    network = scrambled(PROGRESSIVE)
    masks = network(torch.randn(6, 5, FEATURES))
    assert [len(near) for near, _ in masks] == [len(echo) for _, echo in masks] == [2, 2, 6]
    whole = scrambled(tuple(replace(stage, share=1.0) for stage in PROGRESSIVE))
    assert len(whole(torch.randn(6, 5, FEATURES))[0][0]) == 6


def test_the_last_stage_is_exported_and_the_other_heads_are_dropped():
    network = scrambled(PROGRESSIVE)
    exported = export_weights(network)
    np.testing.assert_array_equal(exported["near.weight"], network.heads[2].near.weight.detach().numpy())
    assert exported["layers.project.weight"].any(axis=(1, 2)).all()
    assert sum(p.numel() for p in network.parameters()) > parameters()


def test_every_stage_starts_from_imported_heads():
    weights = random_weights(4)
    network = network_of(weights, PROGRESSIVE)
    for heads in network.heads:
        np.testing.assert_array_equal(heads.near.weight.detach().numpy(), weights["near.weight"])
        np.testing.assert_array_equal(heads.echo.bias.detach().numpy(), weights["echo.bias"])


@pytest.mark.parametrize(
    "stages",
    [
        (),
        (Stage(6, 0.0, 1.0),),
        (Stage(9, 0.1, 1.0),),
        (Stage(3, 0.1, 1.0, share=0.0), *FINAL),
        (Stage(6, 0.1, 1.0), Stage(3, 0.1, 1.0), *FINAL),
    ],
)
def test_stages_that_do_not_end_in_a_whole_network_are_refused(stages):
    with pytest.raises(ValueError, match="stage"):
        Network(ZEROS, ONES, stages)


@pytest.mark.parametrize("stages", [FINAL, PROGRESSIVE])
def test_every_parameter_learns(stages):
    network = Network(ZEROS, ONES, stages)
    sum(mask.sum() for masks in network(torch.randn(2, 40, FEATURES)) for mask in masks).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad.abs().sum() > 0, name
