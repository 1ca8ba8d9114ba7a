"""The Serve files of `docker/ray` on a Ray cluster of this machine."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import yaml

from client.local_server import free_port

ROOT = Path(__file__).parents[2]
START_S = 120.0


@contextlib.contextmanager
def running_tier(
    folder: Path, asr: str = "server.tier.deployments:asr", file: str = "serve.yaml"
) -> Iterator[str]:
    """Run it with as many replicas as the file has at least, and yield its address.

    Args:
        folder: For its log, and what `paced` leaves there.
        asr: Builder of the recogniser's application.
        file: In `docker/ray`.
    """
    config = yaml.safe_load((ROOT / "docker" / "ray" / file).read_text("utf-8"))
    port = free_port()
    config["http_options"] |= {"host": "127.0.0.1", "port": port}
    paths = [application["route_prefix"] for application in config["applications"]]
    config["applications"][0]["import_path"] = asr
    for application in config["applications"]:
        for deployment in application["deployments"]:
            deployment["num_replicas"] = deployment.pop("autoscaling_config")["min_replicas"]
            deployment["ray_actor_options"].pop("memory", None)
    copy = folder / "serve.yaml"
    copy.write_text(yaml.safe_dump(config))
    settings = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "RAY_USAGE_STATS_ENABLED": "0"}
    settings["TIER_AT_WORK"] = str(folder)
    command = [sys.executable, str(Path(__file__).parent / "local_tier.py"), str(copy)]
    with (folder / "tier.log").open("wb") as log:
        process = subprocess.Popen(command, env=os.environ | settings, stdout=log, stderr=subprocess.STDOUT)
        try:
            _wait_ready(process, f"http://127.0.0.1:{port}", paths, folder / "tier.log")
            yield f"ray://127.0.0.1:{port}"
        finally:
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(30)
            process.kill()


def _wait_ready(process: subprocess.Popen[bytes], url: str, paths: list[str], log: Path) -> None:
    deadline = time.monotonic() + START_S
    while True:
        with contextlib.suppress(httpx.HTTPError):
            if all(httpx.get(url + path, trust_env=False).is_success for path in paths):
                return
        assert process.poll() is None, log.read_text("utf-8")[-2000:]
        assert time.monotonic() < deadline, log.read_text("utf-8")[-2000:]
        time.sleep(0.5)
