"""The suppressor in torch, for gradients; `aec_core/dfsmn.py` is the same network for serving."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from aec_core.dfsmn import HIDDEN, LAYERS, TAPS, check_weights
from aec_core.features import FEATURES
from aec_core.stft import BINS
from aec_core.train.stages import FINAL, Stage, check_stages

Masks = tuple[Tensor, Tensor]
"""`(near mask, echo mask)`, `(batch, time, bins)` each."""


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
        past = nn.functional.pad(p, (0, 0, TAPS - 1, 0))
        # As an image of one row, the channels stay innermost: three times faster than conv1d on a CPU.
        image, kernel = past.transpose(1, 2).unsqueeze(2), self.memory.weight.unsqueeze(2)
        memory = nn.functional.conv2d(image, kernel, groups=HIDDEN)
        return x + p + memory.squeeze(2).transpose(1, 2)


class Heads(nn.Module):
    """Both masks of a stage."""

    def __init__(self) -> None:
        super().__init__()
        self.near = nn.Linear(HIDDEN, BINS)
        self.echo = nn.Linear(HIDDEN, BINS)

    def forward(self, x: Tensor) -> Masks:
        return torch.sigmoid(self.near(x).float()), torch.sigmoid(self.echo(x).float())


class Network(nn.Module):
    """Features to masks, for whole clips."""

    mean: Tensor
    std: Tensor

    def __init__(
        self, mean: NDArray[np.float32], std: NDArray[np.float32], stages: tuple[Stage, ...] = FINAL
    ) -> None:
        """`mean` and `std` normalise the features, `(240,)` each."""
        super().__init__()
        check_stages(stages)
        self.register_buffer("mean", torch.tensor(mean))
        self.register_buffer("std", torch.tensor(std))
        self.stages = stages
        self.input = nn.Linear(FEATURES, HIDDEN)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))
        self.heads = nn.ModuleList(Heads() for _ in stages)

    def forward(self, features: Tensor) -> list[Masks]:
        """Map `(batch, time, 240)` to the masks of each stage, for the clips that it sees."""
        # The sum over layers stays in single precision where autocast narrows their matrices.
        x = torch.relu(self.input((features - self.mean) / self.std)).float()
        masks: list[Masks] = []
        layers, below = layers_of(self), 0
        for stage, heads in zip(self.stages, heads_of(self), strict=True):
            for layer in layers[below : stage.layers]:
                x = layer(x)
            masks.append(heads(x[: stage.clips(len(x))]))
            below = stage.layers
        return masks


def heads_of(network: Network) -> list[Heads]:
    """Return the heads of each stage."""
    return [heads for heads in network.heads if isinstance(heads, Heads)]


def layers_of(network: Network) -> list[Layer]:
    """Return the layers, from the input up."""
    return [layer for layer in network.layers if isinstance(layer, Layer)]


def export_weights(network: Network, stage: int = -1) -> dict[str, NDArray[np.float32]]:
    """Return a copy of the weights, as `aec_core.dfsmn` names and lays them out.

    Args:
        network: Trained or not.
        stage: Whose masks serve. Layers above its heads are zeros, which pass their input on.
    """
    layers, heads = layers_of(network), heads_of(network)[stage]
    used = torch.arange(LAYERS) < network.stages[stage].layers

    def stacked(tensors: list[Tensor]) -> Tensor:
        stack = torch.stack(tensors)
        return stack * used.to(stack.device).view(-1, *(1,) * (stack.ndim - 1))

    tensors = {
        "norm.mean": network.mean,
        "norm.std": network.std,
        "input.weight": network.input.weight,
        "input.bias": network.input.bias,
        "layers.expand.weight": stacked([layer.expand.weight for layer in layers]),
        "layers.expand.bias": stacked([layer.expand.bias for layer in layers]),
        "layers.project.weight": stacked([layer.project.weight for layer in layers]),
        # torch correlates: its last tap is the present. Serving wants the newest first.
        "layers.memory.weight": stacked([layer.memory.weight[:, 0].flip(1).T for layer in layers]),
        "near.weight": heads.near.weight,
        "near.bias": heads.near.bias,
        "echo.weight": heads.echo.weight,
        "echo.bias": heads.echo.bias,
    }
    return {name: tensor.detach().cpu().numpy().copy() for name, tensor in tensors.items()}


def import_weights(network: Network, weights: dict[str, NDArray[np.float32]]) -> None:
    """Set a network to exported weights: the reverse of `export_weights`; every stage takes its heads.

    Raises:
        ValueError: If an array is missing, of another shape, or not finite.
    """
    check_weights(weights)
    given = {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in weights.items()}
    with torch.no_grad():
        network.mean.copy_(given["norm.mean"])
        network.std.copy_(given["norm.std"])
        _fill(network.input, "input", given)
        for index, layer in enumerate(layers_of(network)):
            layer.expand.weight.copy_(given["layers.expand.weight"][index])
            layer.expand.bias.copy_(given["layers.expand.bias"][index])
            layer.project.weight.copy_(given["layers.project.weight"][index])
            layer.memory.weight.copy_(given["layers.memory.weight"][index].T.flip(1)[:, None])
        for heads in heads_of(network):
            _fill(heads.near, "near", given)
            _fill(heads.echo, "echo", given)


def _fill(linear: nn.Linear, name: str, given: dict[str, Tensor]) -> None:
    linear.weight.copy_(given[f"{name}.weight"])
    linear.bias.copy_(given[f"{name}.bias"])
