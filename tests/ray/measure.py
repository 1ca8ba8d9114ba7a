"""What a tier costs, and what the end of a replica costs: `python -m tests.ray.measure` prints Markdown.

Everything runs on this machine: a Ray cluster with `docker/ray/serve.yaml`, one server, and 20 clients, each
of whom says a sentence. For these the two recognisers are ones that take whisper's time and no core: with
whisper, tier and server would fight for cores that they do not share elsewhere.
"""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from aec_core.types import SAMPLE_RATE
from client.duplex import DuplexClient
from client.local_server import SMALL, local_server
from server.asr.contract import Recognizer
from server.asr.whisper import WhisperRecognizer
from server.tier.recognizer import TierRecognizer
from server.tier.turn import TierTurn
from server.turn import SmartTurn, TurnModel
from tests.ray.cluster import running_tier

DATA = Path(__file__).parents[1] / "data"
SENTENCES = ("tea", "table")
FRAME = SAMPLE_RATE // 50
SESSIONS = 20
APART_S = 1.2  # between two people who begin to speak
PACED = "tests.ray.paced:asr"
KILL_AFTER_S = 10.0
TRANSCRIPT = "conversation.item.input_audio_transcription."


def speech(name: str) -> np.ndarray:
    return soundfile.read(DATA / f"{name}.flac", dtype="float32")[0]


@dataclass
class Seen:
    """What all clients saw; times are of `time.perf_counter`."""

    turnaround: list[tuple[float, float]] = field(default_factory=list)  # when sent, ms
    words: list[tuple[float, float]] = field(default_factory=list)  # when a turn ended, ms to its transcript
    heard: list[float] = field(default_factory=list)  # samples in a transcript for each that was spoken
    failed: list[str] = field(default_factory=list)  # codes
    lost: int = 0  # connections
    killed_at: float = 0.0
    lost_tries: int = 0

    def split(self, times: Sequence[tuple[float, float]]) -> list[np.ndarray]:
        """Return the ms of what was before the kill, and of the rest."""
        return [
            np.array([ms for at, ms in times if (at >= self.killed_at) == late]) for late in (False, True)
        ]


class Person:
    """One client: silence, a sentence, silence, 20 ms at a time."""

    def __init__(self, number: int, url: str, seen: Seen) -> None:
        self._seen = seen
        self._sent_at: list[float] = []
        self._stopped_at = 0.0
        self._client = DuplexClient(url, on_cleaned=self._take)
        length = int((SESSIONS * APART_S + 8) * SAMPLE_RATE) // FRAME * FRAME
        self._mic = np.zeros(length, np.float32)
        start = int((2 + number * APART_S) * SAMPLE_RATE)
        words = speech(SENTENCES[number % 2])
        self._spoken = len(words)
        self._mic[start : start + len(words)] = words
        self._offset_s = 0.02 * number / SESSIONS  # nobody is in step

    async def run(self, begin: float) -> None:
        async with self._client:
            listening = asyncio.create_task(self._listen())
            silence = np.zeros(FRAME, np.float32)
            for number, at in enumerate(range(0, len(self._mic), FRAME)):
                due = begin + self._offset_s + number * 0.02
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                self._sent_at.append(time.perf_counter())
                await self._client.send(self._mic[at : at + FRAME], silence)
            await self._client.finish()
            await listening

    def _take(self, start: int, audio: np.ndarray) -> None:
        now = time.perf_counter()
        last = (start + len(audio) + self._client.session["latency_samples"] - 1) // FRAME
        if last < len(self._sent_at):
            sent_at = self._sent_at[last]
            self._seen.turnaround.append((sent_at, 1000 * (now - sent_at)))

    async def _listen(self) -> None:
        async for event in self._client:
            kind = event["type"]
            if kind == "input_audio_buffer.speech_stopped":
                self._stopped_at = time.perf_counter()
            elif kind == TRANSCRIPT + "completed":
                took_ms = 1000 * (time.perf_counter() - self._stopped_at)
                self._seen.words.append((self._stopped_at, took_ms))
                self._seen.heard.append(int(event["transcript"]) / self._spoken)
            elif kind == TRANSCRIPT + "failed":
                self._seen.failed.append(event["error"]["code"])
            self._seen.lost += kind == "connection.lost"


