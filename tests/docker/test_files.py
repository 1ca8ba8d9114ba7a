"""The files of docker/: held to schemas, to each other, to pyproject.toml and to the metrics."""

import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from server.metrics import Metrics
from server.settings import Settings

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
LOCKS = {"none": [], "embedded": ["embedded-asr"], "paraformer": ["asr"]}


def run(*command: str | Path) -> None:
    done = subprocess.run([str(each) for each in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def in_venv(name: str) -> Path:
    return Path(sys.executable).with_name(name)


def load(name: str) -> Any:
    return yaml.safe_load((DOCKER / name).read_text("utf-8"))


@pytest.fixture
def services() -> dict[str, Any]:
    return load("compose.yaml")["services"]


def test_the_dockerfiles_are_linted():
    files = sorted(DOCKER.glob("**/Dockerfile"))
    assert files
    run(in_venv("hadolint"), *files)


def test_the_compose_file_follows_the_specification():
    run(in_venv("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", DOCKER / "compose.yaml")


def test_no_service_has_more_than_it_needs(services):
    for name, service in services.items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service.get("cap_add", []) == (["NET_BIND_SERVICE"] if name == "proxy" else []), name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert "mem_limit" in service, name
        assert "pids_limit" in service, name
        assert not service["image"].endswith(":latest"), name


def test_only_the_proxy_can_be_reached_from_other_machines(services):
    published = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert set(published) == {"proxy", "grafana"}
    assert all(port.startswith("127.0.0.1:") for port in published["grafana"])


def test_the_container_is_given_time_to_drain(services):
    service = services["duplex"]
    assert (
        int(service["stop_grace_period"].removesuffix("s"))
        >= int(service["environment"]["DUPLEX_DRAIN_S"]) + 5
    )
    settings = {name.removeprefix("DUPLEX_").lower() for name in service["environment"] if "DUPLEX" in name}
    assert settings <= set(Settings.model_fields)


def test_every_mounted_file_is_there(services):
    mounts = [mount for service in services.values() for mount in service.get("volumes", [])]
    files = [mount.split(":")[0] for mount in mounts if mount.startswith("./")]
    assert len(files) == 4
    assert all((DOCKER / file).exists() for file in files)


def test_grafana_finds_prometheus_and_the_dashboard(services):
    sources = load("grafana/provisioning/datasources/prometheus.yaml")["datasources"]
    assert [source["url"] for source in sources] == ["http://prometheus:9090"]
    assert "prometheus" in services
    provider = load("grafana/provisioning/dashboards/duplex.yaml")["providers"][0]
    mounted = [mount.split(":")[1] for mount in services["grafana"]["volumes"]]
    shown = services["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert shown in mounted
    assert str(Path(shown).parent) == provider["options"]["path"]
    dashboard = json.loads((DOCKER / "grafana" / "duplex.json").read_text("utf-8"))
    wanted = next(each for each in dashboard["templating"]["list"] if each["type"] == "datasource")
    assert wanted["query"] == sources[0]["type"]


def test_alerts_watch_metrics_that_there_are():
    rules = load("prometheus/alerts.yaml")["groups"][0]["rules"]
    named = {name for rule in rules for name in re.findall(r"duplex_\w+", rule["expr"])}
    there = set(re.findall(r"^(duplex_\w+)", Metrics().exposition().decode(), re.MULTILINE))
    assert len(named) >= 5
    # A counter with labels shows nothing before it has counted.
    assert named - there == {"duplex_connections_refused_total"}
    assert "# TYPE duplex_connections_refused_total counter" in Metrics().exposition().decode()


@pytest.mark.skipif(shutil.which("promtool") is None, reason="needs the Debian package prometheus")
def test_prometheus_takes_its_files():
    folder = DOCKER / "prometheus"
    run("promtool", "check", "config", "--syntax-only", folder / "prometheus.yaml")
    run("promtool", "check", "rules", folder / "alerts.yaml")


@pytest.mark.parametrize("backend", LOCKS)
def test_the_lock_has_what_the_package_asks_for(backend):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    asked = [*project["dependencies"]]
    for extra in LOCKS[backend]:
        asked += project["optional-dependencies"][extra]
    undeclared = DOCKER / "requirements" / f"{backend}.in"
    asked += undeclared.read_text("utf-8").splitlines()[1:] if undeclared.exists() else []
    files = [DOCKER / "requirements" / f"{backend}.txt", DOCKER / "requirements" / f"{backend}-torch.txt"]
    text = "\n".join(file.read_text("utf-8") for file in files if file.exists())
    pinned = dict(re.findall(r"^([\w.-]+)==(\S+) \\$", text, re.MULTILINE))
    for requirement in map(Requirement, asked):
        version = pinned[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), f"make lock: {requirement} is {version}"


@pytest.mark.parametrize("lock", sorted((DOCKER / "requirements").glob("*.txt")), ids=lambda path: path.name)
def test_each_locked_package_has_its_hash(lock):
    text = lock.read_text("utf-8")
    entries = re.split(r"^(?=[\w.-]+==)", text, flags=re.MULTILINE)[1:]
    if lock.name == "unused.txt":
        assert not entries
        return
    assert entries
    assert all(re.search(r"--hash=sha256:[0-9a-f]{64}", entry) for entry in entries)
    assert "://" not in text, "an index of somebody's own"
