"""`doctor`: looks at all that a run needs, here and on every host of a cluster."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from sweeper.disk import check_disk
from sweeper.engine import nodes
from sweeper.engine.connecting import connected
from sweeper.engine.environment import secrets_for
from sweeper.errors import SweeperError
from sweeper.graph import Plan
from sweeper.health import judging
from sweeper.health.findings import NOTE, OK, WRONG, Finding
from sweeper.health.host import compete, facts
from sweeper.health.probing import clock_of, probe
from sweeper.health.wanted import wanted
from sweeper.planning import plan
from sweeper.redaction import redacted
from sweeper.resolving import check_base, check_present
from sweeper.study import Study

_NAMES = 50
"""Files that all hosts try to make at once."""

_COMPETITORS = 4
"""Threads of the driver among them."""


def examine(study: Study | None, store: str | None, address: str | None) -> list[Finding]:
    """Look at what a run of a study into a store on a cluster needs, as far as they are given."""
    found = [*_examine(study, store, address)]
    return [Finding(f.check, f.where, f.state, redacted(f.said), redacted(f.fix)) for f in found]


def _examine(study: Study | None, store: str | None, address: str | None) -> Iterator[Finding]:
    planned = None
    if study is not None:
        try:
            planned = plan(study)
            yield Finding("study", "", OK, f"{study.name}: {len(planned.jobs)} jobs")
        except SweeperError as error:
            yield Finding("study", "", WRONG, str(error))
    if address is None:
        yield from _look(planned, store, {}, {})
        return
    try:
        with connected(address):
            working = nodes.working()
            yield from _reached(address, working)
            yield from _look(planned, store, working, secrets_for(store or ""))
            return
    except SweeperError as error:
        yield Finding("address", "", WRONG, str(error))
    yield from _look(planned, store, {}, {})


def _reached(address: str, working: Mapping[str, Any]) -> Iterator[Finding]:
    cores = sum(node["Resources"].get("CPU", 0) for node in working.values())
    gpus = sum(node["Resources"].get("GPU", 0) for node in working.values())
    hosts = "1 host" if len(working) == 1 else f"{len(working)} hosts"
    said = f"{address}: {hosts} for jobs, {gpus:.0f} GPUs, {cores:.0f} cores"
    if working:
        yield Finding("address", "", OK, said)
    else:
        fix = "Add a host (cluster/README.md). Where they come as they are needed, this is so."
        yield Finding("address", "", NOTE, said, fix)
    if os.environ.get("RAY_AUTH_MODE") == "token":
        yield Finding("token", "", OK, "the cluster takes this host's")
    else:
        fix = "Start head and hosts with RAY_AUTH_MODE=token and one RAY_AUTH_TOKEN."
        said = "none: whoever reaches the cluster's ports can run programs on it"
        yield Finding("token", "", NOTE, said, fix)


def _look(
    planned: Plan | None,
    store: str | None,
    working: Mapping[str, Any],
    environment: Mapping[str, str],
) -> Iterator[Finding]:
    """All but address and token, on this host and on those that work."""
    asked = wanted(planned)
    here = facts(platform.node(), asked)
    told, lost = nodes.on_each(working, environment, facts, asked) if working else ({}, {})
    for name, why in lost.items():
        fix = "See Ray's logs there; a library may be missing, or the host be overloaded."
        yield Finding("address", name, WRONG, f"a small task failed there: {why}", fix)
    for name, facts_of in told.items():
        facts_of["ray_gpus"] = working[name]["Resources"].get("GPU", 0.0)
    absent: list[Finding] = []
    if planned is not None:
        absent += _refused("data", check_present, planned)
        absent += _refused("model", check_base, planned.study)
    yield from absent
    said = {finding.check for finding in absent}
    for finding in judging.on_hosts(here, told):
        if finding.check not in said:  # already, and with what to do
            yield finding
    answering = {name: node for name, node in working.items() if name in told}
    if store is not None:
        yield from _store(planned, store, answering, environment)
    elif answering:
        yield from judging.clocks(_ahead(answering), in_s3=False)


def _store(
    planned: Plan | None,
    store: str,
    working: Mapping[str, Any],
    environment: Mapping[str, str],
) -> Iterator[Finding]:
    try:
        with probe(store) as address:
            ahead = _ahead(working)
            clock = clock_of(address)
            if clock is not None:
                ahead["the store"] = clock
            answers = _race(address, working, environment)
    except SweeperError as error:
        yield Finding("store", "", WRONG, str(error))
        return
    yield from judging.race(store, answers, _NAMES)
    yield from judging.clocks(ahead, in_s3=store.startswith("s3://"))
    if planned is not None:
        yield from _refused("disk", check_disk, planned, store)


def _refused(check: str, look: Callable[..., None], *arguments: Any) -> Iterator[Finding]:
    """What a run, too, would refuse."""
    try:
        look(*arguments)
    except SweeperError as error:
        yield Finding(check, "", WRONG, str(error))


def _race(
    address: str, working: Mapping[str, Any], environment: Mapping[str, str]
) -> list[dict[str, Any]]:
    with ThreadPoolExecutor(_COMPETITORS) as pool:
        own = [
            pool.submit(compete, f"{platform.node()}-{number}", address, _NAMES)
            for number in range(_COMPETITORS)
        ]
        told = nodes.on_each(working, environment, compete, address, _NAMES)[0] if working else {}
        return [*told.values(), *(one.result() for one in own)]


def _ahead(working: Mapping[str, Any]) -> dict[str, float]:
    """By how many seconds the clocks of hosts are ahead of this one's."""
    found = {}
    for name, node in working.items():
        before = time.time()
        told, _ = nodes.on_each({name: node}, {}, _now)
        after = time.time()
        if name in told:
            found[name] = told[name]["now"] - (before + after) / 2
    return found


def _now(name: str) -> dict[str, Any]:
    return {"host": name, "now": time.time()}
