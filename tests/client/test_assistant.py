"""A person asks, a chat endpoint answers, the server speaks it: all real but the endpoint and the room."""

import json
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from client.dialogue import talk_with_agent

TEA = Path(__file__).parents[1] / "data" / "tea.flac"
RATE = 16_000
ANSWER = "One green tea it is. Anything else?"

pytestmark = pytest.mark.skipif(
    not (shutil.which("flite") or shutil.which("espeak-ng")),
    reason="no voice that says any text is installed",
)


class Endpoint(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        server: Any = self.server
        server.asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.end_headers()
        for word in ANSWER.split():
            chunk = {"choices": [{"delta": {"content": f"{word} "}}]}
            self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
        self.wfile.write(b"data: [DONE]\n\n")

    def log_message(self, format: str, *args: Any) -> None: ...


@pytest.fixture
def endpoint() -> Iterator[Any]:
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
    server.asked = []
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def url(start_server: Any, endpoint: Any) -> str:
    agent = {"agent_url": f"http://127.0.0.1:{endpoint.server_port}", "agent_model": "tiny"}
    return start_server(asr="whisper", **agent).url


async def test_what_a_person_says_is_answered(url: str, endpoint: Any):
    result = await talk_with_agent(
        url, soundfile.read(TEA, dtype="float32")[0], "openai", speed="max", tail_s=3
    )
    (asked,) = endpoint.asked
    assert "green tea" in asked["messages"][-1]["content"].lower()
    words = [e["delta"] for e in result.events if e["type"] == "response.output_audio_transcript.delta"]
    assert ANSWER.startswith("".join(words))
    assert words
    assert np.abs(result.agent).max() > 3000


async def test_a_parrot_says_what_it_understood(url: str, endpoint: Any):
    result = await talk_with_agent(
        url, soundfile.read(TEA, dtype="float32")[0], "parrot", speed="max", tail_s=6
    )
    events = result.events
    understood = next(
        e["transcript"].strip() for e in events if e["type"].endswith("transcription.completed")
    )
    words = [e["delta"] for e in events if e["type"] == "response.output_audio_transcript.delta"]
    assert words[0] == f"You said: {understood}"
    # Its first words are heard, for the filter has not learned the room. Where they are taken for an
    # interruption, it goes on with the rest as soon as they are understood to be its own.
    assert all(understood.endswith(rest) for rest in words[1:])
    assert [e for e in events if e["type"] == "response.done"][-1]["response"]["status"] == "completed"
    assert endpoint.asked == []
