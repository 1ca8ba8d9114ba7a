"""`duplex bench server --url`: a load on a service that runs elsewhere, here in this process."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from client.bench_server import Plan, bench_server
from client.connect import Address
from client.load import Seen
from client.tcp import Traffic

COMMAND = [sys.executable, "-m", "client.cli", "bench", "server", "--at-once"]


@pytest.mark.slow
def test_two_clients_hold_what_they_share(server):
    told = []
    plan = Plan([3], seconds=1.5, until_p99_ms=5000, clients=2)
    found = bench_server(plan, Address(server.url), lambda says, now: told.append((says, now)))
    (step,) = found["steps"]
    assert step["lost"] == 0
    assert found["sessions_per_core"] == 3
    assert 0 < step["turnaround_ms"]["p50"] <= step["turnaround_ms"]["max"]
    payload, wire = step["payload_kbit_s"], step["wire_kbit_s"]
    # 32 bytes of header and 20 ms of two channels at 16 kHz, 50 times a second.
    assert payload["sent"] == pytest.approx(524.8, rel=0.05)
    assert payload["received"] > 50  # the rest may come when it no longer counts
    if sys.platform == "linux":
        assert all(payload[way] < wire[way] for way in wire)
    assert step["service"]["turnaround_ms"] > 0  # of /metrics
    says, last = told[-1]
    assert says.startswith("3 sessions")
    assert last.connected == 3
    assert last.received > 0


@pytest.mark.slow
def test_who_is_refused_tries_again_and_is_counted(start_servers):
    full = start_servers(max_sessions=1)
    (step,) = bench_server(Plan([2], seconds=1.0), Address(full.url))["steps"]
    assert step["refused"] == {"4429": 1}
    assert step["lost"] == 1
    (why,) = step["lost_why"]
    assert "takes no session now" in why


def test_a_missing_token_ends_it_with_a_reason(start_servers):
    closed = start_servers(token="a-long-enough-token")
    environment = {**os.environ, "DUPLEX_TOKEN": ""}
    done = subprocess.run(
        [*COMMAND, "--sessions", "2", "--minutes", "0.02", "--url", closed.url],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.returncode == 1
    assert "token is missing or wrong" in done.stderr
    assert "no session could be held" in done.stderr


@pytest.mark.slow
def test_ctrl_c_shows_what_was_measured(server, tmp_path):
    out = tmp_path / "load.json"
    options = ["--sessions", "2", "--minutes", "5", "--url", server.url, "--json", str(out)]
    process = subprocess.Popen([*COMMAND, *options], stdout=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    before = server.service.metrics.hops._value.get()
    while server.service.metrics.hops._value.get() < before + 400:  # four seconds: two of them count
        assert time.monotonic() < deadline, "the load never began"
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    text, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "cut short" in text
    (step,) = json.loads(out.read_text())["server"]["steps"]
    assert step["interrupted"]
    assert step["lost"] == 0
    assert step["turnaround_ms"]["p50"] < float("inf")


def test_what_processes_saw_adds_up():
    one, other = Seen([1.0], sent=3, payload=Traffic(1, 2)), Seen([2.0], sent=4, payload=Traffic(10, 20))
    other.refused["503"] = 2
    one.add(other)
    np.testing.assert_array_equal(one.turnaround_ms, [1.0, 2.0])
    assert (one.sent, one.payload, one.refused["503"]) == (7, Traffic(11, 22), 2)
