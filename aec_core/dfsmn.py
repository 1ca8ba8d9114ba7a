"""The residual suppressor's forward in NumPy: a DFSMN with two masks (paper, section II-B).

`aec_core/train/network.py` is the same network in torch, for gradients; a test holds them equal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aec_core.features import FEATURES
from aec_core.stft import BINS
from aec_core.types import Samples

LAYERS = 9  # three stages of three
HIDDEN = 128
TAPS = 20  # frames of look-back, the present one among them

Weights = Mapping[str, NDArray[np.float32]]
State = list[Samples]
"""For each layer the projections of earlier frames, newest first, `(S, taps - 1, hidden)`."""

SHAPES: dict[str, tuple[int, ...]] = {
    "norm.mean": (FEATURES,),
    "norm.std": (FEATURES,),
    "input.weight": (HIDDEN, FEATURES),
    "input.bias": (HIDDEN,),
    "layers.expand.weight": (LAYERS, HIDDEN, HIDDEN),
    "layers.expand.bias": (LAYERS, HIDDEN),
    "layers.project.weight": (LAYERS, HIDDEN, HIDDEN),
    "layers.memory.weight": (LAYERS, TAPS, HIDDEN),
    "near.weight": (BINS, HIDDEN),
    "near.bias": (BINS,),
    "echo.weight": (BINS, HIDDEN),
    "echo.bias": (BINS,),
}


@dataclass(frozen=True)
class Folded:
    """Weights as the products take them, `(in, out)`; the features' normalisation is in the first layer."""

    input: Samples
    input_bias: Samples
    expand: Samples
    expand_bias: Samples
    project: Samples
    memory: Samples  # newest first
    heads: Samples  # near, then echo
    heads_bias: Samples


def fold(weights: Weights) -> Folded:
    """Check the weights and lay them out for a forward pass.

    Raises:
        ValueError: If an array is missing, of another shape, or not finite.
    """
    check_weights(weights)
    scaled = weights["input.weight"] / weights["norm.std"]
    return Folded(
        input=np.ascontiguousarray(scaled.T),
        input_bias=np.asarray(weights["input.bias"] - scaled @ weights["norm.mean"], np.float32),
        expand=np.ascontiguousarray(weights["layers.expand.weight"].swapaxes(1, 2)),
        expand_bias=weights["layers.expand.bias"],
        project=np.ascontiguousarray(weights["layers.project.weight"].swapaxes(1, 2)),
        memory=weights["layers.memory.weight"],
        heads=np.concatenate([weights["near.weight"], weights["echo.weight"]]).T.copy(),
        heads_bias=np.concatenate([weights["near.bias"], weights["echo.bias"]]),
    )


class Suppressor:
    """Weights in the object, state in the arguments: one object serves every stream."""

    def __init__(self, weights: Weights) -> None:
        """Take the weights (`fold`)."""
        self._folded = fold(weights)

    def init_state(self, streams: int) -> State:
        return [np.zeros((streams, TAPS - 1, HIDDEN), np.float32) for _ in range(LAYERS)]

    def process(self, features: Samples, state: State) -> tuple[Samples, Samples, State]:
        """Estimate the masks of one frame.

        Args:
            features: `(S, 240)` from `log_mel`.
            state: From `init_state` or the last call.

        Returns:
            `(near mask, echo mask, state)`, masks `(S, bins)` in (0, 1), for the linear error.
        """
        folded = self._folded
        x = np.maximum(features @ folded.input + folded.input_bias, 0)
        after: State = []
        for layer, past in enumerate(state):
            x, past = self._layer(layer, x, past)
            after.append(past)
        # The logistic function by tanh cannot overflow.
        masks = np.float32(0.5) + np.float32(0.5) * np.tanh(
            np.float32(0.5) * (x @ folded.heads + folded.heads_bias)
        )
        return masks[:, :BINS], masks[:, BINS:], after

    def _layer(self, layer: int, x: Samples, past: Samples) -> tuple[Samples, Samples]:
        """One DFSMN layer `(S, hidden)`; the memory is an FIR filter over its projections."""
        folded = self._folded
        h = np.maximum(x @ folded.expand[layer] + folded.expand_bias[layer], 0)
        p = h @ folded.project[layer]
        memory = folded.memory[layer]
        after = np.concatenate([p[:, None], past[:, :-1]], axis=1)
        return x + p + p * memory[0] + np.einsum("nth,th->nh", past, memory[1:]), after


def check_weights(weights: Weights) -> None:
    """Raise a ValueError that names the first array that is missing, misshapen or not finite."""
    for name, shape in SHAPES.items():
        if name not in weights:
            raise ValueError(f"weights lack {name!r}")
        array = weights[name]
        if array.shape != shape or array.dtype != np.float32:
            raise ValueError(f"{name!r} is {array.dtype} {array.shape}, must be float32 {shape}")
        if not np.isfinite(array).all():
            raise ValueError(f"{name!r} has values that are not finite")


def parameters() -> int:
    """Count what training learns: 432,770 (paper: 432k)."""
    return sum(int(np.prod(shape)) for name, shape in SHAPES.items() if not name.startswith("norm."))


def random_weights(seed: int = 0) -> dict[str, NDArray[np.float32]]:
    """Draw weights of a sensible scale, for tests and benchmarks."""
    rng = np.random.default_rng(seed)
    weights = {name: rng.standard_normal(shape) / np.sqrt(shape[-1]) for name, shape in SHAPES.items()}
    weights["norm.mean"] = np.full(FEATURES, -5.0)
    weights["norm.std"] = np.full(FEATURES, 4.0)
    return {name: array.astype(np.float32) for name, array in weights.items()}
