"""What the settings choose among models."""

from pathlib import Path

import numpy as np
import pytest

from aec_core.checkpoint import load_checkpoint, pretrained_path, save_checkpoint
from aec_core.types import HOP
from server.models import load_models
from server.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Return settings with a checkpoint of one's own, whose network is another."""
    weights, config = load_checkpoint(pretrained_path())
    save_checkpoint(tmp_path / "mine.safetensors", {n: w / 2 for n, w in weights.items()}, config)
    return Settings(asr="none", max_sessions=1, aec_model=tmp_path / "mine.safetensors")


def test_a_checkpoint_of_ones_own_is_served(settings: Settings):
    mic, ref = np.random.default_rng(0).normal(0, 0.1, (2, 1, HOP)).astype(np.float32)
    outputs: list[np.ndarray] = []
    for chosen in (settings, settings.model_copy(update={"aec_model": None})):
        models = load_models(chosen)
        models.close()
        assert ("mine.safetensors" in models.backends.aec) == (chosen is settings)
        outputs.append(np.concatenate([models.core.process(mic, ref).asr for _ in range(20)], axis=-1))

    assert not np.allclose(*outputs)
