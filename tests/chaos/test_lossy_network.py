"""Frames that are lost, repeated, overtaken or too late, through the real server and the real recogniser.

A WebSocket is TCP and loses nothing; a client that captures over UDP or WebRTC, or drops what its network is
too slow for, does. When frames arrive does not matter: the server aligns them by index.
"""

import asyncio
import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from websockets.asyncio.client import connect

from client.recording import shipped
from client.wer import word_error_rate
from client.wire import Frame, Kind, pack, to_int16

RATE, HOP = 16_000, 320
SENTENCE = "Can you tell me what the weather will be like tomorrow?"
COMPLETED = "conversation.item.input_audio_transcription.completed"


@dataclass
class Network:
    """What becomes of frames on their way, each with its probability.

    Attributes:
        lost: It never comes.
        repeated: It comes twice.
        overtaken: It comes up to 60 ms after those behind it, which the server waits for.
        late: It comes 200 ms too late, which it does not.
    """

    lost: float = 0
    repeated: float = 0
    overtaken: float = 0
    late: float = 0

    def carry(self, frames: list[Frame], seed: int) -> tuple[list[Frame], Counter[str]]:
        """Return the frames in the order of their arrival, and how many met what."""
        rng, fates = np.random.default_rng(seed), Counter[str]()
        arrivals: list[tuple[float, Frame]] = []
        for at, frame in enumerate(frames):
            draw, place = rng.random(4), float(at)
            if draw[0] < self.lost:
                fates["lost"] += 1
                continue
            if draw[1] < self.late:
                fates["late"] += 1
                place += 10.5
            elif draw[2] < self.overtaken:
                fates["overtaken"] += 1
                place += rng.uniform(1, 3)
            elif draw[3] < self.repeated:
                fates["repeated"] += 1
                arrivals.append((place + 0.1, frame))
            arrivals.append((place, frame))
        return [frame for _, frame in sorted(arrivals, key=lambda each: each[0])], fates


def spoken() -> list[Frame]:
    """The second part of the shipped recording, a person who asks over the agent's voice; then silence."""
    recording, here = shipped(), slice(5 * RATE, 12 * RATE)
    audio = np.stack([to_int16(recording.mic[here]), to_int16(recording.ref[here])], axis=1)
    audio = np.concatenate([audio, np.zeros((2 * RATE, 2), audio.dtype)])
    return [
        Frame(Kind.MIC_REF, n, audio[at : at + HOP], at, at, flags=4, ms=20 * n)
        for n, at in enumerate(range(0, len(audio), HOP))
    ]


async def heard(url: str, frames: list[Frame]) -> list[dict[str, Any]]:
    """Send the frames as they arrive; return the events until the turn is understood."""
    events: list[dict[str, Any]] = []
    async with connect(url, compression=None, proxy=None) as link:
        session = {"audio": {"input": {"format": {"rate": RATE}}}}
        await link.send(json.dumps({"type": "session.update", "session": session}))

        async def send() -> None:
            for frame in frames:
                await link.send(pack(frame))

        sending = asyncio.create_task(send())
        async with asyncio.timeout(60):
            while not events or events[-1]["type"] != COMPLETED:
                events.append(json.loads(await link.recv()))
            await sending
            await link.send('{"type": "input_audio_buffer.clear"}')  # answered in its place behind the frames
            while events[-1]["type"] != "input_audio_buffer.cleared":
                events.append(json.loads(await link.recv()))
    return events


def gap_ms(events: list[dict[str, Any]], field: str, *reasons: str) -> float:
    gaps = [event for event in events if event["type"] == "duplex.gap"]
    return sum(gap[field] for gap in gaps if gap["reason"] in reasons)


@pytest.mark.parametrize(
    "network",
    [
        pytest.param(Network(repeated=0.05, overtaken=0.1), id="repeated and overtaken"),
        pytest.param(Network(lost=0.02, repeated=0.02, overtaken=0.05, late=0.01), id="all at once"),
    ],
)
async def test_the_transcript_survives_and_the_counters_tell(start_servers: Any, network: Network):
    server = start_servers(asr="whisper")
    frames, fates = network.carry(spoken(), seed=4)
    assert all(fates[name] for name in ("lost", "late", "repeated", "overtaken") if getattr(network, name))

    events = await heard(server.url, frames)

    texts = [event["transcript"] for event in events if event["type"] == COMPLETED]
    assert word_error_rate(SENTENCE, " ".join(texts)) < 0.35
    silenced = 20 * (fates["lost"] + fates["late"])
    assert gap_ms(events, "filled_ms", "lost") == silenced
    assert gap_ms(events, "dropped_ms", "repeated") == 20 * fates["repeated"]
    assert gap_ms(events, "dropped_ms", "late") == 20 * fates["late"]
    assert f"duplex_gap_seconds_total {silenced / 1000}" in server.metrics() or silenced == 0
