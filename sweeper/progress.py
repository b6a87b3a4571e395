"""The states of a plan's jobs as an engine moves them on: jobs are taken, claimed, and end.

A query makes a `Progress` too, and tells it nothing.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Iterable
from typing import Any

from sweeper.addressing import Resolved
from sweeper.claims import Claims
from sweeper.graph import Plan, Search
from sweeper.states import States
from sweeper.store.commits import Commits
from sweeper.store.files import StoreFiles
from sweeper.store.leases import Leases


class Progress(States):
    """The states of a plan's jobs, and what an engine says of them.

    Args:
        plan: The plan.
        resolved: Sources and base model, resolved.
        files: The store.
        failures: As `States` has it, and so have ``commits`` and ``ends``.
        leases: Those of the driver that this is the progress of, if other drivers may be about.
    """

    def __init__(
        self, plan: Plan, resolved: Resolved, files: StoreFiles, *,
        failures: bool = True, leases: Leases | None = None, commits: Commits | None = None,
        ends: Iterable[str] | None = None,
    ) -> None:  # fmt: skip
        self.claims = Claims(leases)
        super().__init__(plan, resolved, files, failures=failures, commits=commits, ends=ends)

    def take(self) -> str | None:
        """The most urgent ready job: a search's score, or the longest path; now the caller's."""
        self._look_at_other_drivers()
        while self._ready:
            _, key = heapq.heappop(self._ready)
            if not self._settled(key) and key not in self.failures:
                return key
        return None

    def claim(self, key: str, attempt: str = "") -> bool:
        """Whether a taken job is to be run, now that its parameters are asked for.

        False if its units are in the store by now (then it is done), or if another job makes one
        of them, be it this driver's or another's: then it is done, or ready again, with that one.
        False also if what it needs was withdrawn meanwhile: then it waits for that.
        """
        if not self._made(key):
            if self._put_off(key):
                return False
            units = self.missing(key).values()
            lease = self.addressing.shared_address(key)
            reads = self.addressing.parents(key)
            if not self.claims.stake(key, units, lease, attempt=attempt, reads=reads):
                return False
            # Others commit before they let go of a lease, and mark what they delete before they
            # look who reads it. The worker of a driver that was killed may have ended its job.
            self._read_again(key)
            ended = self._made(key) or self.addressing.pruned(key)
            if not (ended or self._undone(key)):
                return True
        for other in [key, *self.claims.land(key)]:
            self._release(other)
        return False

    def _read_again(self, key: str) -> None:
        """Read what others may have written of a job since its markers were read."""
        address = self.attempt_address(key)
        self.commits.read(address, self.generation(address))
        if self.claims.strangers and len(self.missing(key)) > 1:
            # Another study may have made some of its units under another address.
            self.commits.refresh()
        if self.plan.jobs[key].kind == "score":
            for parent in self.addressing.parents(key):
                self.commits.read_drop(parent)
        name = self.addressing.pruned_name(key)
        if name and name not in self.records and (record := self.files.find(name)):
            self.records[name] = record

    def _look_at_other_drivers(self) -> None:
        """Take in, now and then, what others on this store have committed or let go of."""
        if not self.claims.look():
            return
        if self.claims.news:
            self.commits.refresh()
        freed = set(self.claims.freed())
        for key in [k for k in self.claims.elsewhere if k in freed or self._made(k)]:
            self.claims.land(key)
            self._release(key)

    @property
    def waiting(self) -> bool:
        """Whether some job waits for another driver that is at work on it."""
        return bool(self.claims.elsewhere)

    def give_back(self, key: str) -> None:
        """Make a taken job ready again, after an attempt that died."""
        for other in [key, *self.claims.land(key)]:
            self._offer(other)

    def undermined(self, key: str) -> bool:
        """Whether the checkpoint that a score job needs was deleted, having lost elsewhere."""
        if self.plan.jobs[key].kind != "score":
            return False
        self._read_again(key)
        return self.held.dropped_checkpoint(key) is not None

    def committed(self, key: str, address: str, generation: int) -> bool:
        """A worker says that a job is committed: read its marker and release what follows."""
        if self.commits.read(address, generation) is None or not self.held.has(key):
            return False
        parked = self.claims.land(key)
        self._settle(key)
        for other in parked:
            self._release(other)
        return True

    def prune(self, key: str, values: list[float], why: str) -> None:
        """Record, durably, that a running trial is to stop; it is settled when it has."""
        name = self.addressing.pruned_name(key)
        assert name is not None, key
        record = {"job": key, "values": values, "why": why, "pruned": time.time()}
        if not self.files.create(name, record):
            record = self.files.read(name)
        self.records[name] = record

    def stop_record(self, key: str) -> str:
        """The name of the record that may stop a trial early; empty where none may."""
        name = self.addressing.pruned_name(key)
        return "" if not name or name in self.records or self.addressing.commit(key) else name

    def stopped_early(self, key: str) -> str:
        """Why a trial that has ended was pruned; then its search goes on without it; "": not."""
        record = self.addressing.pruned(key)
        if record is None:
            return ""
        for other in [key, *self.claims.land(key)]:
            self._release(other)
        return str(record["why"])

    def fail(self, key: str, reason: str) -> None:
        """Mark a job as failed, and those that wait for it; what depends on them is blocked."""
        for failed in [key, *self.claims.land(key)]:
            super().fail(failed, reason)

    def asked(self, search: Search, number: int, parameters: dict[str, Any]) -> None:
        """Record a trial's parameters, durably, before it starts. An earlier ask stands."""
        folder = self.addressing.search_address(search)
        relative = f"asks/{folder}/{number}.json"
        data = {"search": search.key, "number": number, "parameters": parameters}
        if not self.files.create(relative, data):
            parameters = self.files.read(relative)["parameters"]
        self.asks.setdefault(folder, {})[number] = parameters
