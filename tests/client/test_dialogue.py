"""A recorded person talks over the server's narrator: the whole way, over a socket."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from client.cli import app
from client.dialogue import DialogueResult, talk_with_agent
from client.duplex import DuplexError
from server.agents.texts import GO_ON, NARRATION

NEAR = Path(__file__).parents[2] / "client" / "recordings" / "near.flac"
RATE = 16_000
STORY = " ".join(NARRATION)


@pytest.fixture(scope="module")
def url(start_servers: Any) -> str:
    return start_servers(agent_voice="shipped").url


def person(seconds: float) -> np.ndarray:
    """The shipped person, who speaks from 8.0 s to 10.1 s."""
    return soundfile.read(NEAR, dtype="float32")[0][: round(seconds * RATE)]


def of(result: DialogueResult, kind: str) -> list[dict[str, Any]]:
    return [event for event in result.events if event["type"] == kind]


def said(result: DialogueResult, item_id: str) -> str:
    deltas = of(result, "response.output_audio_transcript.delta")
    return "".join(event["delta"] for event in deltas if event["item_id"] == item_id)


async def test_a_person_interrupts_the_narrator(url: str):
    result = await talk_with_agent(url, person(11), "narrator", speed="max")
    commits = [event for event in of(result, "duplex.barge_in") if event["stage"] == "commit"]
    (truncated,) = of(result, "conversation.item.truncated")
    first, second = of(result, "response.created")

    assert len(commits) == 1
    order = [result.events.index(event) for event in (commits[0], truncated, second)]
    assert order == sorted(order)
    heard = truncated["duplex"]["transcript"]
    assert STORY.startswith(heard)
    after = said(result, second["response"]["item_id"])
    assert STORY.startswith(f"{heard} {after.removeprefix(GO_ON).strip()}")
    # It fell silent while the person spoke, and began again when they were done.
    sounding = np.flatnonzero(result.agent)
    assert 7.8 * RATE < sounding[sounding < 10.1 * RATE][-1] < 9.5 * RATE
    assert sounding[-1] > 11 * RATE
    assert first["response"]["item_id"] == truncated["item_id"]
    assert truncated["audio_end_ms"] < 9500


async def test_the_narrator_goes_on_after_a_false_interruption(url: str):
    murmur = person(11)
    murmur[: 8 * RATE] = murmur[round(8.3 * RATE) :] = 0
    result = await talk_with_agent(url, murmur, "narrator", speed="max", tail_s=1)
    stages = [event["stage"] for event in of(result, "duplex.barge_in")]
    assert stages == ["duck"]
    assert len(of(result, "duplex.false_interruption")) == 1
    assert of(result, "conversation.item.truncated") == []
    assert len(of(result, "response.created")) == 1
    quiet, loud = (np.abs(result.agent[round(s * RATE) :][: RATE // 2]).max() for s in (8.6, 11.0))
    assert quiet < loud / 2


async def test_the_narrator_does_not_interrupt_itself(url: str):
    result = await talk_with_agent(url, np.zeros(12 * RATE, np.float32), "narrator", speed="max", tail_s=0.5)
    assert of(result, "duplex.barge_in") == []
    assert of(result, "input_audio_buffer.speech_started") == []
    assert len(of(result, "response.created")) == 1
    echo, left = result.mic.astype(float), result.vad.astype(float)
    assert 10 * np.log10(np.mean(echo[5 * RATE :] ** 2) / max(np.mean(left[5 * RATE :] ** 2), 1e-9)) > 25


async def test_an_agent_that_is_not_there(url: str):
    with pytest.raises(DuplexError, match="openai"):
        await talk_with_agent(url, person(1), "openai", speed="max")


def test_the_command_talks_with_an_agent(url: str, tmp_path: Path):
    mic = tmp_path / "near.wav"
    soundfile.write(mic, np.zeros(RATE, np.int16), RATE)
    options = ["--agent", "narrator", "--url", url, "--speed", "max", "--jsonl", "--save-dir", str(tmp_path)]
    result = CliRunner().invoke(app, ["stream", str(mic), *options])
    assert result.exit_code == 0, result.output
    assert "response.created" in [json.loads(line)["type"] for line in result.stdout.splitlines()]
    agent, _ = soundfile.read(tmp_path / "agent.wav")
    heard, _ = soundfile.read(tmp_path / "mic.wav")
    assert len(agent) == len(heard) >= 6 * RATE
    assert np.abs(agent).max() > 0.1


@pytest.mark.parametrize("more", [[], ["ref.wav", "--agent", "narrator"]])
def test_the_command_wants_a_reference_or_an_agent(more: list[str]):
    result = CliRunner().invoke(app, ["stream", "mic.wav", *more])
    assert result.exit_code == 2
    assert "--agent" in result.output
