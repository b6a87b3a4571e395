"""Plan + Store -> what is done, ready, waiting, failed, blocked. Used by every command.

Nothing here is kept: each start derives it anew from markers, asks and failures, and a running
engine feeds it the commits as they come. Work is pulled from the ends: a job is wanted only if
a wanted job lacks it, so a store that has the scores asks for nothing else.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator
from typing import Any

from sweeper.addressing import ONLY, Addressing, Resolved
from sweeper.planning import Job, Plan, Search
from sweeper.store.commits import Commit, Commits
from sweeper.store.files import StoreFiles, digest

DONE, READY, WAITING, FAILED, BLOCKED = "done", "ready", "waiting", "failed", "blocked"
UNNEEDED = "unneeded"


class Progress:
    """The state of every job of a plan, against what a store holds.

    Args:
        plan: The plan.
        resolved: Sources and base model, resolved.
        files: The store.
        failures: Count the store's failures as this sweep's (an engine that starts afresh does
            not: it tries again).
    """

    def __init__(
        self, plan: Plan, resolved: Resolved, files: StoreFiles, *, failures: bool = True
    ) -> None:
        self.plan = plan
        self.files = files
        self.commits = Commits(files)
        self.asks: dict[str, dict[int, dict[str, Any]]] = {}
        self.addressing = Addressing(plan, resolved, self.commits, self.asks)
        self.failures: dict[str, str] = {}
        self.children = plan.children()
        self.priority = plan.remaining_paths()
        self._redo: set[str] = set()
        self._read_asks()
        if failures:
            self._read_failures()
        self._derive()

    # -- deriving everything, once -------------------------------------------------------------

    def _derive(self) -> None:
        self.done: set[str] = set()
        for key in self.plan.jobs:
            if self._has(key):
                self.done.add(key)
        self.wanted = self._pull()
        self._lacking = {
            key: sum(need not in self.done for need in self.plan.jobs[key].needs)
            for key in self.wanted
        }
        self._ready: list[tuple[float, str]] = []
        self._offered: set[str] = set()
        self._flying: dict[str, list[str]] = {}  # address in flight -> other keys that lead to it
        for key in self.plan.jobs:
            if key in self.wanted and not self._lacking[key]:
                self._release(key)

    def _pull(self) -> set[str]:
        """The jobs that must run: the ends that are not done, and what they lack, down the plan."""
        wanted: set[str] = set()
        for key in reversed(self.plan.jobs):
            end = not self.children[key]
            if key in self.done or not (end or any(c in wanted for c in self.children[key])):
                continue
            wanted.add(key)
            self._check_checkpoint(key)
        # A checkpoint that was dropped and is needed after all makes its job wanted again.
        wanted |= self._redo
        return wanted

    def _check_checkpoint(self, key: str) -> None:
        """A wanted score whose winner's checkpoint was dropped needs that trial once more."""
        job = self.plan.jobs[key]
        if job.kind != "score" or "search" not in job.declared["checkpoint"]:
            return
        if self.addressing.units(key) is None:
            return
        source = self.addressing.checkpoint_job(key)
        commit = self.addressing.commit(source) if source else None
        if source and commit and commit.dropped:
            self._redo.add(source)
            self.done.discard(source)

    def _has(self, key: str) -> bool:
        units = self.addressing.units(key)
        return units is not None and all(u in self.commits.by_unit for u in units.values())

    def _release(self, key: str) -> None:
        """A job whose needs are all done is ready, or done already, or cannot be done at all."""
        job = self.plan.jobs[key]
        units = self.addressing.units(key)
        if units is None:
            if job.kind == "score":
                search = self.plan.searches[job.declared["checkpoint"]["search"]]
                self.fail(key, f"no trial of the search {search.key} finished: all diverged")
                return
        elif key not in self._redo and self._has(key):
            self._finish(key)
            return
        elif job.kind == "score" and key in self.wanted:
            self._check_checkpoint(key)
            redo = self.addressing.checkpoint_job(key)
            if redo in self._redo and redo not in self.wanted:
                self.wanted.add(redo)
                self._lacking[redo] = 0
                self._lacking[key] = 1
                self._release(redo)
                return
        if key not in self.failures and key not in self._offered:
            self._offered.add(key)
            heapq.heappush(self._ready, (-self.priority[key], key))

    def _finish(self, key: str) -> None:
        self.done.add(key)
        self._redo.discard(key)
        for child in self.children[key]:
            if child in self._lacking and child not in self.done:
                self._lacking[child] -= 1
                if not self._lacking[child]:
                    self._release(child)

    # -- what the engine says ------------------------------------------------------------------

    def take(self) -> str | None:
        """The ready job with the longest path behind it; it is the caller's from now on.

        A job whose address another one in flight has already is not handed out: it is done
        when that one is.
        """
        while self._ready:
            _, key = heapq.heappop(self._ready)
            if key in self.done or key in self.failures:
                continue
            units = self.addressing.units(key)
            if units is None:  # a trial that its search has yet to ask for
                return key
            address = self.attempt_address(key)
            if address not in self._flying:
                self._flying[address] = []
                return key
            self._flying[address].append(key)
        return None

    def give_back(self, key: str, address: str) -> None:
        """Make a taken job ready again, after an attempt that died."""
        for other in [key, *self._flying.pop(address, [])]:
            heapq.heappush(self._ready, (-self.priority[other], other))

    @property
    def ready(self) -> int:
        """How many jobs wait to be taken."""
        return len(self._ready)

    def committed(self, key: str, address: str, generation: int) -> bool:
        """A worker says that a job is committed: read its marker and release what follows."""
        if self.commits.read(address, generation) is None or not self._has(key):
            return False
        for other in [key, *self._flying.pop(address, [])]:
            if other not in self.done:
                self._finish(other)
        return True

    def fail(self, key: str, reason: str) -> None:
        """Mark a job as failed; what depends on it is blocked."""
        self.failures[key] = reason
        if self.addressing.units(key) is not None:
            for other in self._flying.pop(self.attempt_address(key), []):
                self.failures[other] = reason

    def asked(self, search: Search, number: int, parameters: dict[str, Any]) -> None:
        """Record a trial's parameters, durably, before it starts. An earlier ask stands."""
        folder = self.addressing.search_address(search)
        relative = f"asks/{folder}/{number}.json"
        data = {"search": search.key, "number": number, "parameters": parameters}
        if not self.files.create(relative, data):
            parameters = self.files.read(relative)["parameters"]
        self.asks.setdefault(folder, {})[number] = parameters

    # -- what a job needs to start -------------------------------------------------------------

    def missing(self, key: str) -> dict[str, str]:
        """The units of a job that the store lacks; all of them where it must be done again."""
        units = self.addressing.units(key)
        assert units is not None, f"the address of {key} is not known yet"
        if key in self._redo:
            return units
        return {n: u for n, u in units.items() if u not in self.commits.by_unit} or units

    def attempt_address(self, key: str) -> str:
        """The address that an attempt at the missing units of a job commits under."""
        missing = self.missing(key)
        if list(missing) == [ONLY]:
            return missing[ONLY]
        return digest(sorted(missing.values()))

    def generation(self, address: str) -> int:
        """The number that the next marker of an address bears: 0, unless its files were lost."""
        old = self.commits.by_address.get(address)
        return old.generation + 1 if old else 0

    # -- answers -------------------------------------------------------------------------------

    def state(self, key: str) -> str:
        """One of done, ready, waiting, failed, blocked, unneeded."""
        if key in self.done:
            return DONE
        if key in self.failures:
            return FAILED
        if key in self.blocked():
            return BLOCKED
        if key not in self.wanted:
            return UNNEEDED
        return WAITING if self._lacking[key] else READY

    def blocked(self) -> dict[str, str]:
        """Jobs that cannot be done because one above them failed -> that one."""
        found: dict[str, str] = {}
        for key in self.plan.jobs:
            if key in self.done or key in self.failures:
                continue
            for need in self.plan.jobs[key].needs:
                culprit = need if need in self.failures else found.get(need)
                if culprit:
                    found[key] = culprit
                    break
        return found

    @property
    def left(self) -> set[str]:
        """The wanted jobs that are neither done, failed nor blocked."""
        return self.wanted - self.done - set(self.failures) - set(self.blocked())

    def counts(self) -> dict[str, Counter[str]]:
        """Kind -> state -> how many jobs."""
        found: dict[str, Counter[str]] = {}
        blocked = self.blocked()
        for key, job in self.plan.jobs.items():
            state = BLOCKED if key in blocked else self.state(key)
            found.setdefault(job.kind, Counter())[state] += 1
        return found

    def shared(self) -> int:
        """How many keys lead to a unit that another key of the plan leads to as well."""
        seen = Counter(
            unit
            for key in self.plan.jobs
            for unit in set((self.addressing.units(key) or {}).values())
        )
        return sum(count - 1 for count in seen.values())

    def losers(self) -> Iterator[str]:
        """Addresses of trials that lost a search which is scored: their checkpoints can go."""
        scores: dict[str, list[Job]] = {}
        for job in self.plan.jobs.values():
            if job.kind == "score" and "search" in job.declared["checkpoint"]:
                scores.setdefault(job.declared["checkpoint"]["search"], []).append(job)
        for name, jobs in scores.items():
            if all(job.key in self.done for job in jobs):
                yield from self._losers_of(self.plan.searches[name])

    def losers_after(self, key: str) -> Iterator[str]:
        """The losers that the end of one score job makes known."""
        source = self.plan.jobs[key].declared.get("checkpoint", {}).get("search")
        if source is None:
            return
        children = {c for trial in self.plan.searches[source].trials for c in self.children[trial]}
        if all(child in self.done for child in children):
            yield from self._losers_of(self.plan.searches[source])

    def _losers_of(self, search: Search) -> Iterator[str]:
        won = [self.addressing.winner(search, name) for name in search.selections]
        winners = {found[0].key for found in won if found}
        for trial in search.trials:
            commit = self.addressing.commit(trial)
            if trial not in winners and commit and not commit.dropped:
                yield commit.address

    # -- reading the store ---------------------------------------------------------------------

    def _read_asks(self) -> None:
        for search in self.plan.searches.values():
            folder = self.addressing.search_address(search)
            for name in self.files.names(f"asks/{folder}"):
                asked = self.files.read(f"asks/{folder}/{name}")
                self.asks.setdefault(folder, {})[asked["number"]] = asked["parameters"]

    def _read_failures(self) -> None:
        addresses = set(self.files.names("failures"))
        for key in self.plan.jobs:
            units = self.addressing.units(key)
            if units is None or self._has(key):
                continue
            address = self.attempt_address(key)
            if address in addresses:
                last = self.files.names(f"failures/{address}")[-1]
                self.failures[key] = self.files.read(f"failures/{address}/{last}")["message"]
