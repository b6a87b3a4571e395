"""Whether a store is whole: every marker, every file that one names, every table, every reference.

Only what counts is held against its files: of an address the newest marker that is not withdrawn.
Nothing is changed here but by `repair`, which withdraws damaged commits and deletes nothing.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from sweeper.errors import StoreError
from sweeper.store import intact, relations
from sweeper.store.agreement import Second, seconds
from sweeper.store.files import StoreFiles
from sweeper.store.leftovers import UNMARKED, Leftover, leftovers
from sweeper.store.markers import Commit, withdraw
from sweeper.store.records import MEND, Fault, Records
from sweeper.store.relations import Rows

Listener = Callable[[int, int], None]
"""Called with the bytes that were read, and with how many there are."""

_THREADS = min(4, os.cpu_count() or 1)
"""Hashing leaves Python's lock; a disk seldom feeds more."""


@dataclass
class Verified:
    """What was looked at, and what was found.

    ``rests_on`` says of each commit to be withdrawn how many others were made from its
    checkpoint, directly or not: those stay as they are. ``jobs`` says whose each marker is that
    is to be withdrawn, as far as that is known. ``disagreeing`` are attempts that do not count
    and scored otherwise than those that do, which is no fault of the store.
    """

    counts: Counter[str]
    faults: list[Fault]
    leftovers: list[Leftover]
    rests_on: dict[str, int] = field(default_factory=dict)
    jobs: dict[str, str] = field(default_factory=dict)
    disagreeing: list[Second] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def withdrawing(self) -> dict[str, str]:
        """The markers that `repair` withdraws, each with the first reason."""
        found: dict[str, str] = {}
        for fault in self.faults:
            if fault.withdraws:
                found.setdefault(fault.withdraws, f"{fault.name}: {fault.problem}")
        return found

    @property
    def unmarked(self) -> dict[str, str]:
        """Addresses of which an attempt ended and no marker can be read -> the job, if known."""
        return {one.address: one.job for one in self.leftovers if one.what == UNMARKED}


def verify(files: StoreFiles, listener: Listener = lambda done, total: None) -> Verified:
    """Check a store, which may be in use meanwhile.

    Raises:
        StoreError: a folder of the store cannot be listed.
    """
    began = time.monotonic()
    records = Records(files)
    counting = records.counting()
    look = _Look(files, listener, counting)
    with ThreadPoolExecutor(_THREADS) as pool:
        read = list(pool.map(look.at, counting))
    rows = {commit.name: one for commit, one in zip(counting, read, strict=True) if one}
    faults = [*records.faults, *look.faults]
    faults += relations.faults(records, counting, rows)
    faults += relations.failure_faults(files, records.failed_tables)
    # A driver may have dropped a loser since we began, or a worker withdrawn what it found.
    late = {*files.names("dropped"), *files.names("withdrawn")}
    late -= records.dropped | records.withdrawn
    found = Verified(
        counts=Counter({**records.counts, **look.counts}),
        faults=[fault for fault in faults if fault.withdraws not in late],
        leftovers=list(leftovers(files, records)),
    )
    found.rests_on = relations.resting(rows, counting, found.withdrawing)
    found.jobs = {name: records.job_of(name) for name in found.withdrawing}
    found.disagreeing = seconds(files, counting, records.named.values())
    found.seconds = time.monotonic() - began
    return found


def repair(files: StoreFiles, verified: Verified) -> int:
    """Make the damaged commits count as not there; returns how many that are."""
    for name, why in verified.withdrawing.items():
        withdraw(files, name, why)
    return len(verified.withdrawing)


class _Look:
    """Holds the files of one commit after another against what its marker says."""

    def __init__(self, files: StoreFiles, listener: Listener, commits: list[Commit]) -> None:
        self.files = files
        self.counts: Counter[str] = Counter()
        self.faults: list[Fault] = []
        self._listener = listener
        self._total = sum(
            said["size"]
            for commit in commits
            for name, said in commit.files.items()
            if _expected(commit, name)
        )
        self._lock = Lock()

    def at(self, commit: Commit) -> Rows | None:
        """Look at a commit's files; what its tables refer to, or None if one is damaged."""
        damaged = False
        for name, said in commit.files.items():
            if not _expected(commit, name):
                continue
            found = self._fault(commit, name, said)
            with self._lock:
                if found:
                    self.faults.append(found)
                self.counts["files"] += 1
                self.counts["bytes"] += said["size"]
                self._listener(self.counts["bytes"], self._total)
            damaged |= bool(found) and name.startswith("tables/")
        if damaged:
            return None
        rows = relations.rows_of(self.files, commit)
        with self._lock:
            self.counts += rows.counts
            self.faults += rows.faults
        return rows

    def _fault(self, commit: Commit, name: str, said: Mapping[str, Any]) -> Fault | None:
        try:
            problem = intact.fault(self.files, name, said)
        except (OSError, StoreError) as error:
            return Fault(name, f"it cannot be read: {error}", "", commit.job, MEND)
        return Fault(name, problem, commit.name, commit.job) if problem else None


def _expected(commit: Commit, name: str) -> bool:
    """Whether a file of a commit is to be there: that of a dropped checkpoint is not."""
    return not (commit.dropped and name.startswith("attempts/"))
