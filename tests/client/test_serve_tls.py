"""`duplex serve` with TLS: a real https and wss connection that trusts that one certificate only."""

import json
import os
import re
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from client.cli import app
from client.local_server import free_port
from server.network import lan_addresses


@pytest.fixture
def serving(tmp_path: Path):
    """Start `duplex serve` with options; return its port and what it printed before it was ready."""
    started: list[subprocess.Popen[str]] = []

    def serve(*options: str) -> tuple[int, str]:
        port = free_port()
        process = subprocess.Popen(
            [sys.executable, "-m", "client.cli", "serve", "--port", str(port), "--asr", "none", *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            env=os.environ | {"XDG_DATA_HOME": str(tmp_path), "PYTHONIOENCODING": "utf-8"}
            | {"DUPLEX_MAX_SESSIONS": "2", "DUPLEX_MAX_LOAD": "1"},
        )  # fmt: skip
        started.append(process)
        lines: list[str] = []
        while process.stdout is not None and (line := process.stdout.readline()):
            lines.append(line)
            if "ready for" in line:
                return port, "".join(lines)
        raise AssertionError("".join(lines))

    yield serve
    for process in started:
        process.terminate()
        process.communicate(timeout=30)


def trusting(tmp_path: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=tmp_path / "duplex" / "tls" / "certificate.pem")


def test_the_page_and_the_socket_under_one_certificate(serving, tmp_path: Path):
    port, printed = serving("--tls")
    context = trusting(tmp_path)
    hosts = ["localhost", "127.0.0.1", *(host for host in lan_addresses() if ":" not in host)]
    for host in hosts:
        with urllib.request.urlopen(f"https://{host}:{port}/", timeout=10, context=context) as answer:
            assert b"<html" in answer.read()
    url = f"wss://{hosts[-1]}:{port}/v1/realtime"
    origin = f"https://{hosts[-1]}:{port}"
    with pytest.raises(InvalidStatus, match="401"), connect(url, ssl=context, proxy=None, origin=origin):
        pass
    token = re.search(r"token    ([0-9a-f]{32}) \(made", printed)
    assert token, printed
    offers = [Subprotocol(name) for name in ("duplex.v1", f"openai-insecure-api-key.{token[1]}")]
    with connect(url, ssl=context, proxy=None, origin=origin, subprotocols=offers) as socket:
        assert json.loads(socket.recv(10))["type"] == "session.created"
    with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
        urllib.request.urlopen(f"https://127.0.0.1:{port}/", timeout=10)


def test_a_client_that_is_told_trusts_it(serving, tmp_path: Path):
    port, _ = serving("--tls", "--host", "127.0.0.1")
    certificate = tmp_path / "duplex" / "tls" / "certificate.pem"
    sound = tmp_path / "silence.wav"
    soundfile.write(sound, np.zeros(1600), 16_000)
    command = ["stream", str(sound), str(sound), "--url", f"wss://127.0.0.1:{port}/v1/realtime", "--jsonl"]
    refused = CliRunner().invoke(app, command)
    assert refused.exit_code == 1
    assert "not trusted" in refused.stderr
    unreadable = CliRunner().invoke(app, [*command, "--ca", str(sound)])
    assert unreadable.exit_code == 1
    assert "holds no certificate" in unreadable.stderr
    trusted = CliRunner().invoke(app, [*command, "--ca", str(certificate), "--speed", "max"])
    assert trusted.exit_code == 0, trusted.stderr


def test_it_prints_how_a_phone_gets_there(serving, tmp_path: Path):
    port, printed = serving("--host", "0.0.0.0")
    lan = [host for host in lan_addresses() if ":" not in host]
    assert re.search(r"SHA-256 ([0-9A-F]{2}:){31}[0-9A-F]{2}", printed)
    token = re.search(rf"page     https://127.0.0.1:{port}/#token=([0-9a-f]{{32}})\n", printed)
    assert token, printed
    if lan:
        assert f"phone    https://{lan[0]}:{port}/#token={token[1]}\n" in printed
        assert "▄▄▄▄▄" in printed  # a finder pattern of the QR code
    key = tmp_path / "duplex" / "tls" / "key.pem"
    assert key.stat().st_mode & 0o077 == 0


def test_without_tls_it_says_what_a_phone_would_miss(serving, tmp_path: Path):
    port, printed = serving("--host", "0.0.0.0", "--no-tls")
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=10) as answer:
        assert answer.status == 200
    assert "no microphone" in printed or not lan_addresses()
    assert not (tmp_path / "duplex").exists()


def test_a_certificate_without_tls_is_refused(tmp_path: Path):
    result = CliRunner().invoke(app, ["serve", "--no-tls", "--cert", str(tmp_path / "c.pem")])
    assert result.exit_code == 2
    assert "--no-tls" in result.stderr


def test_a_token_of_ones_own_is_not_printed_where_it_would_be_kept(serving, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DUPLEX_TOKEN", "my-own-t0ken")
    port, printed = serving("--host", "0.0.0.0", "--no-tls")
    assert "my-own-t0ken" not in printed
    assert "token    wanted" in printed
    url = f"ws://127.0.0.1:{port}/v1/realtime?token=my-own-t0ken"
    with connect(url, proxy=None) as socket:
        assert json.loads(socket.recv(10))["type"] == "session.created"
