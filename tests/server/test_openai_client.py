"""OpenAI's own Python client against this server: a transcription session as its users write one."""

import asyncio
import base64
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr
from openai import AsyncOpenAI
from openai.types.realtime import RealtimeServerEvent

from server.agents.texts import NARRATION

DATA = Path(__file__).parents[1] / "data"
RATE = 24_000  # the client's default
TRANSCRIPTION = "conversation.item.input_audio_transcription"
SERVER_VAD = {"type": "server_vad", "threshold": 0.5, "prefix_padding_ms": 300, "silence_duration_ms": 500}


@pytest.fixture(scope="module")
def whisper(start_servers: Any) -> Any:
    return start_servers(asr="whisper", token="sk-secret")


@pytest.fixture(scope="module")
def narrator(start_servers: Any) -> Any:
    return start_servers(agent="narrator", agent_voice="shipped", token="sk-secret")


def client_of(server: Any, key: str = "sk-secret") -> AsyncOpenAI:
    return AsyncOpenAI(
        api_key=key, base_url=f"{server.http}/v1", websocket_base_url=f"ws{server.http[4:]}/v1"
    )


def wanted(turn_detection: dict[str, Any] | None) -> Any:
    return {
        "type": "transcription",
        "audio": {
            "input": {
                "format": {"type": "audio/pcm", "rate": RATE},
                "transcription": {"model": "gpt-4o-transcribe", "language": "en"},
                "turn_detection": turn_detection,
            }
        },
    }


def recording(name: str) -> list[str]:
    """100 ms at a time, as base64, with silence around it."""
    audio = soundfile.read(DATA / f"{name}.flac", dtype="float32")[0]
    padded = np.concatenate([np.zeros(8000, np.float32), audio, np.zeros(32_000, np.float32)])
    pcm = np.rint(32767 * soxr.resample(padded, 16_000, RATE)).astype("<i2")
    step = RATE // 10
    return [base64.b64encode(pcm[at : at + step].tobytes()).decode() for at in range(0, len(pcm), step)]


async def until(connection: Any, kind: str) -> list[RealtimeServerEvent]:
    """Return the events up to one of a kind; those that OpenAI has no word for are left out."""
    events: list[RealtimeServerEvent] = []
    async with asyncio.timeout(60):
        while not events or events[-1].type != kind:
            event = await connection.recv()
            if event.type == kind or not event.type.startswith("duplex."):
                events.append(event)
    return events


async def test_a_transcription_session(whisper: Any):
    async with client_of(whisper).realtime.connect(extra_query={"intent": "transcription"}) as connection:
        (created,) = await until(connection, "session.created")
        assert created.session.type == "transcription"
        assert created.session.audio.input.format.rate == RATE
        await connection.session.update(session=wanted(SERVER_VAD))
        (updated,) = await until(connection, "session.updated")
        assert updated.session.audio.input.turn_detection.silence_duration_ms == 500
        for chunk in recording("tea"):
            await connection.input_audio_buffer.append(audio=chunk)
        events = await until(connection, f"{TRANSCRIPTION}.completed")

    kinds = [event.type for event in events if event.type != f"{TRANSCRIPTION}.delta"]
    assert kinds == [
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        f"{TRANSCRIPTION}.completed",
    ]
    assert len({event.item_id for event in events}) == 1
    started, stopped = events[0], next(event for event in events if event.type.endswith("stopped"))
    assert 200 < started.audio_start_ms < 700 < stopped.audio_end_ms
    assert "green tea" in events[-1].transcript.lower()


async def test_the_client_ends_its_own_turns(whisper: Any):
    async with client_of(whisper).realtime.connect(model="gpt-realtime") as connection:
        await connection.session.update(session=wanted(None))
        await until(connection, "session.updated")
        for chunk in recording("tea"):
            await connection.input_audio_buffer.append(audio=chunk)
        await connection.input_audio_buffer.commit()
        events = await until(connection, f"{TRANSCRIPTION}.completed")
        assert "input_audio_buffer.committed" in [event.type for event in events]
        assert "green tea" in events[-1].transcript.lower()


async def test_an_agent_is_heard(narrator: Any):
    async with client_of(narrator).realtime.connect(model="gpt-realtime") as connection:
        await until(connection, "session.created")
        silence = base64.b64encode(bytes(2 * RATE // 10)).decode()
        events: list[RealtimeServerEvent] = []
        for _ in range(600):  # a minute of it at the most
            await connection.input_audio_buffer.append(audio=silence)
            await connection.send({"type": "duplex.ping"})
            events += await until(connection, "duplex.pong")
            if sum(event.type == "response.output_audio.delta" for event in events) > 100:
                break
        await connection.response.cancel()
        events += await until(connection, "response.done")

    voice = b"".join(base64.b64decode(event.delta) for event in events if "audio.delta" in event.type)
    assert np.abs(np.frombuffer(voice, "<i2")).max() > 3000
    words = "".join(event.delta for event in events if "audio_transcript.delta" in event.type)
    assert " ".join(NARRATION).startswith(words)
    assert next(event for event in events if event.type == "response.created").response.id
    assert events[-1].response.status == "cancelled"


async def test_what_is_not_here_is_said_and_the_session_goes_on(whisper: Any):
    async with client_of(whisper).realtime.connect() as connection:
        await until(connection, "session.created")
        session = wanted(SERVER_VAD)
        session["audio"]["input"]["noise_reduction"] = {"type": "near_field"}
        await connection.session.update(session=session)
        (error,) = await until(connection, "error")
        assert error.error.param == "session.audio.input.noise_reduction"
        await connection.session.update(session=wanted(SERVER_VAD))
        await until(connection, "session.updated")


async def test_the_key_is_the_servers_token(whisper: Any):
    with pytest.raises(Exception, match="401"):
        async with client_of(whisper, "sk-wrong").realtime.connect():
            pass
