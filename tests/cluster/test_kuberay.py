"""The manifests for KubeRay and the network policy.

Pods and policies are compared with the models of the official client of Kubernetes. KubeRay's own
definitions are in no package index; the fields below are those of its ray.io/v1 types (1.5.1 to
1.7) that these manifests may use, and the rules those of its operator's own validation. `kubectl
apply --dry-run=server`, as in the README, asks the operator's own definitions.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import ray
import yaml
from kubernetes.client import models

KUBERAY = Path(__file__).parents[2] / "cluster" / "kuberay"

# A field's type: a Python type, a set of values, a model of Kubernetes by name, another object of
# ray.io/v1 (a dict), or a list of one of these.
CLUSTER = {
    "rayVersion": str,
    "authOptions": {"mode": {"token", "disabled"}, "secretName": str},
    "enableInTreeAutoscaling": bool,
    "autoscalerOptions": {
        "version": {"v1", "v2"},
        "idleTimeoutSeconds": int,
        "upscalingMode": {"Default", "Aggressive", "Conservative"},
        "resources": "V1ResourceRequirements",
    },
    "headGroupSpec": {
        "serviceType": {"ClusterIP", "NodePort", "LoadBalancer"},
        "rayStartParams": "Dict[str, str]",
        "template": "V1PodTemplateSpec",
    },
    "workerGroupSpecs": [
        {
            "groupName": str,
            "replicas": int,
            "minReplicas": int,
            "maxReplicas": int,
            "numOfHosts": int,
            "idleTimeoutSeconds": int,
            "rayStartParams": "Dict[str, str]",
            "template": "V1PodTemplateSpec",
        }
    ],
}
JOB = {
    "entrypoint": str,
    "backoffLimit": int,
    "activeDeadlineSeconds": int,
    "submissionMode": {"K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode"},
    "submitterConfig": {"backoffLimit": int},
    "shutdownAfterJobFinishes": bool,
    "ttlSecondsAfterFinished": int,
    "runtimeEnvYAML": str,
    "rayClusterSpec": CLUSTER,
}
REQUIRED = {
    "rayClusterSpec": {"headGroupSpec"},
    "headGroupSpec": {"template", "rayStartParams"},
    "workerGroupSpecs": {"groupName", "minReplicas", "maxReplicas", "template", "rayStartParams"},
}
"""What an object of ray.io/v1 must have, by the field that holds it."""
SCALARS = {"str": str, "int": int, "bool": bool, "object": object}


def manifest(name: str) -> dict[str, Any]:
    return yaml.safe_load((KUBERAY / name).read_text())


def wrong(kind: Any, value: Any, at: str) -> list[str]:
    """Where a value is not of a kind."""
    if isinstance(kind, set):
        return [] if value in kind else [f"{at}: {value!r} is none of {sorted(kind)}"]
    if isinstance(kind, str):
        return wrong_model(kind, value, at)
    if isinstance(kind, type):
        exact = isinstance(value, kind) and (kind is not int or not isinstance(value, bool))
        return [] if exact else [f"{at}: {value!r} is no {kind.__name__}"]
    if isinstance(kind, list):
        if not isinstance(value, list):
            return [f"{at}: {value!r} is no list"]
        return [w for n, item in enumerate(value) for w in wrong(kind[0], item, f"{at}[{n}]")]
    if not isinstance(value, dict):
        return [f"{at}: {value!r} is no object"]
    unknown = [f"{at}.{key} is unknown" for key in value if key not in kind]
    field = re.sub(r"\[\d+\]$", "", at).rpartition(".")[2]
    unknown += [f"{at}.{key} is missing" for key in REQUIRED.get(field, set()) - set(value)]
    known = [w for k, v in value.items() if k in kind for w in wrong(kind[k], v, f"{at}.{k}")]
    return unknown + known


def wrong_model(kind: str, value: Any, at: str) -> list[str]:
    """The same for a type as Kubernetes' client writes it, such as ``List[V1EnvVar]``."""
    if kind in SCALARS:
        return wrong(SCALARS[kind], value, at)
    if inner := re.fullmatch(r"List\[(.+)\]", kind):
        return wrong([inner[1]], value, at)
    if inner := re.fullmatch(r"Dict\[str, (.+)\]", kind):
        return wrong(dict.fromkeys(value, inner[1]), value, at)
    model = getattr(models, kind)
    names = {model.attribute_map[own]: type_ for own, type_ in model.openapi_types.items()}
    must = {model.attribute_map[own] for own, f in model.model_fields.items() if f.is_required()}
    gone = must - set(value) if isinstance(value, dict) else set()
    return [f"{at}.{name} is missing" for name in gone] + wrong(names, value, at)


def spec(name: str) -> dict[str, Any]:
    """The RayCluster's specification in a manifest."""
    whole = manifest(name)["spec"]
    return whole.get("rayClusterSpec", whole)


