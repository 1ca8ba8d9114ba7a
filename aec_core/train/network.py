"""The suppressor in torch, for gradients; `aec_core/dfsmn.py` is the same network for serving."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from aec_core.dfsmn import HIDDEN, LAYERS, TAPS, check_weights
from aec_core.features import FEATURES
from aec_core.stft import BINS


class Layer(nn.Module):
    """`f = ReLU(W1 x + b)`, `p = W2 f`, `out = x + p + sum_i a_i p(t - i)` (paper, section II-B)."""

    def __init__(self) -> None:
        super().__init__()
        self.expand = nn.Linear(HIDDEN, HIDDEN)
        self.project = nn.Linear(HIDDEN, HIDDEN, bias=False)
        self.memory = nn.Conv1d(HIDDEN, HIDDEN, TAPS, groups=HIDDEN, bias=False)
        nn.init.normal_(self.memory.weight, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(batch, time, hidden)` to the same shape, from an empty past."""
        p = self.project(torch.relu(self.expand(x)))
        past = nn.functional.pad(p.transpose(1, 2), (TAPS - 1, 0))
        return x + p + self.memory(past).transpose(1, 2)


class Network(nn.Module):
    """Features to masks, for whole clips."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: NDArray[np.float32], std: NDArray[np.float32]) -> None:
        """`mean` and `std` normalise the features, `(240,)` each."""
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean))
        self.register_buffer("std", torch.tensor(std))
        self.input = nn.Linear(FEATURES, HIDDEN)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))
        self.near = nn.Linear(HIDDEN, BINS)
        self.echo = nn.Linear(HIDDEN, BINS)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Map `(batch, time, 240)` to `(near mask, echo mask)`, `(batch, time, bins)` each."""
        x = torch.relu(self.input((features - self.mean) / self.std))
        for layer in self.layers:
            x = layer(x)
        return torch.sigmoid(self.near(x)), torch.sigmoid(self.echo(x))


def export_weights(network: Network) -> dict[str, NDArray[np.float32]]:
    """Return a copy of the weights, as `aec_core.dfsmn` names and lays them out."""
    layers = [layer for layer in network.layers if isinstance(layer, Layer)]
    tensors = {
        "norm.mean": network.mean,
        "norm.std": network.std,
        "input.weight": network.input.weight,
        "input.bias": network.input.bias,
        "layers.expand.weight": torch.stack([layer.expand.weight for layer in layers]),
        "layers.expand.bias": torch.stack([layer.expand.bias for layer in layers]),
        "layers.project.weight": torch.stack([layer.project.weight for layer in layers]),
        # torch correlates: its last tap is the present. Serving wants the newest first.
        "layers.memory.weight": torch.stack([layer.memory.weight[:, 0].flip(1).T for layer in layers]),
        "near.weight": network.near.weight,
        "near.bias": network.near.bias,
        "echo.weight": network.echo.weight,
        "echo.bias": network.echo.bias,
    }
    return {name: tensor.detach().cpu().numpy().copy() for name, tensor in tensors.items()}


def import_weights(network: Network, weights: dict[str, NDArray[np.float32]]) -> None:
    """Set a network to exported weights: the reverse of `export_weights`.

    Raises:
        ValueError: If an array is missing, of another shape, or not finite.
    """
    check_weights(weights)
    given = {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in weights.items()}
    with torch.no_grad():
        network.mean.copy_(given["norm.mean"])
        network.std.copy_(given["norm.std"])
        for index, layer in enumerate(network.layers):
            if isinstance(layer, Layer):
                layer.expand.weight.copy_(given["layers.expand.weight"][index])
                layer.expand.bias.copy_(given["layers.expand.bias"][index])
                layer.project.weight.copy_(given["layers.project.weight"][index])
                layer.memory.weight.copy_(given["layers.memory.weight"][index].T.flip(1)[:, None])
        for name in ("input", "near", "echo"):
            linear = getattr(network, name)
            linear.weight.copy_(given[f"{name}.weight"])
            linear.bias.copy_(given[f"{name}.bias"])
