"""Asking something of every host of a cluster, as one small task on each."""

from __future__ import annotations

import os
import platform
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from sweeper.errors import EngineError
from sweeper.health.findings import WRONG
from sweeper.health.host import versions
from sweeper.health.judging import versions as differing

SECONDS = 120.0
"""For how long a host may be silent; a new worker on a busy one takes a while to come up."""


def working() -> dict[str, dict[str, Any]]:
    """The hosts that are alive and have cores or GPUs, as Ray knows them, by name.

    Where hosts share a name, the beginning of Ray's own name of the node follows it.
    """
    import ray

    alive = [node for node in ray.nodes() if node["Alive"]]
    nodes = [n for n in alive if n["Resources"].get("CPU") or n["Resources"].get("GPU")]
    shared = Counter(node["NodeManagerHostname"] for node in nodes)

    def name(node: Mapping[str, Any]) -> str:
        host = str(node["NodeManagerHostname"])
        return host if shared[host] == 1 else f"{host}#{node['NodeID'][:6]}"

    return {name(node): node for node in nodes}


def on_each(
    nodes: Mapping[str, Mapping[str, Any]],
    environment: Mapping[str, str],
    function: Callable[..., dict[str, Any]],
    *arguments: Any,
) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """Call a function of the package on hosts, all at once.

    Args:
        nodes: Of `working`.
        environment: Variables that it has besides; they may be secret.
        function: It is told the host's name and the arguments.
        arguments: Of the function.

    Returns:
        What each host returned, and why those that did not could not, both by name.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    # By Ray's object store: a runtime environment would stand in its logs.
    hidden = ray.put(dict(environment))
    task = ray.remote(num_cpus=0, max_retries=0)(_with_environment)
    asked = {}
    for name, node in nodes.items():
        place = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        options = task.options(scheduling_strategy=place)
        asked[options.remote(hidden, function, name, *arguments)] = name
    answered = ray.wait([*asked], num_returns=len(asked), timeout=SECONDS)[0] if asked else []
    lost = {name: f"no answer in {SECONDS:.0f} s" for name in asked.values()}
    told = {}
    for answer in answered:
        name = asked[answer]
        try:
            told[name] = ray.get(answer)
            del lost[name]
        except ray.exceptions.RayError as error:
            lost[name] = f"{type(error).__name__}: {str(error).strip().splitlines()[-1]}"
    return told, lost


def _with_environment(
    environment: Mapping[str, str],
    function: Callable[..., dict[str, Any]],
    name: str,
    *arguments: Any,
) -> dict[str, Any]:
    os.environ.update(environment)
    return function(name, *arguments)


def check_versions() -> None:
    """Refuse a cluster of which a host computes with other libraries than the driver.

    A host that does not answer is left to the sweep, and one that joins later is not looked at.

    Raises:
        EngineError: which host has which other version, and what to do.
    """
    told, _ = on_each(working(), {}, _versions)
    here = {"host": platform.node(), "versions": versions()}
    wrong = [found for found in differing(here, told) if found.state == WRONG]
    if wrong:
        each = "; ".join(f"{found.where}: {found.said}" for found in wrong)
        raise EngineError(
            "All hosts of a cluster must have the libraries of the driver's host, or scores "
            f"would not compare. {each}. {wrong[0].fix}"
        )


def _versions(name: str) -> dict[str, Any]:
    return {"host": name, "versions": versions()}
