"""Facts of hosts -> findings: pure functions, so that any cluster can be told of in a test."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from sweeper.disk import size
from sweeper.health.findings import NOTE, OK, WRONG, Finding

Facts = Mapping[str, Any]

SKEW_SECONDS = 60.0
"""Clocks further apart make the times in logs and tables hard to read."""

S3_SKEW_SECONDS = 900.0
"""S3 refuses requests from a clock further off than this."""

ROOM = 5e9
"""Free bytes below which a worker's disk may fill: a base model and its data take some."""

_INSTALL = "Install the same on every host: `pip install -c constraints.txt .`"


def on_hosts(driver: Facts, nodes: Mapping[str, Facts]) -> list[Finding]:
    """What is to be said of the driver's host and of the nodes, by their names."""
    return [
        *versions(driver, nodes),
        *gpus(nodes or {driver["host"]: driver}),
        *data(driver, nodes),
        *data(driver, nodes, "model"),
        *hub(driver, nodes),
        *disks(driver, nodes),
    ]


def versions(driver: Facts, nodes: Mapping[str, Facts]) -> list[Finding]:
    """Whether all hosts have the driver's Python and libraries."""
    own = driver["versions"]
    lacking = [name for name, found in own.items() if not found]
    if lacking:
        said = f"not installed: {', '.join(lacking)}"
        return [Finding("versions", driver["host"], WRONG, said, f"{_INSTALL}.")]
    found = []
    for name, facts in nodes.items():
        other = [
            f"{lib} {facts['versions'].get(lib) or 'missing'} (here {version})"
            for lib, version in own.items()
            if facts["versions"].get(lib) != version
        ]
        if other:
            fix = f"{_INSTALL} on {name}, or with its versions here."
            found.append(Finding("versions", name, WRONG, ", ".join(other), fix))
    if not found:
        told = ", ".join(f"{lib} {version}" for lib, version in own.items())
        said = f"the same on all {len(nodes) + 1} hosts: {told}" if nodes else told
        found = [Finding("versions", "", OK, said)]
    return found


def gpus(nodes: Mapping[str, Facts]) -> list[Finding]:
    """Whether torch can use the GPUs of each host, and whether Ray was told of them all."""
    found = []
    for name, facts in nodes.items():
        found += _gpus(name, facts)
    kinds = Counter(gpu for facts in nodes.values() for gpu in facts["gpus"]["seen"])
    if not kinds:
        return [*found, Finding("GPUs", "", OK, "none: jobs take a core each")]
    told = ", ".join(f"{count} x {kind}" for kind, count in sorted(kinds.items()))
    if not found:
        found.append(Finding("GPUs", "", OK, told))
    if len(kinds) > 1:
        said = f"of several kinds: {told}"
        fix = "A job goes to any of them: batches are sized for each, but times will differ."
        found.append(Finding("GPUs", "", NOTE, said, fix))
    return found


def _gpus(name: str, facts: Facts) -> list[Finding]:
    told, counted = facts["gpus"], facts.get("ray_gpus")
    seen, devices = told["seen"], told["devices"]
    if not seen:
        if counted:
            said = f"Ray was told of {counted:.0f} GPUs, and the host shows none"
            fix = "Install its GPU driver, or start its Ray with --num-gpus=0."
            return [Finding("GPUs", name, WRONG, said, fix)]
        return []
    if told["error"]:
        return [
            Finding("GPUs", name, WRONG, told["error"], "Run `python -c 'import torch'` there.")
        ]
    if told["built"] is None:
        said = f"{seen[0]}, and a torch that was built without CUDA"
        return [Finding("GPUs", name, WRONG, said, "Install the CUDA build of torch there.")]
    found = []
    unknown = sorted({f"{d['name']} (sm_{d['sm']})" for d in devices if not d["runs"]})
    if unknown:
        said = f"a GPU that its torch has no kernels for: {', '.join(unknown)}"
        fix = "Install a torch that was built for it, or start its Ray without it (--num-gpus)."
        found.append(Finding("GPUs", name, WRONG, said, fix))
    if len(devices) < len(seen):
        said = f"torch reaches {len(devices)} of {len(seen)} GPUs ({seen[0]})"
        fix = f"Its driver may be too old for CUDA {told['built']}: see `nvidia-smi` there."
        found.append(Finding("GPUs", name, WRONG, said, fix))
    if counted is not None and counted < len(seen):
        said = f"Ray was told of {counted:.0f} of {len(seen)} GPUs ({seen[0]})"
        fix = "The others do nothing; start its Ray without --num-gpus to use them."
        found.append(Finding("GPUs", name, NOTE, said, fix))
    return found


