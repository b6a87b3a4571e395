"""The files of `ray up`, against the schemas of Ray, of EC2 and of Compute Engine."""

from __future__ import annotations

import json
import logging
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

CLUSTER = Path(__file__).parents[2] / "cluster"
CLOUDS = ("aws", "gcp")


def recipe(cloud: str) -> dict[str, Any]:
    return yaml.safe_load((CLUSTER / cloud / "cluster.yaml").read_text())


def checked(config: dict[str, Any]) -> dict[str, Any]:
    """As `ray up` prepares and checks it."""
    from ray.autoscaler._private.util import prepare_config, validate_config

    logging.disable()
    try:
        prepared = prepare_config(config)
        validate_config(prepared)
    finally:
        logging.disable(logging.NOTSET)
    return prepared


@pytest.fixture(params=CLOUDS)
def cluster(request: pytest.FixtureRequest) -> dict[str, Any]:
    return {"cloud": request.param, **checked(recipe(request.param))}


def test_rays_own_schema_refuses_what_it_does_not_know() -> None:
    with pytest.raises(jsonschema.ValidationError, match="'idle_timeout' was unexpected"):
        checked({**recipe("aws"), "idle_timeout": 5})


def test_hosts_are_had_only_while_they_are_asked_for(cluster: dict[str, Any]) -> None:
    gpu = cluster["available_node_types"]["gpu"]
    assert gpu["min_workers"] == 0
    assert gpu["max_workers"] == cluster["max_workers"] > 0
    assert cluster["idle_timeout_minutes"] == 5
    assert cluster["provider"]["cache_stopped_nodes"] is False


def test_the_head_runs_no_jobs_and_is_no_spot_host(cluster: dict[str, Any]) -> None:
    head = cluster["available_node_types"][cluster["head_node_type"]]
    assert head["resources"] == {"CPU": 0, "GPU": 0}
    assert "spot" not in json.dumps(head).lower()
    assert "spot" in json.dumps(cluster["available_node_types"]["gpu"]).lower()


def test_every_command_is_shell(cluster: dict[str, Any]) -> None:
    commands = [
        line for key, lines in cluster.items() if key.endswith("commands") for line in lines
    ]
    assert len(commands) > 7
    for command in commands:
        checked = subprocess.run(["bash", "-n", "-c", command], capture_output=True, check=False)
        assert not checked.stderr, command


def test_ray_is_started_by_the_recipes_scripts_with_the_token(cluster: dict[str, Any]) -> None:
    assert "~/.ray/auth_token" in cluster["file_mounts"]
    assert cluster["file_mounts"]["~/sweeper/cluster"] == "cluster"
    assert any("RAY_AUTH_MODE=token" in line for line in cluster["setup_commands"])
    starts = (*cluster["head_start_ray_commands"], *cluster["worker_start_ray_commands"])
    assert not any("ray start" in line for line in starts)
    assert any("cluster/head.sh --autoscaling-config=" in line for line in starts)
    assert any(f'spot.sh {cluster["cloud"]} "$RAY_HEAD_IP:6379"' in line for line in starts)


@pytest.fixture
def ec2(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    """A stand-in for EC2; botocore checks names and types by Amazon's own model."""
    import boto3
    from moto import mock_aws

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("HOME", str(tmp_path))  # Ray keeps the key of its hosts there
    (tmp_path / ".ssh").mkdir()
    region = recipe("aws")["provider"]["region"]
    with mock_aws():
        for name in ("sweeper-store", "the-head"):
            boto3.client("iam").create_instance_profile(InstanceProfileName=name)
        yield boto3.client("ec2", region_name=region)


@pytest.mark.parametrize("kind", ["head", "gpu"])
def test_ray_starts_the_hosts_on_ec2(ec2: Any, kind: str) -> None:
    from ray.autoscaler._private.aws.config import bootstrap_aws
    from ray.autoscaler._private.aws.node_provider import AWSNodeProvider

    config = checked(recipe("aws"))
    for hosts in config["available_node_types"].values():  # moto knows other images
        asked = hosts["node_config"]
        assert asked["ImageId"].startswith("resolve:ssm:/aws/service/")
        asked["ImageId"] = ec2.describe_images()["Images"][0]["ImageId"]
    head = config["available_node_types"]["head"]["node_config"]
    head["IamInstanceProfile"] = {"Name": "the-head"}  # else Ray makes one, and waits for it
    hosts = bootstrap_aws(config)["available_node_types"][kind]
    tags = {"ray-node-type": kind, "ray-user-node-type": kind, "ray-launch-config": "one"}
    AWSNodeProvider(config["provider"], "sweeper").create_node(hosts["node_config"], tags, 1)
    (reservation,) = ec2.describe_instances()["Reservations"]
    (made,) = reservation["Instances"]
    assert made["InstanceType"] == hosts["node_config"]["InstanceType"]
    assert made.get("InstanceLifecycle") == ("spot" if kind == "gpu" else None)
    assert made["IamInstanceProfile"]["Arn"].endswith(
        "sweeper-store" if kind == "gpu" else "the-head"
    )
    if kind == "gpu":
        type_ = ec2.describe_instance_types(InstanceTypes=[made["InstanceType"]])
        offered = type_["InstanceTypes"][0]
        gpus = sum(gpu["Count"] for gpu in offered["GpuInfo"]["Gpus"])
        assert hosts["resources"] == {"CPU": offered["VCpuInfo"]["DefaultVCpus"], "GPU": gpus}


def compute() -> dict[str, Any]:
    from googleapiclient import discovery_cache

    folder = Path(discovery_cache.__file__).parent / "documents"
    return json.loads((folder / "compute.v1.json").read_text())["schemas"]


def refused(schemas: dict[str, Any], schema: dict[str, Any], value: Any, at: str) -> list[str]:
    """Where a value is none of a schema of Google's discovery documents."""
    schema = schemas[schema["$ref"]] if "$ref" in schema else schema
    kind = schema["type"]
    python = {"string": str, "integer": int, "boolean": bool, "array": list, "object": dict}[kind]
    if kind == "string" and schema.get("format") == "int64":
        python = (int, str)
    if not isinstance(value, python):
        return [f"{at}: {value!r} is no {kind}"]
    if schema.get("enum") and value not in schema["enum"]:
        return [f"{at}: {value!r} is none of {schema['enum']}"]
    wrong = []
    if kind == "array":
        for number, item in enumerate(value):
            wrong += refused(schemas, schema["items"], item, f"{at}[{number}]")
    if kind == "object":
        for key, item in value.items():
            known = schema.get("properties", {}).get(key) or schema.get("additionalProperties")
            wrong += refused(schemas, known, item, f"{at}.{key}") if known else [f"{at}.{key}"]
    return wrong


@pytest.mark.parametrize("kind", ["head", "gpu"])
def test_compute_engine_takes_what_the_recipe_asks_for(kind: str) -> None:
    schemas = compute()
    asked = recipe("gcp")["available_node_types"][kind]["node_config"]
    assert refused(schemas, {"$ref": "Instance"}, asked, kind) == []
    asked["scheduling"] = {"provisioningModel": "CHEAP", "spot": True}
    assert refused(schemas, {"$ref": "Instance"}, asked, kind) != []
