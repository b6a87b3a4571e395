"""Plan + Store -> what is done, ready, waiting, failed, blocked.

Nothing here is kept: each start derives it anew from markers, asks and failures. Work is pulled
from the ends: a job is wanted only if a wanted job lacks it, so a store that has the scores asks
for nothing else.
"""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Iterable, Set

from sweeper.addressing import ONLY, Resolved
from sweeper.failures import given_up
from sweeper.graph import Job, Plan, Search
from sweeper.held import Held
from sweeper.store.commits import Commits
from sweeper.store.files import StoreFiles, digest

DONE, READY, WAITING, FAILED, BLOCKED = "done", "ready", "waiting", "failed", "blocked"
UNNEEDED, PRUNED = "unneeded", "pruned"


class States:
    """The state of every job of a plan, against what a store holds.

    Args:
        plan: The plan.
        resolved: Sources and base model, resolved.
        files: The store.
        failures: Count the store's failures as this sweep's (an engine that starts afresh does
            not: it tries again).
        commits: The store's markers, where they are read already.
        ends: The jobs that are wanted, and with them what they need (see `sweeper.scope`);
            default: all of the plan.
    """

    def __init__(
        self, plan: Plan, resolved: Resolved, files: StoreFiles, *,
        failures: bool = True, commits: Commits | None = None, ends: Iterable[str] | None = None,
    ) -> None:  # fmt: skip
        self.plan = plan
        self.files = files
        self.commits = commits or Commits(files)
        self.held = Held(plan, resolved, files, self.commits)
        self.addressing, self.asks = self.held.addressing, self.held.asks
        self.records = self.held.records  # of trials that were stopped early, by name
        self.failures: dict[str, str] = {}
        self.children = plan.children()
        self.priority = plan.remaining_paths()
        self.urgency = self.priority | _scores_first(plan)
        self.done: set[str] = set()
        self.pruned: set[str] = set()  # settled for their search, and not done
        self.wanted: set[str] = set()
        self.left_by_kind: Counter[str] = Counter()
        self.cost_by_kind: dict[str, float] = {job.kind: 0.0 for job in plan.jobs.values()}
        self._left: set[str] = set()
        self._blocked: dict[str, str] = {}
        self._redo: set[str] = set()  # committed, but their files are gone and needed again
        self._lacking: dict[str, int] = {}  # wanted job -> how many of its needs are not done
        self._ready: list[tuple[float, str]] = []
        if failures:
            self._read_failures()
        last = [key for key in plan.jobs if not self.children[key]]
        self._derive(last if ends is None else ends)

    # -- deriving everything, once -------------------------------------------------------------

    def _derive(self, ends: Iterable[str]) -> None:
        self.done = {key for key in self.plan.jobs if self.held.has(key)}
        for key in self.plan.jobs:
            if key in self.done and (trouble := self.held.diverged(key)):
                self.failures[key] = trouble
        self.done -= set(self.failures)
        for key in self.failures:
            self._block(key)
        self.pruned = {key for key in self.plan.jobs if self.addressing.pruned(key)}
        needed = {need for key, job in self.plan.jobs.items() if key not in self.done
                  for need in job.needs if need in self.done}  # fmt: skip
        self.held.look_at(need for need in needed if self.held.leaves_files(need))
        self._want(ends)

    def _read_failures(self) -> None:
        reasons = given_up(self.files)
        for key in self.plan.jobs:
            units = self.addressing.units(key)
            if units is None or self.held.has(key):
                continue
            reason = reasons.get(self.attempt_address(key))
            if reason is not None:
                self.failures[key] = reason

    def _want(self, ends: Iterable[str]) -> None:
        """Make jobs that are not done part of the work, and what they lack, up the plan."""
        new, todo = [], list(ends)
        while todo:
            key = todo.pop()
            if key in self.done or key in self.wanted or key in self.pruned:
                continue
            self.wanted.add(key)
            new.append(key)
            for need in self._undone(key):
                self._mark_redo(need)
            todo += self.plan.jobs[key].needs
        for key in new:
            self._count_lacking(key)
            if key not in self.failures and key not in self._blocked:
                self._left.add(key)
                self._count(key, 1)
        for key in [key for key in new if not self._lacking[key]]:
            self._release(key)

    def _settled(self, key: str) -> bool:
        """Whether those below a job need not wait for it any more."""
        return key in self.done or key in self.pruned

    def _count_lacking(self, key: str) -> None:
        self._lacking[key] = sum(not self._settled(need) for need in self.plan.jobs[key].needs)

    def _undone(self, key: str) -> list[str]:
        """What a job needs that was done and must be done again: its files are gone or damaged."""
        dropped = self.held.dropped_checkpoint(key)
        return [
            need
            for need in self.plan.jobs[key].needs
            if need in self.done and (need == dropped or self.held.lost(need))
        ]

    def _put_off(self, key: str) -> bool:
        """Whether a job must wait, since what it needs must be done again."""
        undone = self._undone(key)
        if not undone and all(map(self._settled, self.plan.jobs[key].needs)):
            return False
        for need in undone:
            self._mark_redo(need)
        self._count_lacking(key)
        self._want(undone)
        self.addressing.forget(key)  # decided, perhaps, by what is there no longer
        return True

    def _mark_redo(self, key: str) -> None:
        if self.held.has(key):  # else its commit was withdrawn, and what is missing says itself
            self._redo.add(key)
        self.done.discard(key)
        self.wanted.discard(key)

    def _made(self, key: str) -> bool:
        """Whether nothing of a job is left to do, be it that it was to be done again."""
        if key not in self._redo or not self.held.has(key):
            return self.held.has(key)
        commits = [self.commits.by_unit[u] for u in (self.addressing.units(key) or {}).values()]
        return not (any(commit.dropped for commit in commits) or self.held.lost(key))

    def _release(self, key: str) -> None:
        """A job whose needs are all done is ready, or done already, or cannot be done at all."""
        if key in self.failures:
            return
        if self._made(key):
            self._settle(key)
            return
        if self._put_off(key):
            return
        job = self.plan.jobs[key]
        undecided = self._undecided(job)
        if undecided:
            self._release_without_winner(key, undecided)
            return
        if self.addressing.pruned(key):
            self._prune(key)
            return
        self._offer(key)

    def _undecided(self, job: Job) -> Search | None:
        """The search that a job's settings rest on, if that has ended without a winner."""
        stage = self.addressing.stage_search(job)
        if stage:
            return None if self.addressing.winner(stage, stage.selections[0]) else stage
        if self.addressing.units(job.key) is not None:
            return None
        if job.kind == "score":
            return self.plan.searches[job.declared["checkpoint"]["search"]]
        followed = self.addressing.followed(job)
        return followed[0] if followed and not self.addressing.winner(*followed) else None

    def _release_without_winner(self, key: str, search: Search) -> None:
        """A job that needs a winner where none finished: a pruned one goes on, or it fails."""
        revived = self.addressing.revived(search)
        if revived is None:
            self.fail(key, f"no trial of the search {search.key} finished: all diverged")
            return
        if revived in self.pruned:
            self.pruned.discard(revived)
            self.wanted.discard(revived)
            self._want([revived])
        self._count_lacking(key)

    def _offer(self, key: str) -> None:
        heapq.heappush(self._ready, (-self.urgency[key], key))

    def _settle(self, key: str) -> None:
        """Take in that a job's units are in the store, whoever made them."""
        trouble = self.held.diverged(key)
        if trouble:
            self.fail(key, trouble)
        elif key not in self.done:
            self._finish(key)

    def _prune(self, key: str) -> None:
        """Settle a trial that was stopped early: its search goes on without it."""
        if key not in self.pruned:
            self.pruned.add(key)
            self._leave(key)
            self._tell_children(key)

    def _finish(self, key: str) -> None:
        self.done.add(key)
        self.held.intact.add(key)  # committed a moment ago: no need to look
        self.pruned.discard(key)
        self._leave(key)
        if key in self._redo:
            self._redo.discard(key)
            # A training is not bound to repeat itself to the last bit: look at the winner anew.
            for child in self.children[key]:
                self.addressing.forget(child)
        self._tell_children(key)

    def _tell_children(self, key: str) -> None:
        """One job less to wait for."""
        for child in self.children[key]:
            if child not in self.done and self._lacking.get(child):
                self._count_lacking(child)
                if not self._lacking[child]:
                    self._release(child)

    def _leave(self, key: str) -> None:
        if key in self._left:
            self._left.discard(key)
            self._count(key, -1)

    def _count(self, key: str, by: int) -> None:
        job = self.plan.jobs[key]
        self.left_by_kind[job.kind] += by
        self.cost_by_kind[job.kind] += by * job.cost

    def fail(self, key: str, reason: str) -> None:
        """Mark a job as failed; what depends on it is blocked."""
        self.failures[key] = reason
        self._leave(key)
        self._block(key)

    def _block(self, culprit: str) -> None:
        """Mark everything below a failed job that is not done as blocked by it."""
        todo = [culprit]
        while todo:
            for child in self.children[todo.pop()]:
                if self._settled(child) or child in self.failures or child in self._blocked:
                    continue
                self._blocked[child] = culprit
                self._leave(child)
                todo.append(child)

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
        """The number that the next marker of an address bears: 0, unless there was one."""
        return self.commits.next_generation(address)

    # -- answers -------------------------------------------------------------------------------

    def state(self, key: str) -> str:
        """One of done, ready, waiting, failed, blocked, pruned, unneeded."""
        if key in self.done:
            return DONE
        if key in self.pruned:
            return PRUNED
        if key in self.failures:
            return FAILED
        if key in self._blocked:
            return BLOCKED
        if key not in self.wanted:
            return UNNEEDED
        return WAITING if self._lacking[key] else READY

    def blocked(self) -> dict[str, str]:
        """Jobs that cannot be done because one above them failed -> that one."""
        return dict(self._blocked)

    @property
    def left(self) -> Set[str]:
        """The wanted jobs that are neither done, pruned, failed nor blocked: kept up to date."""
        return self._left

    def counts(self) -> dict[str, Counter[str]]:
        """Kind -> state -> how many jobs."""
        found: dict[str, Counter[str]] = {}
        for key, job in self.plan.jobs.items():
            found.setdefault(job.kind, Counter())[self.state(key)] += 1
        return found

    def shared(self) -> int:
        """How many keys lead to a unit that another key of the plan leads to as well."""
        seen = Counter(
            unit
            for key in self.plan.jobs
            for unit in set((self.addressing.units(key) or {}).values())
        )
        return sum(count - 1 for count in seen.values())


def _scores_first(plan: Plan) -> dict[str, float]:
    """Scores of searches go before all else: they are short, and free the losers' checkpoints."""
    cells = (*plan.cells, *plan.beside)
    return {cell.score: math.inf for cell in cells if plan.targets[cell.target].training_task}
