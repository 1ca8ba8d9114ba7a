"""The Kubernetes files: rendered, held to the schemas of Kubernetes and to what server and router expect."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from server.metrics import Metrics
from server.settings import Settings

DOCKER = Path(__file__).parents[2] / "docker"
KUBERNETES = "1.32"
OVERLAYS = ("base", "overlays/production")
FOREIGN = "monitoring.coreos.com/v1"  # whose schema is the Prometheus operator's
UVICORN_S = 5  # timeout_graceful_shutdown

Manifest = dict[str, Any]


def kustomize_is_new() -> bool:
    """Debian 12's kubectl brings kustomize 2.0, which reads another language."""
    if shutil.which("kubectl") is None:
        return False
    said = subprocess.run(["kubectl", "version", "--client", "-o", "json"], capture_output=True, check=False)
    return "v5." in json.loads(said.stdout or "{}").get("kustomizeVersion", "")


needs_kubectl = pytest.mark.skipif(not kustomize_is_new(), reason="needs a kubectl with kustomize 5")


@pytest.fixture(scope="module", params=OVERLAYS)
def manifests(request) -> list[Manifest]:
    folder = DOCKER / "kubernetes" / request.param
    run = subprocess.run(["kubectl", "kustomize", folder], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (0, "")
    return list(yaml.safe_load_all(run.stdout))


def one(manifests: list[Manifest], kind: str, name: str) -> Manifest:
    found = [each for each in manifests if each["kind"] == kind and each["metadata"]["name"] == name]
    assert len(found) == 1, f"{kind} {name}"
    return found[0]


def pod(manifest: Manifest) -> Manifest:
    return manifest["spec"]["template"]["spec"]


def environment(container: Manifest) -> dict[str, str | None]:
    """Return the variables; None for what only a cluster knows."""
    return {each["name"]: each.get("value") for each in container["env"]}


@pytest.fixture
def server(manifests) -> Manifest:
    return one(manifests, "StatefulSet", "duplex")


@pytest.fixture
def router(manifests) -> Manifest:
    return one(manifests, "Deployment", "duplex-router")


@needs_kubectl
def test_every_manifest_fits_its_schema(manifests):
    for each in manifests:
        if each["apiVersion"] != FOREIGN:
            kubernetes_validate.validate(each, KUBERNETES, strict=True)


@needs_kubectl
def test_the_schema_check_can_fail(server):
    wrong = server | {"spec": server["spec"] | {"terminationGracePeriodSecond": 1}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, KUBERNETES, strict=True)


@needs_kubectl
def test_pods_have_no_more_rights_than_they_need(server, router):
    for spec in (pod(server), pod(router)):
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert spec["automountServiceAccountToken"] is False
        (container,) = spec["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert re.search(r":[\w.-]+$", container["image"]), "no version"
        assert {"requests", "limits"} == set(container["resources"])


@needs_kubectl
def test_the_server_takes_the_settings_it_is_given(server):
    spec = pod(server)
    given = environment(spec["containers"][0])
    settings = Settings(
        **{
            name.removeprefix("DUPLEX_").lower(): value or "duplex-0"
            for name, value in given.items()
            if name.startswith("DUPLEX_")
        }
    )
    assert settings.worker == "duplex-0"
    # Otherwise DUPLEX_PORT is what Kubernetes says about the Service.
    assert spec["enableServiceLinks"] is False
    pause = spec["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert spec["terminationGracePeriodSeconds"] > pause + settings.drain_s + UVICORN_S


@needs_kubectl
def test_a_full_server_is_not_ready_but_alive_and_can_be_resumed(manifests, server):
    (container,) = pod(server)["containers"]
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz?room=1"
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert one(manifests, "Service", "duplex-pods")["spec"]["publishNotReadyAddresses"] is True
    assert "publishNotReadyAddresses" not in one(manifests, "Service", "duplex-ready")["spec"]
    assert server["spec"]["serviceName"] == "duplex-pods"


@needs_kubectl
def test_services_policies_and_budgets_select_the_pods_they_are_for(manifests, server, router):
    pods = {"server": server, "router": router}
    labels = {name: each["spec"]["template"]["metadata"]["labels"] for name, each in pods.items()}
    owners = {
        ("Service", "duplex"): "router",
        ("Service", "duplex-ready"): "server",
        ("Service", "duplex-pods"): "server",
        ("PodDisruptionBudget", "duplex"): "server",
        ("PodDisruptionBudget", "duplex-router"): "router",
        ("NetworkPolicy", "duplex"): "server",
        ("NetworkPolicy", "duplex-router"): "router",
    }
    for (kind, name), owner in owners.items():
        spec = one(manifests, kind, name)["spec"]
        chosen = spec.get("podSelector") or spec["selector"]
        assert chosen.get("matchLabels", chosen) == labels[owner], (kind, name)


@needs_kubectl
def test_sessions_scale_the_servers_and_the_rest_can_take_those_of_a_quarter(manifests, server):
    scaler = one(manifests, "HorizontalPodAutoscaler", "duplex")["spec"]
    (metric,) = scaler["metrics"]
    assert f"\n{metric['pods']['metric']['name']} " in Metrics().exposition().decode()
    assert scaler["scaleTargetRef"]["name"] == server["metadata"]["name"]
    assert "replicas" not in server["spec"]  # or every apply would scale
    most = int(environment(pod(server)["containers"][0])["DUPLEX_MAX_SESSIONS"] or 0)
    assert one(manifests, "PodDisruptionBudget", "duplex")["spec"]["maxUnavailable"] == "25%"
    assert int(metric["pods"]["target"]["averageValue"]) / 0.75 <= most


@needs_kubectl
def test_the_router_gets_our_files_and_all_that_they_ask_for(manifests, router):
    spec = pod(router)
    name = next(each["configMap"]["name"] for each in spec["volumes"] if "configMap" in each)
    files = one(manifests, "ConfigMap", name)["data"]
    assert files == {path: (DOCKER / "nginx" / path).read_text() for path in files}
    given = environment(spec["containers"][0])
    asked = set(re.findall(r"\$\{(\w+)\}", files["duplex.conf.template"]))
    assert asked - set(given) == {"NGINX_LOCAL_RESOLVERS"}  # which the image sets
    assert given["NGINX_ENTRYPOINT_LOCAL_RESOLVERS"]
    services = {each["metadata"]["name"] for each in manifests if each["kind"] == "Service"}
    named = re.findall(r"([\w-]+)\.\$\(NAMESPACE\)", f"{given['NGINX_SERVERS']} {given['NGINX_DOMAIN']}")
    assert len(named) == 3
    assert set(named) <= services


@needs_kubectl
def test_the_router_ends_before_it_is_killed(router):
    spec = pod(router)
    (seconds,) = re.findall(r"worker_shutdown_timeout (\d+)s;", (DOCKER / "nginx" / "nginx.conf").read_text())
    pause = spec["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert spec["terminationGracePeriodSeconds"] > pause + int(seconds)
