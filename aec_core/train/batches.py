"""Random crops of the training shards, with SpecAugment on the reference."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from aec_core.features import MELS
from aec_core.train.dataset import Shard
from aec_core.types import HOP, Samples

_FIRST_SECONDS = 0.15  # share of the crops that begin where a call does: nothing is known there yet
_REFERENCE = slice(2 * MELS, 3 * MELS)


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
            # torch widens float16 twice as fast as NumPy.
            features, error, near = (
                torch.from_numpy(np.stack(part)).float() for part in zip(*items, strict=True)
            )
            yield features, error, near

    def _clip(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        shard = self._shards[rng.integers(len(self._shards))]
        clip = int(rng.integers(len(shard.error)))
        frames = min(self._frames, shard.features.shape[1])
        first = rng.random() < _FIRST_SECONDS
        start = 0 if first else int(rng.integers(shard.features.shape[1] - frames + 1))
        audio = slice(start * HOP, (start + frames) * HOP)
        return shard.features[clip, start : start + frames], shard.error[clip, audio], shard.near[clip, audio]


@dataclass(frozen=True)
class SpecAugment:
    """Masks on the reference alone, in which features take their mean (paper, section III-A)."""

    mel_masks: int = 2
    mel_width: int = 27
    time_masks: int = 2
    time_width: int = 50  # frames
    time_share: float = 0.2  # of a crop that masks in time may cover, all together

    def __call__(self, features: Tensor, mean: Tensor, rng: np.random.Generator) -> Tensor:
        """Return a masked copy of features `(batch, frames, 240)`; `mean` is theirs, `(240,)`."""
        features = features.clone()
        for item in features:
            self._mask(item[:, _REFERENCE], mean[_REFERENCE], rng)
        return features

    def _mask(self, reference: Tensor, mean: Tensor, rng: np.random.Generator) -> None:
        frames = len(reference)
        for _ in range(rng.integers(self.mel_masks + 1)):
            width = int(rng.integers(self.mel_width + 1))
            low = int(rng.integers(MELS - width + 1))
            reference[:, low : low + width] = mean[low : low + width]
        left = int(self.time_share * frames)
        for _ in range(rng.integers(self.time_masks + 1)):
            width = int(rng.integers(min(self.time_width, left) + 1))
            left -= width
            start = int(rng.integers(frames - width + 1))
            reference[start : start + width] = mean
