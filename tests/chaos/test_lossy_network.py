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
import soxr
from websockets.asyncio.client import connect

from client.recording import shipped
from client.wer import word_error_rate
from client.wire import Frame, Kind, pack, to_int16

RATE, HOP = 16_000, 320
SENTENCE = "Can you tell me what the weather will be like tomorrow?"
CLEARED, COMMITTED = "input_audio_buffer.cleared", "input_audio_buffer.committed"
COMPLETED = "conversation.item.input_audio_transcription.completed"


@dataclass
class Network:
    """What becomes of frames on their way, each with its probability.

    Attributes:
        lost: It never comes.
        repeated: It comes twice.
        overtaken: It comes up to 98 ms too late, behind four others at most, which the server waits for.
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
            if at >= len(frames) - 12:
                draw += 1  # spared: too little comes behind them to show that they are missing
            if draw[0] < self.lost:
                fates["lost"] += 1
                continue
            if draw[1] < self.late:
                fates["late"] += 1
                place += 10.5
            elif draw[2] < self.overtaken:
                fates["overtaken"] += 1
                place += rng.uniform(1, 4.9)
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


def apart(ppm: float, seed: int = 6) -> list[Frame]:
    """The whole recording as two devices send it, the loudspeaker's clock so much faster.

    Each frame leaves up to 8 ms after its last sample, as busy programs send them.
    """
    recording, rng = shipped(), np.random.default_rng(seed)
    played = soxr.resample(recording.ref, RATE, RATE * (1 + ppm / 1e6))
    leaves: list[tuple[float, Kind, int, np.ndarray]] = []
    for kind, audio, rate in ((Kind.MIC, recording.mic, RATE), (Kind.REF, played, RATE * (1 + ppm / 1e6))):
        audio = to_int16(np.concatenate([audio, np.zeros(2 * RATE, np.float32)]))
        for at in range(0, len(audio) - HOP, HOP):
            late_ms = rng.uniform(0, 8)
            leaves.append((1000 * (at + HOP) / rate + late_ms, kind, at, audio[at : at + HOP, None]))
    return [
        Frame(kind, seq, audio, at * (kind == Kind.MIC), at * (kind == Kind.REF), ms=round(ms))
        for seq, (ms, kind, at, audio) in enumerate(sorted(leaves, key=lambda each: each[0]))
    ]


async def heard(url: str, frames: list[Frame]) -> list[dict[str, Any]]:
    """Send the frames as they arrive; return the events until each turn is understood."""
    events: list[dict[str, Any]] = []
    # The turn model takes real time, which a file at full speed does not leave it.
    detection = {"type": "server_vad", "silence_duration_ms": 700}
    session = {"audio": {"input": {"format": {"rate": RATE}, "turn_detection": detection}}}

    def count(kind: str) -> int:
        return sum(event["type"] == kind for event in events)

    async with connect(url, compression=None, proxy=None) as link:
        await link.send(json.dumps({"type": "session.update", "session": session}))

        async def send() -> None:
            for frame in frames:
                await link.send(pack(frame))
            await link.send('{"type": "input_audio_buffer.clear"}')  # answered in its place behind the frames

        sending = asyncio.create_task(send())
        async with asyncio.timeout(60):
            while not count(CLEARED) or count(COMPLETED) < count(COMMITTED):
                events.append(json.loads(await link.recv()))
            await sending
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
@pytest.mark.parametrize("seed", [4, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2, 3, 5))])
async def test_the_transcript_survives_and_the_counters_tell(start_servers: Any, network: Network, seed: int):
    server = start_servers(asr="whisper")
    frames, fates = network.carry(spoken(), seed)
    assert all(fates[name] for name in ("lost", "late", "repeated", "overtaken") if getattr(network, name))

    events = await heard(server.url, frames)

    texts = [event["transcript"] for event in events if event["type"] == COMPLETED]
    assert word_error_rate(SENTENCE, " ".join(texts)) < 0.35
    silenced = 20 * (fates["lost"] + fates["late"])
    assert gap_ms(events, "filled_ms", "lost") == silenced
    assert gap_ms(events, "dropped_ms", "repeated") == 20 * fates["repeated"]
    assert gap_ms(events, "dropped_ms", "late") == 20 * fates["late"]
    assert f"duplex_gap_seconds_total {silenced / 1000}" in server.metrics() or silenced == 0


@pytest.mark.slow
@pytest.mark.parametrize("ppm", [200.0, -200.0])
async def test_two_devices_that_drift_apart_leave_the_words(start_servers: Any, ppm: float):
    server = start_servers(asr="whisper")

    events = await heard(server.url, apart(ppm))

    said = " ".join(sentence.text for sentence in shipped().sentences)
    texts = [event["transcript"] for event in events if event["type"] == COMPLETED]
    assert word_error_rate(said, " ".join(texts)) < 0.3, texts
    drifts = [event["drift_ppm"] for event in events if event["type"] == "duplex.reference"]
    assert drifts[-1] == pytest.approx(ppm, abs=25)
    statistics = [event for event in events if event["type"] == "duplex.aec.stats"][-1]
    assert (statistics["lost"], statistics["late"]) == (0, 0)
    assert not [event for event in events if event["type"] == "duplex.gap"]
    assert "duplex_gap_seconds_total 0.0" in server.metrics()