def kill_one(seen: Seen, begin: float, folder: Path) -> None:
    """Kill a replica in the middle of a transcript."""
    time.sleep(begin + KILL_AFTER_S - time.perf_counter())
    while not (at_work := list(folder.glob("*.at-work"))):
        time.sleep(0.01)
    seen.killed_at = time.perf_counter()
    os.kill(int(at_work[0].stem), signal.SIGKILL)
    at_work[0].unlink()


async def talk(url: str, folder: Path) -> Seen:
    """Let all of them talk, and kill a replica in the middle."""
    seen = Seen()
    begin = time.perf_counter() + 1
    async with asyncio.TaskGroup() as group:
        group.create_task(asyncio.to_thread(kill_one, seen, begin, folder))
        for number in range(SESSIONS):
            group.create_task(Person(number, url, seen).run(begin))
    return seen


def with_a_kill(address: str, folder: Path) -> Seen:
    """Run one server and its clients over a tier that loses a replica."""
    log = folder / "server.log"
    options = ("--asr-engine", address, "--turn-engine", address)
    with local_server(*options, limits=SMALL | {"DUPLEX_MAX_SESSIONS": "24"}, log=log) as server:
        seen = asyncio.run(talk(server.url, folder))
    seen.lost_tries = log.read_text("utf-8").count("for a transcript was lost")
    return seen


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    began = time.perf_counter()
    result = work()
    return 1000 * (time.perf_counter() - began), result


def texts_ms(recognizer: Recognizer) -> tuple[float, float, tuple[str, str]]:
    """Return the time of a partial text after 2 s, of the final one, and both texts."""
    words = speech("tea")
    utterance = recognizer.open(None, ())
    partial_ms, partial = timed(lambda: utterance.feed(words[: 2 * SAMPLE_RATE]))
    final_ms, final = timed(lambda: utterance.finish(words[2 * SAMPLE_RATE :]))
    return partial_ms, final_ms, (partial, final.text)


@dataclass(frozen=True)
class Overhead:
    """Medians in ms, here and in the tier, taken in turn."""

    partial: tuple[float, float]
    final: tuple[float, float]
    turn: tuple[float, float]
    same_texts: bool


def overhead(address: str, rounds: int = 15) -> Overhead:
    """Ask a model of this process and the tier the same, in turn."""
    here, at_hand = WhisperRecognizer(), SmartTurn()
    with closing(TierRecognizer(address)) as there, closing(TierTurn(address, at_hand)) as judge:
        asked = [(texts_ms(here), texts_ms(there)) for _ in range(rounds)]
        judged = [[_turn_ms(model) for model in (at_hand, judge)] for _ in range(4 * rounds)]
    times = np.median(np.array([[texts[:2] for texts in pair] for pair in asked]), axis=0)
    turn = np.median(np.array(judged), axis=0)
    return Overhead(
        partial=(times[0, 0], times[1, 0]),
        final=(times[0, 1], times[1, 1]),
        turn=(turn[0], turn[1]),
        same_texts=all(a[2] == b[2] for a, b in asked),
    )


def _turn_ms(model: TurnModel) -> float:
    words = speech("tea")
    return timed(lambda: model.predict(words))[0]


def report(costs: Overhead, seen: Seen) -> Iterator[str]:
    """Yield both as lines of Markdown."""
    yield "| median, ms | in the server's process | in the tier | more |"
    yield "|---|---|---|---|"
    for name in ("partial", "final", "turn"):
        here, there = getattr(costs, name)
        yield f"| {name} | {here:.0f} | {there:.0f} | {there - here:.0f} |"
    yield ""
    yield f"| {SESSIONS} sessions, one replica of two killed | before | after |"
    yield "|---|---|---|"
    for what, times in (
        ("a frame's turnaround", seen.turnaround),
        ("end of a turn to its transcript", seen.words),
    ):
        for percentile in (50, 99, 100):
            before, after = (np.percentile(part, percentile) for part in seen.split(times))
            yield f"| {what}, {percentile} %, ms | {before:.0f} | {after:.0f} |"
    yield ""
    yield f"connections lost: {seen.lost}; asked again: {seen.lost_tries}"
    yield f"transcripts: {len(seen.heard)}; failed: {seen.failed or 'none'}"
    yield f"samples in a transcript for each that was spoken: {min(seen.heard):.2f} to {max(seen.heard):.2f}"


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with running_tier(folder) as address:
            costs = overhead(address)
        with running_tier(folder, PACED) as address:
            seen = with_a_kill(address, folder)
    print("\n".join(report(costs, seen)))


if __name__ == "__main__":
    main()
