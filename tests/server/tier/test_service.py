"""The whole service with its recogniser and its turn model in the tier."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from client.duplex import DuplexClient
from server.settings import Settings
from tests.server.tier.replica import Counting

TEA = soundfile.read(Path(__file__).parents[2] / "data" / "tea.flac", dtype="float32")[0]


@pytest.mark.usefixtures("patient")
async def test_a_session_is_served_by_the_tier(
    start_tier: Callable[..., str], start_server: Callable[..., Any]
):
    address = start_tier(Counting(), p_turn=0.875)
    server = start_server(asr="auto", asr_engine=address, turn_engine=address)
    mic = np.concatenate([TEA, np.zeros(24_000, np.float32)])
    async with DuplexClient(server.url, rate=16_000) as client:
        await client.send(mic, np.zeros_like(mic))
        await client.finish()
        events = {event["type"]: event async for event in client}
    assert events["input_audio_buffer.speech_stopped"]["duplex"]["p_turn"] == 0.875
    transcript = events["conversation.item.input_audio_transcription.completed"]["transcript"]
    assert transcript.endswith(" in all")
    assert int(transcript.split()[0]) > 40_000  # the sentence lasts 48,000 samples
    assert server.service.models.backends.asr == f"counting, at {address}"


@pytest.mark.parametrize("engine", ["ray", "ray://", "ray://host", "http://host:1", "ray://host:1/asr"])
def test_an_engine_is_local_or_an_address(engine: str):
    with pytest.raises(ValueError, match="asr_engine"):
        Settings(asr_engine=engine)


def test_what_the_tier_runs_is_not_chosen_here():
    with pytest.raises(ValueError, match="leave asr at auto"):
        Settings(asr_engine="ray://host:1", asr="whisper")
