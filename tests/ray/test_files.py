"""The tier's files: Ray's own schema where Ray is installed, Kubernetes' for what is Kubernetes'.

The definition of a RayService is nine tenths pod templates, which are held to Kubernetes' schema here. For
the rest the fields that KubeRay 1.5.1 knows are written down: a misspelt one is found, a wrong value may not.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

DOCKER = Path(__file__).parents[2] / "docker"
SERVE_FILES = ("serve.yaml", "serve-paraformer.yaml")
KUBERNETES = "1.32"

Manifest = dict[str, Any]


def read(name: str) -> list[Manifest]:
    return list(yaml.safe_load_all((DOCKER / "ray" / name).read_text("utf-8")))


@pytest.fixture(scope="module")
def manifests() -> list[Manifest]:
    return read("rayservice.yaml")


@pytest.fixture(scope="module")
def cluster(manifests) -> Manifest:
    return manifests[0]["spec"]["rayClusterConfig"]


def groups(cluster: Manifest) -> list[Manifest]:
    return [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]


@pytest.mark.parametrize("name", SERVE_FILES)
def test_ray_reads_the_serve_files(name: str):
    schema = pytest.importorskip("ray.serve.schema", reason="make test-ray installs Ray")
    config = schema.ServeDeploySchema.model_validate(read(name)[0])
    for application in config.applications:
        for deployment in application.deployments:
            assert deployment.autoscaling_config["min_replicas"] >= 1
    with pytest.raises(ValueError, match="route_prefix"):
        schema.ServeDeploySchema.model_validate({"applications": [{"route_prefix": 1}]})


@pytest.mark.parametrize("name", SERVE_FILES)
def test_the_builders_exist_and_take_the_arguments(name: str):
    pytest.importorskip("ray", reason="make test-ray installs Ray")
    from server.tier import deployments

    for application in read(name)[0]["applications"]:
        module, builder = application["import_path"].split(":")
        assert module == deployments.__name__
        bound = getattr(deployments, builder)(application.get("args", {}))
        assert [one["name"] for one in application["deployments"]] == [bound._bound_deployment.name]


def test_the_manifest_deploys_the_serve_file(manifests):
    assert yaml.safe_load(manifests[0]["spec"]["serveConfigV2"]) == read("serve.yaml")[0]


def test_pods_and_policy_fit_kubernetes(manifests, cluster):
    kubernetes_validate.validate(manifests[1], KUBERNETES, strict=True)
    for group in groups(cluster):
        template = {
            "apiVersion": "v1",
            "kind": "PodTemplate",
            "metadata": {"name": "pod"},
            "template": group["template"],
        }
        kubernetes_validate.validate(template, KUBERNETES, strict=True)
        template["template"] = {"spec": group["template"]["spec"] | {"container": []}}
        with pytest.raises(kubernetes_validate.ValidationError):
            kubernetes_validate.validate(template, KUBERNETES, strict=True)


def test_kuberay_knows_every_field(manifests, cluster):
    service = manifests[0]
    assert (service["apiVersion"], service["kind"]) == ("ray.io/v1", "RayService")
    assert set(service["spec"]) <= {"serveConfigV2", "rayClusterConfig", "serveService", "upgradeStrategy"}
    assert {"headGroupSpec", "workerGroupSpecs"} <= set(cluster)
    known = {"headGroupSpec", "workerGroupSpecs", "rayVersion", "enableInTreeAutoscaling"}
    assert set(cluster) <= known | {"autoscalerOptions", "authOptions", "gcsFaultToleranceOptions"}
    assert set(cluster["autoscalerOptions"]) <= {
        "upscalingMode",
        "idleTimeoutSeconds",
        "resources",
        "version",
    }
    assert set(cluster["headGroupSpec"]) <= {"rayStartParams", "template", "serviceType"}
    for group in cluster["workerGroupSpecs"]:
        assert set(group) == {
            *("groupName", "replicas", "minReplicas", "maxReplicas", "rayStartParams", "template")
        }
    for group in groups(cluster):  # KubeRay passes them to `ray start` as they are
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())


def test_the_workers_hold_the_replicas(manifests, cluster):
    deployments = [one for app in read("serve.yaml")[0]["applications"] for one in app["deployments"]]
    (workers,) = cluster["workerGroupSpecs"]
    cores = int(workers["template"]["spec"]["containers"][0]["resources"]["requests"]["cpu"])
    for least, pods in (("min_replicas", "minReplicas"), ("max_replicas", "maxReplicas")):
        needed = sum(
            one["autoscaling_config"][least] * one["ray_actor_options"]["num_cpus"] for one in deployments
        )
        assert cores * workers[pods] >= needed


def test_one_version_of_ray(cluster):
    version = cluster["rayVersion"]
    assert f"ray[serve]=={version}" in (DOCKER.parent / "pyproject.toml").read_text("utf-8")
    assert f"rayproject/ray:{version}-" in (DOCKER / "ray" / "Dockerfile").read_text("utf-8")
