"""Attempts that died, and jobs that were given up: what the store keeps of them."""

from __future__ import annotations

import time
from typing import Any

from sweeper.jobs import JobSpec
from sweeper.redaction import redacted
from sweeper.store import tables
from sweeper.store.files import StoreFiles


def record(
    files: StoreFiles, spec: JobSpec, error: str, message: str, row: dict[str, Any] | None = None
) -> None:
    """Keep why an attempt died, and its row of `trials`.

    Args:
        files: The store.
        spec: The attempt.
        error: The class of its error.
        message: What is said of it.
        row: Its row, where the worker lived to write one.
    """
    message = redacted(message)
    now = time.time()
    handed_out = int(spec.attempt.split("-")[0], 16) / 1000  # attempts are named by their start
    died = {
        **spec.columns(),
        "kind": spec.kind,
        "trial": spec.trial,
        "status": "pruned" if error == "pruned" else "failed",
        "message": message,
        "released": spec.released,
        "started": handed_out,
        "committed": now,
    }
    table = tables.write(files, "trials", f"{spec.address}-{spec.attempt}", [row or died]).name
    data = {"job": spec.key, "error": error, "message": message, "table": table, "failed": now}
    files.create(f"failures/{spec.address}/{spec.attempt}.json", data)


def last_words(files: StoreFiles, spec: JobSpec) -> dict[str, Any]:
    """What was recorded of an attempt's death; empty if nothing was."""
    return files.find(f"failures/{spec.address}/{spec.attempt}.json") or {}


def give_up(files: StoreFiles, spec: JobSpec, message: str) -> None:
    """Mark a job as failed for everyone who looks: it is not tried again by this run."""
    data = {"job": spec.key, "message": redacted(message), "failed": time.time()}
    files.create(f"failed/{spec.address}/{spec.attempt}.json", data)


def given_up(files: StoreFiles) -> dict[str, str]:
    """Address -> why its job was last given up, unless another attempt was begun since."""
    newest = {name.split("/")[0]: name for name in files.sizes("failed")}  # in order of time
    last = [name for address, name in newest.items() if _is_last(files, address, name)]
    found = files.read_all(f"failed/{name}" for name in last)
    return {n.split("/")[0]: one["message"] for n, one in zip(last, found, strict=True)}


def _is_last(files: StoreFiles, address: str, name: str) -> bool:
    attempt = name.removeprefix(f"{address}/").removesuffix(".json")
    return all(other <= attempt for other in files.names(f"attempts/{address}"))


def recorded(files: StoreFiles) -> list[tuple[str, dict[str, Any]]]:
    """Every attempt's death: its address, and what was recorded of it."""
    names = list(files.sizes("failures"))
    found = files.read_all(f"failures/{name}" for name in names)
    return [(name.split("/")[0], one) for name, one in zip(names, found, strict=True)]
