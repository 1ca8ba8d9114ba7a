"""Random crops of the training shards, with SpecAugment on the reference."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from aec_core.features import MELS
from aec_core.train.dataset import Shard
from aec_core.types import HOP, Samples

_REFERENCE = slice(2 * MELS, 3 * MELS)
_MEL_MASKS, _MEL_WIDTH = 2, 27
_TIME_MASKS, _TIME_WIDTH = 2, 50
_TIME_SHARE = 0.2  # of a crop that masks may cover, all together


class Batches:
    """Endless batches `(features, error, near)`; the same generator state gives the same batches."""

    def __init__(self, paths: list[Path], batch: int, frames: int, rng: np.random.Generator) -> None:
        self._shards = [Shard.open(path) for path in paths]
        self._batch, self._frames, self.rng = batch, frames, rng

    def normalisation(self, clips: int = 200) -> tuple[Samples, Samples]:
        """Return mean and standard deviation of each feature, over `clips` random clips."""
        rng = np.random.default_rng(0)
        drawn = [self._clip(rng)[0] for _ in range(clips)]
        frames = np.concatenate(drawn).astype(np.float32)
        return frames.mean(axis=0), frames.std(axis=0) + np.float32(1e-3)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        while True:
            items = [self._clip(self.rng) for _ in range(self._batch)]
            features, error, near = (np.stack(part).astype(np.float32) for part in zip(*items, strict=True))
            yield torch.from_numpy(features), torch.from_numpy(error), torch.from_numpy(near)

    def _clip(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        shard = self._shards[rng.integers(len(self._shards))]
        clip = int(rng.integers(len(shard.error)))
        frames = min(self._frames, shard.features.shape[1])
        start = int(rng.integers(shard.features.shape[1] - frames + 1))
        audio = slice(start * HOP, (start + frames) * HOP)
        return shard.features[clip, start : start + frames], shard.error[clip, audio], shard.near[clip, audio]


def mask_reference(features: Tensor, mean: Tensor, rng: np.random.Generator) -> Tensor:
    """SpecAugment on the reference alone (paper, section III-A): masked cells take the mean."""
    features = features.clone()
    batch, frames, _ = features.shape
    for item in range(batch):
        reference = features[item, :, _REFERENCE]
        for _ in range(rng.integers(_MEL_MASKS + 1)):
            width = int(rng.integers(_MEL_WIDTH + 1))
            low = int(rng.integers(MELS - width + 1))
            reference[:, low : low + width] = mean[_REFERENCE][low : low + width]
        left = int(_TIME_SHARE * frames)
        for _ in range(rng.integers(_TIME_MASKS + 1)):
            width = int(rng.integers(min(_TIME_WIDTH, left) + 1))
            left -= width
            start = int(rng.integers(frames - width + 1))
            reference[start : start + width] = mean[_REFERENCE]
    return features
