"""Why a job is done or not, in words, and in which inputs it differs from the nearest done one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from typing import Any

from rich.console import Console
from rich.text import Text

from sweeper.analysis.nearest import Nearest, nearest
from sweeper.analysis.view import View
from sweeper.graph import Search
from sweeper.report.inputs import words
from sweeper.report.live import step
from sweeper.report.lost import lost_outcome
from sweeper.report.terminal import STATE_STYLES, duration, moment
from sweeper.states import BLOCKED, DONE, FAILED, PRUNED, READY, UNNEEDED
from sweeper.store import leases
from sweeper.store.drivers import Drivers, Seen
from sweeper.store.markers import Commit

_SHOWN = 5


def print_why(out: Console, view: View, key: str, drivers: Drivers | None = None) -> None:
    """Say what is known of a job from its store alone.

    Args:
        out: Where it is said.
        view: The job's study.
        key: The job.
        drivers: The store's drivers as this process sees them, for tests.
    """
    said = lines(view, key, drivers)
    style = STATE_STYLES.get(view.progress.state(key), "")
    for place, line in enumerate(said):
        # Keys and commands are to be copied: no line is broken.
        out.print(Text(line, style=style if not place else ""), soft_wrap=True)


def lines(view: View, key: str, drivers: Drivers | None = None) -> list[str]:
    """What `print_why` says, line by line."""
    why = _Why(view, key, drivers or Drivers(view.files))
    return [*why.state(), *why.lost, *why.attempts(), *why.difference()]


def why_data(view: View, key: str) -> dict[str, Any]:
    """The same as data: the job's state, its units' addresses, and its needs' states."""
    state = view.progress.state
    return {
        "job": key,
        "state": state(key),
        "units": view.progress.addressing.units(key),
        "needs": {need: state(need) for need in view.plan.jobs[key].needs},
        "lines": lines(view, key),
    }


