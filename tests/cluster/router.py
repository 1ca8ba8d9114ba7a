"""The router of `docker/nginx`, as it runs in a cluster: only the addresses are this machine's."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from string import Template

import yaml

from client.local_server import free_port
from tests.cluster.pods import Pod

DOCKER = Path(__file__).parents[2] / "docker"
NGINX = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
RESOLVES = (1, 27, 3)  # nginx follows the names of a pool from then on


def nginx_version(nginx: str) -> tuple[int, ...]:
    said = subprocess.run([nginx, "-v"], capture_output=True, text=True, check=True).stderr
    return tuple(int(part) for part in re.findall(r"\d+", said)[:3])


class Router:
    """nginx in front of pods.

    Args:
        folder: For its files.
        pods: All that may ever be there.
        port: Of the pods.
        resolver: Knows their names.
        nginx: The program. One that cannot follow the names of a pool gets the addresses of all pods.
    """

    def __init__(
        self, folder: Path, pods: Sequence[Pod], port: int, resolver: str, nginx: str | None = NGINX
    ) -> None:
        self.port = free_port()
        self.url = f"ws://127.0.0.1:{self.port}/v1/realtime"
        self._command = [str(nginx), "-p", f"{folder}/", "-c", str(folder / "nginx.conf")]
        self._process: subprocess.Popen[bytes] | None = None
        given = _environment(port) | {
            "NGINX_LISTEN": f"127.0.0.1:{self.port}",
            "NGINX_LOCAL_RESOLVERS": resolver,
        }
        if nginx_version(str(nginx)) < RESOLVES:
            lines = [f"server {pod.address}:{port} fail_timeout=5s;" for pod in pods]
            given["NGINX_SERVERS"] = "\n".join(lines)
        template = Template((DOCKER / "nginx" / "duplex.conf.template").read_text())
        (folder / "conf.d").mkdir()
        (folder / "conf.d" / "duplex.conf").write_text(template.safe_substitute(given))
        shutil.copy(DOCKER / "nginx" / "nginx.conf", folder)

    def check(self) -> str:
        """Return what nginx says about its configuration."""
        return subprocess.run([*self._command, "-t"], capture_output=True, text=True, check=False).stderr

    def start(self) -> None:
        """Run it in a process group of its own, and wait until it listens."""
        self._process = subprocess.Popen(
            [*self._command, "-g", "daemon off;"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        for _ in range(100):
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
                return
            time.sleep(0.05)
        raise RuntimeError(f"nginx does not listen: {self.check()}")

    def kill(self) -> None:
        """End it and its workers with SIGKILL: every socket breaks."""
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, 9)
            self._process.wait()


def _environment(port: int) -> dict[str, str]:
    """Return what the Deployment gives the image, in the namespace `duplex`, with another port."""
    deployment = yaml.safe_load((DOCKER / "kubernetes" / "base" / "router.yaml").read_text())
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    values = {each["name"]: each["value"] for each in container["env"] if "value" in each}
    return {
        name: value.replace("$(NAMESPACE)", "duplex").replace(":8080", f":{port}")
        for name, value in values.items()
    }
