"""A whole server with tiny Paraformers, and what its sessions notice when their process is killed."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import soundfile
from websockets.sync.client import ClientConnection, connect

from client.wire import Frame, Kind, pack, unpack
from server.asr import Partial, RecognitionService, Transcript
from server.asr.choice import ParaformerModels
from server.asr.process import ProcessRecognizer

if TYPE_CHECKING:
    from tests.conftest import RunningServer
    from tests.server.conftest import TinyParaformers

DATA = Path(__file__).parents[1] / "data"
HOP = 320
SESSION = {
    "audio": {"input": {"format": {"type": "audio/pcm", "rate": 16_000}, "turn_detection": None}},
    "duplex": {"cleaned_audio": True, "stats_hz": 0},
}
TRANSCRIPTION = "conversation.item.input_audio_transcription."


def speech(name: str) -> np.ndarray:
    return soundfile.read(DATA / f"{name}.flac", dtype="float32")[0]


def wait_for(poll: Callable[[], Any]) -> Any:
    """Poll until something is there; a test that waits two minutes has failed."""
    deadline = time.monotonic() + 120
    while not (value := poll()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return value


@pytest.fixture(scope="module")
def server(tiny: TinyParaformers, start_servers: Any) -> RunningServer:
    return start_servers(
        asr="paraformer",
        asr_model=str(tiny.streaming),
        asr_second_pass=str(tiny.seaco),
        asr_punctuation=str(tiny.punctuation),
        idle_s=0,
    )


@pytest.fixture(scope="module")
def recognition(server: RunningServer) -> RecognitionService:
    models = server.service.models
    assert models is not None
    assert models.recognition is not None
    return models.recognition


class Talk:
    """A client that sends mic frames and keeps what comes back."""

    def __init__(self, connection: ClientConnection) -> None:
        self._socket = connection
        self._seq = count()
        self.sent = 0
        self.cleaned = 0  # samples that came back
        self.tell(type="session.update", session=SESSION)

    def tell(self, **event: Any) -> None:
        self._socket.send(json.dumps(event))

    def say(self, audio: np.ndarray) -> None:
        pcm = (32767 * audio).astype(np.int16)
        for at in range(0, len(pcm) // HOP * HOP, HOP):
            pair = np.stack([pcm[at : at + HOP], np.zeros(HOP, np.int16)], axis=1)
            self._socket.send(pack(Frame(Kind.MIC_REF, next(self._seq), pair, self.sent, self.sent, 0)))
            self.sent += HOP

    def until(self, *kinds: str) -> dict[str, Any]:
        while True:
            message = self._socket.recv(timeout=60)
            if isinstance(message, bytes):
                self.cleaned += len(unpack(message).audio)
            elif (event := json.loads(message))["type"] in kinds:
                return event


def test_two_sessions_at_a_time_do_not_mix(tiny: TinyParaformers, recognition: RecognitionService):
    here = ParaformerModels(str(tiny.streaming), str(tiny.seaco), str(tiny.punctuation)).load()
    audios = {name: speech(name) for name in ("table", "tea")}
    sessions = {name: recognition.open(None, ()) for name in audios}
    for start in range(0, max(map(len, audios.values())), 3200):
        for name, session in sessions.items():
            session.feed(audios[name][start : start + 3200])
    for session in sessions.values():
        session.finish()
    for name, session in sessions.items():
        expected = here.open(None, ()).finish(audios[name])
        (transcript,) = wait_for(lambda s=session: [r for r in s.poll() if not isinstance(r, Partial)])
        assert isinstance(transcript, Transcript)
        assert transcript.text == expected.text
        assert len(transcript.words) == len(expected.words) > 5


def test_a_kill_costs_one_transcript_and_no_audio(server: RunningServer, recognition: RecognitionService):
    recognizer = recognition.recognizer
    assert isinstance(recognizer, ProcessRecognizer)
    assert recognizer.pid is not None
    with connect(server.url, subprotocols=["duplex.v1"], compression=None, proxy=None) as socket:
        talk = Talk(socket)
        asr = talk.until("session.created")["session"]["backends"]["asr"]
        assert asr == "paraformer tiny + seaco + punctuation"
        talk.say(speech("tea")[:24_000])
        talk.until(TRANSCRIPTION + "delta")
        killed = recognizer.pid
        os.kill(killed, signal.SIGKILL)
        talk.say(speech("tea")[24_000:])
        talk.tell(type="input_audio_buffer.commit")
        second = talk.sent
        wait_for(lambda: recognizer.pid not in (None, killed))
        talk.say(speech("table"))
        talk.tell(type="input_audio_buffer.commit")
        failed = talk.until(TRANSCRIPTION + "failed")
        assert failed["error"]["code"] == "recognizer_error"
        assert "process ended" in failed["error"]["message"]
        completed = talk.until(TRANSCRIPTION + "completed", TRANSCRIPTION + "failed")
        assert completed["type"].endswith("completed")
        assert completed["item_id"] != failed["item_id"]
        edges = [word[edge] for word in completed["words"] for edge in ("start_ms", "end_ms")]
        assert edges == sorted(edges)
        assert second / 16 <= edges[0] < edges[-1] <= talk.sent / 16
        assert talk.cleaned == talk.sent - HOP  # all but the latency
    assert "duplex_asr_restarts_total 1.0" in server.metrics()
