"""Two dialogues of the shipped voices, heard once by the service's own code."""

from __future__ import annotations

import pytest

pytest.importorskip("librosa")
pytest.importorskip("pyroomacoustics")

from aec_core import HopCanceller
from aec_core.train.default_data import default_manifest
from client.conversation.awaited import AwaitedTurns
from client.conversation.dialogues import make_dialogues
from client.conversation.session import Ears, listen
from client.conversation.voices import load_voices
from server.turn import SmartTurn


@pytest.fixture(scope="session")
def manifest(tmp_path_factory):
    return default_manifest(tmp_path_factory.mktemp("voices"))


@pytest.fixture(scope="session")
def voices(manifest):
    return load_voices(manifest, "test")


@pytest.fixture(scope="session")
def dialogues(voices):
    return make_dialogues(voices, 4, seed=5, turns=2)


@pytest.fixture(scope="session")
def turn_model():
    return SmartTurn()


@pytest.fixture(scope="session")
def heard(dialogues, turn_model):
    """Return what the service says about each dialogue, without a recogniser."""
    core = HopCanceller.pretrained(streams=len(dialogues))
    return listen(core, dialogues, Ears(AwaitedTurns(turn_model), None))
