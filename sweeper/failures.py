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
        "status": "failed",
        "message": message,
        "released": spec.released,
        "started": handed_out,
        "committed": now,
    }
    table = tables.write(files, "trials", f"{spec.address}-{spec.attempt}", [row or died])
    data = {"job": spec.key, "error": error, "message": message, "table": table, "failed": now}
    files.create(f"failures/{spec.address}/{spec.attempt}.json", data)


def last_words(files: StoreFiles, spec: JobSpec) -> dict[str, Any]:
    """What was recorded of an attempt's death; empty if nothing was."""
    name = f"failures/{spec.address}/{spec.attempt}.json"
    return files.read(name) if files.exists(name) else {}


def give_up(files: StoreFiles, spec: JobSpec, message: str) -> None:
    """Mark a job as failed for everyone who looks: it is not tried again by this run."""
    data = {"job": spec.key, "message": redacted(message), "failed": time.time()}
    files.create(f"failed/{spec.address}/{spec.attempt}.json", data)


def given_up(files: StoreFiles) -> dict[str, str]:
    """Address -> why its job was last given up."""
    found = {}
    for address in files.names("failed"):
        newest = files.names(f"failed/{address}")[-1:]
        for name in newest:
            found[address] = files.read(f"failed/{address}/{name}")["message"]
    return found
