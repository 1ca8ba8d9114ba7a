"""Runs a recorded session again through the server's own protocol, timeline and canceller."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from aec_core import HopCanceller
from aec_core.types import Samples
from server.bundle import CONFIG, join, read_messages, read_sound
from server.engine import Engine
from server.errors import ProtocolError
from server.events import Ping, Resume, SessionUpdate
from server.hop import CleanHop
from server.lane import Lane
from server.metrics import Metrics
from server.outbox import Item
from server.pcm import Pcm
from server.protocol import ServerProtocol
from server.session import Session
from server.session_config import Backends, Limits, SessionConfig
from server.vad import SileroBank

OUTPUTS = ("vad", "asr")
_NO_MODELS = Backends(asr="none", vad="", turn="", aec="")


def _nothing(seconds: float) -> None:
    pass


@dataclass(frozen=True)
class Replay:
    """What came out this time.

    Attributes:
        vad: Cleaned for the detector, 16 kHz.
        asr: Cleaned for the recogniser.
        different: Samples of both that are not as they were recorded.
        largest: By how much, in steps of 16 bits.
    """

    vad: Pcm
    asr: Pcm
    different: int
    largest: int


class _Ear:
    """Takes the place of the tape: keeps what the canceller made of each hop."""

    def __init__(self) -> None:
        self.hops: list[list[Pcm]] = [[np.zeros(0, np.int16)] * 2]

    def hop(self, hop: CleanHop) -> None:
        before = max(-hop.start, 0)
        self.hops.append(list(hop.pcm[before:].T.copy()))  # or the whole batch stays

    def message(self, message: bytes | str) -> None: ...

    def told(self, items: Sequence[Item]) -> None: ...

    def close(self) -> None: ...


class _Undecided:
    """Judges no pause: turns change nothing about the cleaned audio."""

    def submit(self, audio: Samples) -> Future[float]:
        """Have no room."""
        future: Future[float] = Future()
        future.cancel()
        return future


def replay(bundle: Path, model: Path | None = None, heard: Callable[[float], None] = _nothing) -> Replay:
    """Send what a peer sent to a fresh session, and compare the cleaned audio.

    A session that shared its rounds with others may differ by a step of 16 bits here and there: sums of
    several rows are rounded in another order than those of one. Alone it is the same bit for bit.

    Args:
        bundle: Directory that `duplex serve --record` made.
        model: Checkpoint of the suppressor, if the service ran one of its own.
        heard: Told the seconds of audio so far.

    Raises:
        OSError: If the bundle cannot be read.
        ValueError: If it is none.
    """
    core = HopCanceller.pretrained(streams=1, path=model)
    engine = Engine(core, SileroBank(1), Metrics(), lambda post: post())
    lane, ear = Lane("replay", _Undecided(), None, config=_first_settings(bundle)), _Ear()
    lane.tape = ear
    session = Session(lane, _NO_MODELS, Limits(), core.latency, lambda: None)
    lane.sink = lambda items: None  # nobody is told
    engine.join(lane)
    protocol = ServerProtocol(session.config.rate)
    for message in read_messages(bundle):
        _submit(session, protocol, message)
        engine.tick()
        heard(lane.heard_s)
    vad, asr = join(ear.hops)
    return _compared(bundle, vad, asr)


def _first_settings(bundle: Path) -> SessionConfig:
    """Return what held before the peer said anything.

    Raises:
        OSError: If it cannot be read.
        ValueError: If it is no configuration.
    """
    kept: dict[str, Any] = json.loads((bundle / CONFIG).read_text(encoding="utf-8"))["session"]
    fields = SessionConfig.model_fields
    config = SessionConfig.model_validate_json(json.dumps({name: kept[name] for name in fields}))
    return config.model_copy(update={"duplex": config.duplex.model_copy(update={"agent": "none"})})


def _submit(session: Session, protocol: ServerProtocol, message: bytes | str) -> None:
    if isinstance(message, bytes):
        session.submit(protocol.receive_binary(message), 0.0)
        return
    event = protocol.receive_text(message)
    if isinstance(event, SessionUpdate):
        change = dict(event.session)
        if "agent" in change.get("duplex", {}):  # its voice comes back in the reference that was recorded
            change["duplex"] = {**change["duplex"], "agent": "none"}
        with suppress(ProtocolError):  # refused then as now
            info = session.configure(change)
            protocol.rate = info.rate
            session.submit(info, 0.0)
    elif not isinstance(event, Ping | Resume):
        session.submit(event, 0.0)


def _compared(bundle: Path, vad: Pcm, asr: Pcm) -> Replay:
    different = largest = 0
    for name, now in zip(OUTPUTS, (vad, asr), strict=True):
        then = read_sound(bundle, name)
        both = min(len(then), len(now))  # a peer that hung up may have sent more than was processed
        steps = np.abs(then[:both].astype(np.int32) - now[:both])
        different += int(np.count_nonzero(steps)) + len(then) - both
        largest = max(largest, int(steps.max(initial=0)), 32768 * (len(then) > both))
    return Replay(vad, asr, different, largest)
