"""HTTP faces, admission before accept, and the process around the app."""

import json
import logging
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest
from prometheus_client.parser import text_string_to_metric_families
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from server.app import create_app, make_server, serve
from server.asr import RecognizerError
from server.settings import Settings


def get(url: str) -> tuple[int, str, str]:
    """Return status, content type and body."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, answer.headers["content-type"], answer.read().decode()
    except HTTPError as error:
        with error:
            return error.code, error.headers["content-type"], error.read().decode()


async def refused(url: str, **options: Any) -> int:
    with pytest.raises(InvalidStatus) as caught:
        async with connect(url, compression=None, proxy=None, **options):
            pass
    return caught.value.response.status_code


async def accepted(url: str, **options: Any) -> str | None:
    async with connect(url, compression=None, proxy=None, **options) as socket:
        assert json.loads(await socket.recv())["type"] == "session.created"
        return socket.subprotocol


def test_health_and_readiness(server):
    assert get(f"{server.http}/healthz")[0] == 200
    status, _, body = get(f"{server.http}/readyz")
    assert (status, json.loads(body)) == (200, {"status": "ready"})


async def test_readiness_fails_at_capacity_for_who_asks_about_room(start_server):
    server = start_server(max_sessions=1)
    assert get(f"{server.http}/readyz?room=1")[0] == 200
    async with connect(server.url, compression=None, proxy=None) as socket:
        await socket.recv()
        status, _, body = get(f"{server.http}/readyz?room=1")
        assert (status, json.loads(body)) == (503, {"status": "all 1 sessions are taken"})
        assert get(f"{server.http}/readyz")[0] == 200  # it is well, and who comes back must find it
    await server.shows("duplex_sessions 0.0")
    assert get(f"{server.http}/readyz?room=1")[0] == 200


def test_config_says_what_a_client_must_know(server):
    status, kind, body = get(f"{server.http}/v1/config")
    config = json.loads(body)

    assert (status, kind) == (200, "application/json")
    assert config["protocol_version"] == 1
    assert config["rates"] == [16000, 24000, 48000]
    assert config["backends"]["asr"] == "none"
    assert config["limits"]["idle_ms"] == 60_000


async def test_metrics_are_prometheus_text(server):
    await accepted(server.url)
    status, kind, body = get(f"{server.http}/metrics")
    families = {family.name: family for family in text_string_to_metric_families(body)}

    assert status == 200
    assert kind.startswith("text/plain; version=0.0.4")
    assert families["duplex_sessions_opened"].samples[0].value >= 1
    assert "duplex_turnaround_seconds" in families


def test_without_a_page_there_is_none(server):
    assert get(f"{server.http}/")[0] == 404


def test_the_page_is_served_and_does_not_hide_the_service(start_server: Callable[..., Any], tmp_path: Path):
    (tmp_path / "index.html").write_text("<title>hello</title>")
    (tmp_path / "main.js").write_text("export {}")
    server = start_server(web_dir=tmp_path)

    assert "hello" in get(f"{server.http}/")[2]
    assert "javascript" in get(f"{server.http}/main.js")[1]
    with urllib.request.urlopen(f"{server.http}/main.js") as answer:
        assert answer.headers["Cache-Control"] == "no-cache", "two versions of modules do not mix"
    assert get(f"{server.http}/healthz")[0] == 200
    assert get(f"{server.http}/../settings.py")[0] == 404


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        (["duplex.v1"], "duplex.v1"),
        (["realtime", "openai-insecure-api-key.x", "openai-beta.realtime-v1"], "realtime"),
        (["realtime", "duplex.v1"], "duplex.v1"),
        (None, None),
        (["soap"], None),
    ],
)
async def test_the_subprotocol_is_chosen_among_those_offered(
    server, offered: list[str] | None, chosen: str | None
):
    assert await accepted(server.url, subprotocols=offered) == chosen


async def test_compression_is_off(server):
    async with connect(server.url, proxy=None) as socket:
        assert socket.response.headers.get("Sec-WebSocket-Extensions") is None


async def test_a_foreign_page_is_refused(server):
    assert await refused(server.url, origin="https://evil.example") == 403
    assert await accepted(server.url, origin=server.http) is None


async def test_only_who_shows_the_token_is_accepted(start_server: Callable[..., Any]):
    server = start_server(token="s3cret", origins=("https://app.example",))

    assert await refused(server.url) == 401
    assert await refused(f"{server.url}?token=wrong") == 401
    await accepted(f"{server.url}?token=s3cret", origin="https://app.example")
    await accepted(server.url, additional_headers={"Authorization": "Bearer s3cret"})
    assert 'duplex_connections_refused_total{status="401"} 2.0' in server.metrics()


async def test_other_paths_are_no_socket(server):
    assert await refused(server.url + "/more") == 404


def test_what_cannot_be_loaded_ends_the_process():
    def load(settings: Settings) -> Any:
        raise RecognizerError("no such model")

    server = make_server(create_app(Settings(port=0), load))
    server.run()
    assert server.service.unready == "loading failed"

    with pytest.raises(RecognizerError, match="no such model"):
        serve(Settings(port=0), load)


def test_readiness_follows_loading(start_server: Callable[..., Any]):
    server = start_server()
    server.service.registry.draining = True

    assert get(f"{server.http}/readyz")[0] == 503
    assert get(f"{server.http}/healthz")[0] == 200


def test_refusals_are_not_logged_as_faults(server, caplog):
    record = logging.LogRecord(
        "uvicorn.error",
        logging.ERROR,
        "",
        0,
        "ASGI callable returned without completing handshake.",
        (),
        None,
    )
    assert not logging.getLogger("uvicorn.error").filter(record)


def test_ctrl_c_ends_the_process_quietly():
    script = (
        "from server.app import serve; from server.settings import Settings;"
        "serve(Settings(port=0, asr='none', max_sessions=1))"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    log: list[str] = []
    while "ready for" not in "".join(log[-1:]):
        log.append(process.stderr.readline())
        assert log[-1], "".join(log)
    process.send_signal(signal.SIGINT)
    rest = process.communicate(timeout=20)[1]

    assert process.returncode == 0, rest
    assert "Traceback" not in rest