@pytest.mark.parametrize(
    ("name", "kind", "fields"),
    [("raycluster.yaml", "RayCluster", CLUSTER), ("rayjob.yaml", "RayJob", JOB)],
)
def test_every_field_is_known_and_of_its_type(name: str, kind: str, fields: Any) -> None:
    whole = manifest(name)
    top = {"apiVersion": {"ray.io/v1"}, "kind": {kind}, "metadata": "V1ObjectMeta", "spec": fields}
    assert wrong(top, whole, name) == []


def test_a_misspelt_field_is_found_wherever_it_is() -> None:
    whole = manifest("raycluster.yaml")["spec"]
    pod = whole["workerGroupSpecs"][0]["template"]["spec"]
    pod["containers"][0]["lifecycle"]["prestop"] = {}
    pod["terminationGracePeriodSeconds"] = "120"
    whole["autoscalerOptions"]["version"] = "v3"
    whole["workerGroupSpecs"][0]["rayStartParams"]["num-gpus"] = 1
    assert len(wrong(CLUSTER, whole, "spec")) == 4


@pytest.mark.parametrize("lacks", ["groupName", "maxReplicas", "template"])
def test_a_field_that_must_be_there_is_missed(lacks: str) -> None:
    whole = manifest("raycluster.yaml")["spec"]
    del whole["workerGroupSpecs"][0][lacks]
    assert wrong(CLUSTER, whole, "spec") == [f"spec.workerGroupSpecs[0].{lacks} is missing"]


def test_a_container_without_a_name_is_missed() -> None:
    whole = manifest("rayjob.yaml")["spec"]
    del whole["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]["containers"][0]["name"]
    (found,) = wrong(JOB, whole, "spec")
    assert found.endswith(".spec.containers[0].name is missing")


def test_the_network_policy_is_one() -> None:
    whole = manifest("network.yaml")
    fixed = {"apiVersion": {"networking.k8s.io/v1"}, "kind": {"NetworkPolicy"}}
    kinds = {**fixed, "metadata": "V1ObjectMeta", "spec": "V1NetworkPolicySpec"}
    assert wrong(kinds, whole, "network.yaml") == []


def test_the_submitter_of_the_job_may_speak_to_its_head() -> None:
    """Its pod has the labels that Kubernetes gives a job's pods; KubeRay labels the job alone."""
    (rule,) = manifest("network.yaml")["spec"]["ingress"]
    labels = [peer["podSelector"]["matchLabels"] for peer in rule["from"]]
    job = manifest("rayjob.yaml")
    assert job["spec"]["submissionMode"] == "K8sJobMode"
    assert {"batch.kubernetes.io/job-name": job["metadata"]["name"]} in labels


@pytest.mark.parametrize("name", ["raycluster.yaml", "rayjob.yaml"])
def test_what_every_recipe_promises(name: str) -> None:
    cluster = spec(name)
    assert cluster["authOptions"] == {"mode": "token"}
    assert cluster["rayVersion"] == ray.__version__
    assert cluster["autoscalerOptions"]["version"] == "v2"
    head, (workers,) = cluster["headGroupSpec"], cluster["workerGroupSpecs"]
    assert head["rayStartParams"]["num-cpus"] == head["rayStartParams"]["num-gpus"] == "0"
    assert head["serviceType"] == "ClusterIP"
    assert workers["minReplicas"] == 0 < workers["maxReplicas"]
    for group in (head, workers):
        pod = group["template"]["spec"]
        assert pod["restartPolicy"] == "Never"
        (container,) = pod["containers"]
        env = {one["name"]: one.get("value") for one in container["env"]}
        mounts = {one["mountPath"]: one["name"] for one in container["volumeMounts"]}
        assert env["HF_HOME"].startswith("/cache/")
        assert mounts["/cache"] in {volume["name"] for volume in pod["volumes"]}
        assert "RAY_AUTH_TOKEN" not in env  # the operator's Secret is


@pytest.mark.parametrize("name", ["raycluster.yaml", "rayjob.yaml"])
def test_a_pod_that_goes_has_time_to_save(name: str) -> None:
    pod = spec(name)["workerGroupSpecs"][0]["template"]["spec"]
    (container,) = pod["containers"]
    env = {one["name"]: one.get("value") for one in container["env"]}
    drains = int(env["RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S"])
    assert 30 < drains < pod["terminationGracePeriodSeconds"] - 10
    script = container["lifecycle"]["preStop"]["exec"]["command"][-1]
    assert (KUBERAY.parents[1] / script.removeprefix("/opt/sweeper/")).exists()


def test_a_job_is_tried_again_and_asks_for_hosts() -> None:
    job = manifest("rayjob.yaml")["spec"]
    assert job["backoffLimit"] > 0
    assert job["shutdownAfterJobFinishes"] is True
    most = spec("rayjob.yaml")["workerGroupSpecs"][0]["maxReplicas"]
    assert f"scale.py auto --gpus {most} -- sweeper run" in job["entrypoint"]


def test_both_manifests_have_one_cluster() -> None:
    stays, passes = spec("raycluster.yaml"), spec("rayjob.yaml")
    assert stays["headGroupSpec"]["rayStartParams"].pop("dashboard-host") == "127.0.0.1"
    passes["headGroupSpec"]["rayStartParams"].pop("dashboard-host")
    assert stays == passes
