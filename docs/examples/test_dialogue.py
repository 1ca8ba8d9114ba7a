"""A test of a dialogue: the agent talks on a loudspeaker, a person talks over it, and is understood.

Run it with `pytest test_dialogue.py`. The fixture starts the service on a free port.
"""

import asyncio
from pathlib import Path

import client.recordings
from client.call import call
from client.stream import stream_pair

pytest_plugins = ["client.testing"]

SOUNDS = Path(client.recordings.__file__).parent


def test_the_person_is_understood_over_the_agent(duplex_server):
    talk = call(SOUNDS / "near.flac", SOUNDS / "ref.wav", delay_ms=80, echo_db=-3, reverb_s=0.2)
    here = slice(5 * 16_000, 12 * 16_000)
    result = asyncio.run(stream_pair(duplex_server.url, talk.mic[here], talk.ref[here], speed="max"))
    assert "weather" in result.transcripts[0]
    assert [event["stage"] for event in result.of("duplex.barge_in")][:2] == ["duck", "commit"]


def test_the_agent_does_not_interrupt_itself(duplex_server):
    talk, here = call(None, SOUNDS / "ref.wav", delay_ms=120, echo_db=0, reverb_s=0.3), slice(5 * 16_000)
    result = asyncio.run(stream_pair(duplex_server.url, talk.mic[here], talk.ref[here], speed="max"))
    assert result.of("duplex.barge_in") == []