def data(driver: Facts, nodes: Mapping[str, Facts], what: str = "data") -> list[Finding]:
    """Whether all hosts see the data files (or those of the base "model") that the driver sees."""
    own = driver[what]
    if own["root"] is None:
        return []
    found = []
    lost = [name for name, mark in own["files"].items() if mark is None]
    if lost:
        said = f"{_few(lost)} cannot be read in {own['root']}"
        fix = "Put the files there, or mend SWEEPER_DATA; `sweeper plan` tells the task."
        found.append(Finding(what, driver["host"], WRONG, said, fix))
    for name, facts in nodes.items():
        theirs = facts[what]
        gone = [n for n, mark in own["files"].items() if mark and theirs["files"][n] is None]
        other = [
            n
            for n, mark in own["files"].items()
            if mark and theirs["files"][n] not in (None, mark)
        ]
        if not theirs["there"]:
            said, fix = f"no folder {own['root']}", "Mount or copy it there, at this path."
        elif gone:
            said, fix = f"{_few(gone)} cannot be read in {own['root']}", "Copy them there."
        elif other:
            said = f"{_few(other)} differ from the driver's"
            fix = "Copy the driver's files there: a worker refuses other content."
        else:
            continue
        found.append(Finding(what, name, WRONG, said, fix))
    if not found:
        said = f"{len(own['files'])} files in {own['root']}" + (", on every host" if nodes else "")
        found = [Finding(what, "", OK, said)]
    return found


def hub(driver: Facts, nodes: Mapping[str, Facts]) -> list[Finding]:
    """Whether all hosts reach what the study has from the hub."""
    fix = (
        "Check the network, the name, and HF_TOKEN if it is gated; or give a folder of files. "
        "Without a network, fill HF_HOME beforehand and set HF_HUB_OFFLINE=1."
    )
    hosts = {driver["host"]: driver, **nodes}
    return [
        Finding("hub", name, WRONG, facts["hub"], fix)
        for name, facts in hosts.items()
        if facts["hub"]
    ]


def disks(driver: Facts, nodes: Mapping[str, Facts]) -> list[Finding]:
    """Whether the disks that workers write to have room."""
    hosts = nodes or {driver["host"]: driver}
    found = []
    for name, facts in hosts.items():
        for folder, free in facts["disk"].items():
            if free < ROOM:
                fix = "Free some, or set TMPDIR, HF_HOME or SWEEPER_CACHE to another disk."
                said = f"{folder} has {size(free)} free"
                found.append(Finding("disk", name, NOTE, said, fix))
    if not found:
        least = min(free for facts in hosts.values() for free in facts["disk"].values())
        found = [Finding("disk", "", OK, f"at least {size(least)} free where workers write")]
    return found


def race(store: str, answers: Sequence[Facts], names: int) -> list[Finding]:
    """Whether all competitors may do what a store asks, and each file was made by one of them."""
    found = []
    for answer in answers:
        if not answer["seen"]:
            said = f"does not see what the driver wrote to {store}: {answer['error']}"
            fix = "Mount the same shared folder at this path there, or use a bucket."
            found.append(Finding("store", answer["who"], WRONG, said, fix))
        elif answer["error"]:
            fix = "Whoever runs the workers there must be allowed to read, write and delete in it."
            found.append(Finding("store", answer["who"], WRONG, answer["error"], fix))
    if found:
        return found
    told = Counter(name for answer in answers for name in answer["won"])
    twice = sum(told[name] != 1 for name in range(names))
    found.append(Finding("store", "", OK, f"{store} can be read, written and deleted in"))
    if twice:
        said = f"of {names} files that {len(answers)} made at once, {twice} had not one maker"
        fix = (
            "A commit could count twice or not at all here. Use a file system with atomic hard "
            "links (a local disk, NFS, Lustre), or a bucket that obeys If-None-Match."
        )
        return [*found, Finding("exclusive", "", WRONG, said, fix)]
    said = f"{names} files that {len(answers)} made at once had one maker each"
    return [*found, Finding("exclusive", "", OK, said)]


def clocks(ahead: Mapping[str, float], in_s3: bool) -> list[Finding]:
    """How far the clocks of hosts (and of the store) are ahead of the driver's, in seconds."""
    far = {name: by for name, by in ahead.items() if abs(by) > SKEW_SECONDS}
    if not far:
        most = max((abs(by) for by in ahead.values()), default=0.0)
        return [Finding("clock", "", OK, f"at most {most:.1f} s apart")] if ahead else []
    found = []
    for name, by in far.items():
        refused = in_s3 and abs(by) > S3_SKEW_SECONDS
        said = f"{abs(by):.0f} s {'ahead of' if by > 0 else 'behind'} the driver's clock"
        why = "S3 refuses such requests" if refused else "nothing breaks, but times mislead"
        found.append(
            Finding("clock", name, WRONG if refused else NOTE, said, f"Set it by NTP: {why}.")
        )
    return found


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - 2} more" if len(names) > 2 else ""
    return f"{', '.join(names[:2])}{more}"
