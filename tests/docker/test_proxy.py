"""The Caddyfile of compose.yaml: a real Caddy in front of a real server."""

import os
import shutil
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from client.local_server import free_port
from client.recording import shipped
from client.stream import stream_pair

CADDYFILE = Path(__file__).parents[2] / "docker" / "caddy" / "Caddyfile"
TOKEN = "0123456789abcdef0123456789abcdef"
START_S = 60.0
caddy = shutil.which("caddy")
pytestmark = pytest.mark.skipif(caddy is None, reason="needs the Debian package caddy")


@dataclass(frozen=True)
class Site:
    direct: str
    proxied: str
    root_certificate: Path

    def get(self, url: str, token: str, **headers: str) -> int:
        trusted = urllib.request.HTTPSHandler(
            context=ssl.create_default_context(cafile=self.root_certificate)
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), trusted)
        asked = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}", **headers})
        try:
            with opener.open(asked, timeout=10) as answer:
                return answer.status
        except urllib.error.HTTPError as refused:
            refused.close()
            return refused.code


@contextmanager
def running(*command: str, **environment: str) -> Iterator[None]:
    process = subprocess.Popen(command, env={**os.environ, **environment}, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("caddy")
    port, https, http = free_port(), free_port(), free_port()
    site = Site(
        f"http://127.0.0.1:{port}",
        f"https://localhost:{https}",
        folder / "caddy" / "pki" / "authorities" / "local" / "root.crt",
    )
    serve = (sys.executable, "-m", "client.cli", "serve", "--no-tls", "--asr", "none", "--port", str(port))
    server = running(*serve, DUPLEX_TOKEN=TOKEN, FORWARDED_ALLOW_IPS="*", DUPLEX_MAX_SESSIONS="4")
    proxy = running(
        str(caddy),
        *("run", "--adapter", "caddyfile", "--config", str(CADDYFILE)),
        DUPLEX_SITE=f"localhost:{https}",
        DUPLEX_UPSTREAM=f"127.0.0.1:{port}",
        CADDY_HTTP_PORT=str(http),
        XDG_DATA_HOME=str(folder),
        XDG_CONFIG_HOME=str(folder),
    )
    with server, proxy:
        deadline = time.monotonic() + START_S
        while not is_ready(site):
            assert time.monotonic() < deadline, "server and proxy were not ready"
            time.sleep(0.1)
        yield site


def is_ready(site: Site) -> bool:
    try:
        return site.root_certificate.exists() and site.get(f"{site.proxied}/readyz", TOKEN) == 200
    except OSError:
        return False


def test_the_page_and_the_socket_are_one_origin(site):
    assert site.get(f"{site.proxied}/", TOKEN) == 200
    assert site.get(f"{site.proxied}/app.js", TOKEN) == 200


async def test_a_recording_through_the_proxy(site):
    recording = shipped()
    url = site.proxied.replace("https", "wss") + "/v1/realtime"
    heard = await stream_pair(
        url, recording.mic, recording.ref, speed="max", token=TOKEN, ca=site.root_certificate
    )
    assert len(heard.of("input_audio_buffer.speech_started")) == 2


def test_the_measurements_are_not_shown_outside(site):
    assert site.get(f"{site.direct}/metrics", TOKEN) == 200
    assert site.get(f"{site.proxied}/metrics", TOKEN) == 404


def test_a_peer_cannot_say_that_it_is_another(site):
    """Else anyone could have anyone else's address barred."""
    claim = {"X-Forwarded-For": "203.0.113.9"}
    answers = [site.get(f"{site.proxied}/v1/sessions", "wrong", **claim) for _ in range(12)]
    assert answers == [401] * 12
    assert site.get(f"{site.direct}/v1/sessions", "wrong", **claim) == 401
    direct = [site.get(f"{site.direct}/v1/sessions", "wrong", **claim) for _ in range(12)]
    assert direct[-1] == 429, "the server does believe the proxy"
