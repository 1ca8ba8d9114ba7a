"""Runs dialogues through the service's engine, hop by hop on the sample clock and without a socket."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from aec_core.types import HOP, SAMPLE_RATE
from client.conversation.dialogues import Dialogue
from server.asr import RecognitionService
from server.engine import Core, Engine
from server.events import InputAudioCommit, ServerEvent
from server.inbox import Arrival
from server.lane import Lane
from server.metrics import Metrics
from server.outbox import Close, Item, Moved
from server.pcm import to_pcm
from server.protocol import AudioFrame, Flag, Kind
from server.session_config import (
    AecConfig,
    AudioConfig,
    AudioFormat,
    Backends,
    DuplexConfig,
    InputConfig,
    SessionInfo,
    TranscriptionConfig,
)
from server.turn import Turns
from server.vad import SileroBank

_HOP_MS = 1000 * HOP / SAMPLE_RATE


@dataclass(frozen=True)
class Noticed:
    """An event and when the server had it: the end of the audio that had come, in samples."""

    at: int
    event: ServerEvent


@dataclass(frozen=True)
class Ears:
    """What listens behind the canceller; one recogniser serves every English dialogue."""

    turns: Turns
    recognition: RecognitionService | None


def listen(
    core: Core,
    dialogues: Sequence[Dialogue],
    ears: Ears,
    betas: tuple[float, float] = (0.6, 0.2),
    heard: Callable[[float], None] = lambda seconds: None,
) -> list[list[Noticed]]:
    """Let a session hear each dialogue; return what each of them said.

    Args:
        core: Canceller with a stream for each dialogue.
        dialogues: They are heard side by side, as sessions of one server are.
        ears: Turn model and recogniser.
        betas: For the detector and for the recogniser.
        heard: Called with the seconds of audio of each step.

    Raises:
        RuntimeError: If a session fails.
    """
    engine = Engine(core, SileroBank(len(dialogues)), Metrics(), lambda post: post())
    sessions = [_Session(number, dialogue, ears, betas) for number, dialogue in enumerate(dialogues)]
    for session in sessions:
        engine.join(session.lane)
    for hop in range(max(len(dialogue.mic) for dialogue in dialogues) // HOP):
        for session in sessions:
            session.send(hop)
        engine.tick()
        heard(sum(hop < session.hops for session in sessions) * _HOP_MS / 1000)
    for session in sessions:
        session.lane.inbox.put(Arrival(InputAudioCommit(), 0.0, 0.0))
    engine.tick()
    engine.tick()  # what the commit made of the recogniser comes with the next look
    for session in sessions:
        engine.leave(session.lane)
    engine.tick()
    return [session.noticed for session in sessions]


class _Session:
    """One dialogue on its way into the engine, and what comes out."""

    def __init__(self, number: int, dialogue: Dialogue, ears: Ears, betas: tuple[float, float]) -> None:
        recognition = ears.recognition if dialogue.english else None
        self.lane = Lane(str(number), ears.turns, recognition)
        self.lane.sink = self._take
        self.lane.inbox.put(Arrival(_settings(number, betas), 0.0, 0.0))
        self.hops = len(dialogue.mic) // HOP
        self.noticed: list[Noticed] = []
        self._mic, self._ref = (to_pcm(audio) for audio in (dialogue.mic, dialogue.ref))
        self._now = 0
        self._closed: str | None = None

    def send(self, hop: int) -> None:
        """Put a frame into the inbox; nothing comes after the last."""
        if self._closed is not None:
            raise RuntimeError(f"session {self.lane.session_id} was closed: {self._closed}")
        if hop >= self.hops:
            return
        here = slice(hop * HOP, (hop + 1) * HOP)
        place = partial(AudioFrame, Kind.MIC_REF, Flag.ONE_CLOCK, hop, here.start, here.start, HOP)
        frame = place(round(hop * _HOP_MS), self._mic[here], self._ref[here])
        self.lane.inbox.put(Arrival(frame, _HOP_MS, 0.0))
        self._now = here.stop

    def _take(self, items: Sequence[Item]) -> None:
        for item in items:
            if isinstance(item, Close):  # raised in `send`: the engine would take it for a fault of its own
                self._closed = item.reason
            elif not isinstance(item, bytes | Moved):
                self.noticed.append(Noticed(self._now, item))


def _settings(number: int, betas: tuple[float, float]) -> SessionInfo:
    return SessionInfo(
        id=str(number),
        resume_token="",
        backends=Backends(asr="", vad="", turn="", aec=""),
        latency_samples=HOP,
        audio=AudioConfig(
            input=InputConfig(
                format=AudioFormat(rate=SAMPLE_RATE), transcription=TranscriptionConfig(language="en")
            )
        ),
        aec=AecConfig(beta_vad=betas[0], beta_asr=betas[1]),
        duplex=DuplexConfig(stats_hz=0),
    )
