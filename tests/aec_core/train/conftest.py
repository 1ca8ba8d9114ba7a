"""What the tests of training share: a corpus on disk, its sources, one shard. All made once."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile as sf

from aec_core.config import AecConfig
from aec_core.types import SAMPLE_RATE
from tests.aec_core.train.corpus import voice, write_manifest

if TYPE_CHECKING:
    from aec_core.train.dataset import DataConfig, Shard
    from aec_core.train.sources import Sources

# Without the "train" extra there is nothing to test here.
if not (find_spec("torch") and find_spec("pyroomacoustics")):
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Threads that wait for each other on a busy machine make small steps a hundred times slower."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five speakers, noise and music in three containers; two for validation, who talk over each other."""
    folder = tmp_path_factory.mktemp("corpus")
    rng = np.random.default_rng(9)
    sounds = {
        "a.ogg": voice(3, 1, 110),
        "b.flac": voice(4, 2, 210),
        "c.wav": voice(3, 3, 150),
        "d.wav": voice(3, 4, 260),
        "e.wav": voice(3, 5, 180),
        "hiss.wav": (0.05 * rng.standard_normal(2 * SAMPLE_RATE)).astype(np.float32),
        "tune.flac": (0.3 * np.sin(np.arange(3 * SAMPLE_RATE) * 0.2)).astype(np.float32),
    }
    for name, sound in sounds.items():
        sf.write(folder / name, sound, SAMPLE_RATE)
    rows = [
        ("a.ogg", "speech", "librispeech", "a", "train", "40"),
        ("b.flac", "speech", "vctk", "b", "train", "40"),
        ("c.wav", "speech", "fillets_ng", "c", "train", "40"),
        ("d.wav", "speech", "librispeech", "d", "valid", "40"),
        ("e.wav", "speech", "librispeech", "e", "valid", "40"),
        ("hiss.wav", "noise", "esc10", "", "train", ""),
        ("tune.flac", "music", "moh", "", "train", ""),
    ]
    return write_manifest(folder, rows)


@pytest.fixture(scope="session")
def sources(manifest: Path) -> Sources:
    from aec_core.train.sources import load_sources

    return load_sources(manifest, "train")


@pytest.fixture(scope="session")
def data(manifest: Path) -> DataConfig:
    """Of one shard with the shortest clips."""
    from aec_core.train.dataset import DataConfig

    return DataConfig(manifest, "train", hours=1e-3, seconds=1.0)


@pytest.fixture(scope="session")
def shard(sources: Sources, data: DataConfig) -> Shard:
    from aec_core.train.dataset import make_shard

    return make_shard(sources, data, AecConfig(), 0)


@pytest.fixture(scope="session")
def saved(shard: Shard, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shard on disk."""
    path = tmp_path_factory.mktemp("shards") / "00000"
    shard.save(path)
    return path
