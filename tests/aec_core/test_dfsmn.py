import numpy as np
import pytest

from aec_core.dfsmn import FEATURES, HIDDEN, TAPS, Suppressor, parameters, random_weights
from aec_core.stft import BINS
from tests.aec_core.signals import white


def masks(network, features):
    """Run `(S, T, 240)` frame by frame."""
    state, out = network.init_state(len(features)), []
    for t in range(features.shape[1]):
        near, echo, state = network.process(features[:, t], state)
        out.append(np.stack([near, echo]))
    return np.stack(out, axis=2)


def test_has_the_papers_number_of_parameters():
    assert parameters() == 432_770


def test_masks_are_in_the_unit_interval_for_any_features():
    network = Suppressor(random_weights())
    near, echo, _ = network.process(1e4 * white((4, FEATURES)), network.init_state(4))
    assert near.shape == echo.shape == (4, BINS)
    assert near.dtype == np.float32
    for mask in (near, echo):
        assert ((mask >= 0) & (mask <= 1)).all()


def test_the_memory_is_the_papers_fir_filter():
    weights = random_weights(1)
    network = Suppressor(weights)
    x = white((1, 60, HIDDEN), level=1.0)
    past, out = network.init_state(1)[0], []
    for t in range(60):
        y, past = network._layer(0, x[:, t], past)
        out.append(y[0])
    h = np.maximum(x[0] @ weights["layers.expand.weight"][0].T + weights["layers.expand.bias"][0], 0)
    p = h @ weights["layers.project.weight"][0].T
    a = weights["layers.memory.weight"][0]
    memory = [sum(a[i] * p[t - i] for i in range(min(TAPS, t + 1))) for t in range(60)]
    np.testing.assert_allclose(out, x[0] + p + memory, rtol=1e-3, atol=1e-4)


def test_batched_is_one_by_one():
    network = Suppressor(random_weights())
    features = white((3, 30, FEATURES), level=3.0)
    together = masks(network, features)
    for i in range(3):
        np.testing.assert_allclose(together[:, i], masks(network, features[i : i + 1])[:, 0], atol=1e-4)


def test_the_future_does_not_change_the_past():
    network = Suppressor(random_weights())
    features = white((1, 40, FEATURES), level=3.0)
    other = features.copy()
    other[:, 20:] += 5
    a, b = masks(network, features), masks(network, other)
    np.testing.assert_array_equal(a[:, :, :20], b[:, :, :20])
    assert np.abs(a[:, :, 20:] - b[:, :, 20:]).max() > 1e-3


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("near.bias", None, "lack 'near.bias'"),
        ("near.bias", np.zeros(7, np.float32), "must be float32"),
        ("near.bias", np.full(BINS, np.nan, np.float32), "not finite"),
        ("near.bias", np.zeros(BINS), "float64"),
    ],
)
def test_wrong_weights_are_named(name, value, message):
    weights = random_weights()
    if value is None:
        del weights[name]
    else:
        weights[name] = value
    with pytest.raises(ValueError, match=message):
        Suppressor(weights)
