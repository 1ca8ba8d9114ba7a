"""The lines of docs/security.md that need a socket; what is logged meanwhile must hold no secret."""

import json
import logging
import re
import sys
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedError, InvalidStatus

from server.headers import HEADERS
from server.logs import Discreet, JsonFormatter
from server.metrics import Metrics
from server.peers import MISSES

TOKEN = "t0ps3cr3t-t0k3n"


def get(url: str, **headers: str) -> tuple[int, Any, str]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10) as answer:
            return answer.status, answer.headers, answer.read().decode()
    except HTTPError as error:
        with error:
            return error.code, error.headers, error.read().decode()


async def refused(url: str, **headers: str) -> tuple[int, str | None]:
    with pytest.raises(InvalidStatus) as caught:
        async with connect(url, proxy=None, additional_headers=headers):
            pass
    response = caught.value.response
    return response.status_code, response.headers.get("Retry-After")


async def test_with_a_token_nothing_is_told_without_it(start_server: Callable[..., Any]):
    server = start_server(token=f"other,{TOKEN}")
    assert (await refused(server.url))[0] == 401
    for path in ("/metrics", "/v1/sessions"):
        assert get(server.http + path)[0] == 401
        assert get(server.http + path, Authorization=f"Bearer {TOKEN}")[0] == 200
    for path in ("/healthz", "/readyz", "/v1/config"):
        assert get(server.http + path)[0] == 200


async def test_sessions_are_listed_without_what_was_said_or_opens_them(server: Any):
    async with connect(server.url, proxy=None) as socket:
        session = json.loads(await socket.recv())["session"]
        body = get(f"{server.http}/v1/sessions")[2]
    listed = {each["id"]: each for each in json.loads(body)["sessions"]}
    assert listed[session["id"]]["connected"] is True
    assert session["resume_token"] not in body


async def test_one_address_and_one_token_have_their_share(start_server: Callable[..., Any]):
    server = start_server(token=f"{TOKEN},second", max_sessions_per_address=1, max_sessions_per_token=2)
    mine = {"X-Forwarded-For": "203.0.113.7", "Authorization": f"Bearer {TOKEN}"}
    async with connect(server.url, proxy=None, additional_headers=mine) as socket:
        assert json.loads(await socket.recv())["type"] == "session.created"
        assert await refused(server.url, **mine) == (429, "10")
        async with connect(
            server.url, proxy=None, additional_headers=mine | {"X-Forwarded-For": "203.0.113.8"}
        ):
            assert (await refused(server.url, **mine | {"X-Forwarded-For": "203.0.113.9"}))[0] == 429


async def test_guessing_ends_in_a_ban(start_server: Callable[..., Any]):
    server = start_server(token=TOKEN)
    guess = {"X-Forwarded-For": "203.0.113.7", "Authorization": "Bearer guess"}
    statuses = [(await refused(server.url, **guess))[0] for _ in range(MISSES + 1)]
    assert statuses == [401] * MISSES + [429]
    assert get(f"{server.http}/metrics", **guess | {"Authorization": f"Bearer {TOKEN}"})[0] == 429


def test_every_answer_carries_the_headers(server: Any):
    for path in ("/healthz", "/metrics", "/nowhere"):
        headers = get(server.http + path)[1]
        assert {name: headers[name] for name in HEADERS} == HEADERS
        assert headers["Server"] is None
    assert "unsafe" not in HEADERS["Content-Security-Policy"]


async def test_no_secret_is_logged(start_server: Callable[..., Any]):
    lines: list[str] = []
    handler = logging.Handler(logging.DEBUG)
    handler.emit = lambda record: lines.append(handler.format(record))
    root, level = logging.getLogger(), logging.getLogger().level
    server = start_server(token=TOKEN, agent_key="k3y-of-the-agent")
    handler.setFormatter(Discreet(JsonFormatter(), server.service.settings.secrets))
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        assert (await refused(f"{server.url}?token=a-wrong-guess"))[0] == 401
        async with connect(f"{server.url}?token={TOKEN}", proxy=None) as socket:
            session = json.loads(await socket.recv())["session"]
            await socket.send(json.dumps({"type": "duplex.resume", "session": session["id"], "token": TOKEN}))
            await socket.recv()
        logging.getLogger("agent").error("HTTP 401 with k3y-of-the-agent")
        logging.getLogger("proxy").error('Authorization: Bearer abc.def, {"resume_token": "ghi-jkl"}')
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    log = "\n".join(lines)
    for secret in (TOKEN, "k3y-of-the-agent", "a-wrong-guess", "abc.def", "ghi-jkl", session["resume_token"]):
        assert secret not in log
    assert "/v1/realtime?token=[hidden]" in log, "the test sees what uvicorn logs"
    about = [json.loads(line) for line in lines]
    assert any(line.get("session") == session["id"] for line in about)


async def test_what_fails_inside_is_not_told_to_the_peer(server: Any, monkeypatch: pytest.MonkeyPatch):
    def fail(*_: object) -> None:
        raise RuntimeError("cannot read /srv/private/model.onnx")

    monkeypatch.setattr("server.lane.Lane.listen", fail)
    async with connect(server.url, proxy=None) as socket:
        await socket.send(json.dumps({"type": "input_audio_buffer.append", "audio": "AAAA" * 4000}))
        told: list[str | bytes] = []
        with suppress(ConnectionClosedError):
            while True:
                told.append(await socket.recv())
    assert "this session failed" in "".join(map(str, told))
    assert socket.close_code == 1011
    monkeypatch.setattr("server.metrics.Metrics.exposition", fail)
    status, headers, body = get(f"{server.http}/metrics")
    assert (status, body) == (500, "Internal Server Error")
    assert {name: headers[name] for name in HEADERS} == HEADERS
    assert "private" not in f"{told}{socket.close_reason}{body}"


def test_faults_keep_their_trace_in_the_log_and_their_session():
    formatter = JsonFormatter()
    try:
        raise RuntimeError("broken")
    except RuntimeError:
        fault = sys.exc_info()
    named = ("sess_a-7_0123456789abcdef",)
    record = logging.LogRecord("server.engine", logging.ERROR, "", 0, "session %s failed", named, fault)
    line = json.loads(formatter.format(record))
    assert (line["session"], line["level"], line["logger"]) == (*named, "error", "server.engine")
    assert "RuntimeError: broken" in line["exception"]


ROOT = Path(__file__).parents[2]


def test_each_test_that_the_threat_model_names_is_there():
    text = (ROOT / "docs" / "security.md").read_text("utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| ") and "---" not in line][1:]
    assert len(rows) >= 14
    for row in rows:
        file = ""
        named = re.findall(r"`([\w/.]*)(?:::(\w+))?`", row.rsplit("|", 2)[1])
        assert named, row
        for path, test in named:
            file = path or file
            found = [each for each in ROOT.glob(f"tests/**/{Path(file).name}") if file in str(each)]
            assert found, file
            assert not test or any(f"def {test}(" in each.read_text("utf-8") for each in found), test


def test_the_dashboard_shows_metrics_that_there_are():
    names = set(re.findall(r"duplex_\w+", (ROOT / "docker" / "grafana" / "duplex.json").read_text("utf-8")))
    there = set(re.findall(r"^(duplex_\w+)", Metrics().exposition().decode(), re.MULTILINE))
    there |= {f"{name}_total" for name in ("duplex_connections_closed", "duplex_connections_refused")}
    assert names - there == set()
    families = {re.sub(r"_(bucket|sum|count|total|created)$", "", name) for name in there}
    assert families == {re.sub(r"_(bucket|total)$", "", name) for name in names}, "all of them are shown"