class _Why:
    def __init__(self, view: View, key: str, drivers: Drivers) -> None:
        self.view, self.key, self.drivers = view, key, drivers
        self.progress = view.progress
        self.job = view.plan.jobs[key]
        self.units = view.progress.addressing.units(key)
        self.lost = lost_outcome(self.progress, key)

    # -- its state -----------------------------------------------------------------------------

    def state(self) -> Iterator[str]:
        """A line that says it, and those that say why."""
        state = self.progress.state(self.key)
        if state == DONE:
            yield from self._done()
        elif state == FAILED:
            yield f"{self.key} has failed: {self.progress.failures[self.key]}"
            yield f"  its log: sweeper logs '{self.key}' --store {self.view.files.address}"
        elif state == BLOCKED:
            culprit = self.progress.blocked()[self.key]
            yield f"{self.key} is blocked by {culprit}, which failed:"
            yield f"  {self.progress.failures[culprit]}"
            yield f"  its log: sweeper logs '{culprit}' --store {self.view.files.address}"
        elif state == PRUNED:
            yield f"{self.key} is pruned: {self._record()['why']}."
            yield "  Its search goes on without it; the same study without `pruning` finishes it."
        elif state == UNNEEDED:
            yield f"{self.key} is not needed: what it leads to is done."
            yield from _listed(sorted(self._ends(self.key)))
        elif running := self._running():
            yield from running
        elif state == READY:
            yield f"{self.key} is ready: all that it needs is there."
            yield "  The next free worker of a sweep that runs begins it, or `sweeper run`."
            yield from self._again()
        else:
            yield from self._waiting()

    def _record(self) -> dict[str, Any]:
        """What is known of a trial that was stopped early."""
        record = self.progress.addressing.pruned(self.key)
        assert record is not None, self.key
        return record

    def _commits(self) -> list[Commit]:
        found = [self.progress.commits.by_unit.get(unit) for unit in (self.units or {}).values()]
        return list({commit.address: commit for commit in found if commit}.values())

    def _done(self) -> Iterator[str]:
        commits = self._commits()
        diverged = any(commit.outcome["status"] == "diverged" for commit in commits)
        also = ", but its training diverged: it wins nothing" if diverged else ""
        yield f"{self.key} is done{also}."
        for commit in commits:
            row = self._row(commit)
            where = f" on {row['worker']}" if row.get("worker") else ""
            took = f" in {duration(row['committed'] - row['started'])}" if row else ""
            by = f", by a run of {row['study']}" if row else ""
            yield f"  attempt {commit.attempt}, {moment(commit.committed)}{where}{took}{by}"
            if commit.outcome["message"]:
                yield f"  {commit.outcome['message']}"
            if commit.job != self.key:
                yield f"  made as {commit.job}, which is the same computation"
            if commit.dropped:
                yield "  its checkpoint was deleted: it lost its search"
        yield from _listed(self._same(), "  the same computation as ")

    def _row(self, commit: Commit) -> dict[str, Any]:
        from sweeper.store import tables

        name = commit.table("trials")
        rows = tables.read(self.view.files, "trials", [name]).to_pylist() if name else []
        return rows[0] if rows else {}

    def _same(self) -> list[str]:
        """The other jobs of the study that are the very same."""
        mine = set((self.units or {}).values())
        units = self.progress.addressing.units
        return [
            key
            for key, job in self.view.plan.jobs.items()
            if key != self.key and job.kind == self.job.kind
            and set((units(key) or {}).values()) == mine
        ]  # fmt: skip

    def _ends(self, key: str) -> set[str]:
        """The done jobs that make one unneeded: those that would read it, or what comes of it."""
        found: set[str] = set()
        todo, seen = [key], {key}
        while todo:
            for child in self.progress.children[todo.pop()]:
                if child in self.progress.done:
                    found.add(child)
                elif child not in seen:
                    seen.add(child)
                    todo.append(child)
        return found

    def _waiting(self) -> Iterator[str]:
        lacking = self._lacking(self.key)
        count = f"{len(lacking)} of the {len(self.job.needs)} jobs"
        yield f"{self.key} is waiting for {count} that it needs:"
        shown = [f"{need} ({self._told(need)})" for need in lacking[:_SHOWN]]
        yield from _listed(shown + lacking[_SHOWN:])
        first = self._first(self.key)
        if first not in lacking:
            yield f"  The first of that chain is {first} ({self._told(first)})."
        yield from self._again()

    def _lacking(self, key: str) -> list[str]:
        needs = self.view.plan.jobs[key].needs
        over = self.progress.done | self.progress.pruned
        lost = [need for need in needs if need not in over]
        # Where a checkpoint was dropped, that trial alone is waited for.
        return lost or [need for need in needs if self.progress.state(need) not in (DONE, PRUNED)]

    def _first(self, key: str) -> str:
        lacking = self._lacking(key)
        return self._first(lacking[0]) if lacking else key

    def _told(self, key: str) -> str:
        """A need's state in a word or two."""
        if _Why(self.view, key, self.drivers)._running():
            return "running"
        return self.progress.state(key)

    def _again(self) -> Iterator[str]:
        """Of a job that has to be done though the store has an outcome of it."""
        there = self.progress.commits.by_unit
        if not self.units or any(unit not in there for unit in self.units.values()):
            return
        dropped = any(commit.dropped for commit in self._commits())
        gone = "its checkpoints were deleted (it lost)" if dropped else "its files are gone"
        yield f"  It was done, but {gone}; they are needed again."

    # -- who is at it --------------------------------------------------------------------------

    def _running(self) -> list[str]:
        """Who is at work on a job, if a lease or a heartbeat says that someone is."""
        addressing, lease = self.progress.addressing, {}
        if self.units:
            lease = leases.holder(self.view.files, addressing.shared_address(self.key))
        name = lease.get("job", self.key)
        for seen in self.drivers.all():
            said = seen.heartbeat.get("running", {}).get(name)
            ours = seen.heartbeat.get("study") == self.view.plan.study.name
            if (seen.driver == lease["driver"]) if lease else (said and ours):
                return self._run_by(seen, name, said)
        return []

    def _run_by(self, seen: Seen, name: str, said: dict[str, Any] | None) -> list[str]:
        beat = seen.heartbeat
        if not beat or seen.ended:
            return []
        who = f"driver {seen.driver[:8]} of {beat['study']} on {beat['host']}"
        who = f"{who} (process {beat['pid']})"
        state = self.progress.state(self.key)
        if not self.drivers.lives(seen):
            gone = (
                "there is no such process any more" if seen.gone else "its heartbeat stands still"
            )
            return [
                f"{self.key} is {state}: who was at work on it is dead.",
                f"  {who}: {gone}. The next run takes it over.",
            ]
        lines = [f"{self.key} is running."]
        if name != self.key:
            lines.append(f"  It is the same work as {name}.")
        if said and said["phase"]:
            # Both times are of the driver's clock.
            span = duration(beat["now"] - said["since"])
            at = step(said["phase"], said["step"], said["steps"])
            place = said["host"] or beat["host"]
            lines.append(f"  {at}, on {place}, begun {span} before the last heartbeat")
        else:
            lines.append("  No worker has begun it yet.")
        return [*lines, f"  {who} holds it; `sweeper status --watch` shows whether that lives"]

    # -- attempts, and what differs ------------------------------------------------------------

    def attempts(self) -> Iterator[str]:
        """How many attempts at it ended without a commit, by class."""
        if not self.units:
            yield from self._undecided()
            return
        folder = f"failures/{self.progress.attempt_address(self.key)}"
        names = self.view.files.names(folder)
        if names:
            died = self.view.files.read_all(f"{folder}/{name}" for name in names)
            counts = Counter(one["error"] for one in died)
            del counts["pruned"]
            told = ", ".join(f"{count} {error}" for error, count in counts.most_common())
            if told:
                yield f"  attempts that died: {told}"

    def _undecided(self) -> Iterator[str]:
        """Why a job has no address yet."""
        if self.job.kind == "tune":
            followed = self.progress.addressing.followed(self.job)
            said = f"those that win in {followed[0].key}" if followed else "drawn then"
            yield f"  Its address is known when it is begun: its settings are {said}."
            return
        search = self.view.plan.searches[self.job.declared["checkpoint"]["search"]]
        yield f"  Its address is not known yet: the search {search.key} has no winner, since"
        over = "done or pruned" if search.space.pruning else "done"
        yield f"  {self._ended(search)} of its {len(search.trials)} trials are {over}."

    def _ended(self, search: Search) -> int:
        return len({*search.trials} & (self.progress.done | self.progress.pruned))

    def difference(self) -> Iterator[str]:
        """The nearest done job, and the inputs that tell it from this one."""
        if self.lost or self.progress.state(self.key) in (DONE, PRUNED, UNNEEDED):
            return
        found = nearest(self.view, self.key)
        if found is None:
            return
        commit = found.commit
        if commit.job == self.key:
            yield f"It was done before from other inputs ({self._of(found)}). What differs:"
        else:
            yield f"Nothing was done under this key. The nearest done job is {commit.job}"
            yield f"({self._of(found)}). What differs:"
        for via, inputs in groupby(found.inputs, key=lambda one: one.via):
            if via:
                through = f" (through {', '.join(via[:-1])})" if len(via) > 1 else ""
                yield f"  {self._role(via[-1])} {via[-1]}{through}: see `sweeper why '{via[-1]}'`"
            for one in inputs:
                indent = "    " if via else "  "
                yield f"{indent}{words(self.view.plan, via[-1] if via else self.key, one)}"
        if found.compared < found.candidates:
            few = f"{found.compared} of {found.candidates}"
            yield f"(Compared with {few} done {self.job.kind} jobs.)"

    def _of(self, found: Nearest) -> str:
        return f"{moment(found.commit.committed)}, study {found.row['study']}"

    def _role(self, key: str) -> str:
        kind = self.view.plan.jobs[key].kind
        roles = {"prepare": "its data", "train": "its parent", "tune": "its checkpoint's trial"}
        return roles.get(kind, kind)


def _listed(names: list[str], indent: str = "  ") -> Iterator[str]:
    for name in names[:_SHOWN]:
        yield f"{indent}{name}"
    if len(names) > _SHOWN:
        yield f"  and {len(names) - _SHOWN} more"
