"""Weights, normalisation and canceller settings in one safetensors file."""

from __future__ import annotations

import json
from dataclasses import asdict
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from aec_core.config import AecConfig, config_from_dict
from aec_core.dfsmn import Weights, check_weights

_FORMAT = "duplex-aec/1"


def save_checkpoint(
    path: Path, weights: Weights, config: AecConfig, notes: dict[str, str] | None = None
) -> None:
    """Write a checkpoint; `notes` says how it was trained and is only for people."""
    check_weights(weights)
    metadata = {**(notes or {}), "format": _FORMAT, "config": json.dumps(asdict(config))}
    save_file({name: np.ascontiguousarray(array) for name, array in weights.items()}, path, metadata)


def load_checkpoint(path: Path) -> tuple[dict[str, NDArray[np.float32]], AecConfig]:
    """Read a checkpoint.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not a checkpoint of this program, or its content is damaged.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no model file at {path}")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(f"{path} is not a safetensors file: {error}") from error
    if metadata.get("format") != _FORMAT:
        raise ValueError(f"{path} is not a {_FORMAT} checkpoint but {metadata.get('format')!r}")
    try:
        check_weights(weights)
        config = config_from_dict(json.loads(metadata["config"]))
    except (KeyError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from error
    return weights, config


def pretrained_path() -> Path:
    """Return the checkpoint that ships with the package."""
    return Path(str(resources.files("aec_core") / "pretrained.safetensors"))
