"""What a store holds of a plan's jobs: commits, whether their files are there, what was asked."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sweeper.addressing import Addressing, Resolved
from sweeper.graph import Plan
from sweeper.store.commits import Commits
from sweeper.store.files import StoreFiles


class Held:
    """What a store holds of a plan's jobs.

    Attributes:
        addressing: The jobs' addresses, as far as they are known.
        asks: Search address -> trial -> the parameters that were asked for.
        records: Those of trials that were stopped early, by name.
        intact: Jobs whose files were seen, or made a moment ago: on NFS a look costs.

    Args:
        plan: The plan.
        resolved: Sources and base model, resolved.
        files: The store.
        commits: Its markers.
    """

    def __init__(
        self, plan: Plan, resolved: Resolved, files: StoreFiles, commits: Commits
    ) -> None:
        self.plan = plan
        self.files = files
        self.commits = commits
        self.asks: dict[str, dict[int, dict[str, Any]]] = {}
        self.records: dict[str, dict[str, Any]] = {}
        self.addressing = Addressing(plan, resolved, commits, self.asks, self.records)
        self.intact: set[str] = set()
        self._read_asks()
        self._read_pruned()

    def has(self, key: str) -> bool:
        """Whether every unit of a job has a commit that counts."""
        units = self.addressing.units(key)
        return units is not None and self.commits.by_unit.has(units.values())

    def lost(self, key: str) -> bool:
        """Whether a done job's commit was withdrawn, or its files deleted behind its back.

        Only for prepared data and stages: a winner that was deleted is found out when it is read.
        """
        if not self.has(key):
            return True
        if not self.leaves_files(key) or key in self.intact:
            return False
        self.look_at([key])
        return key not in self.intact

    def dropped_checkpoint(self, key: str) -> str | None:
        """The trial whose checkpoint a score needs, if that was dropped after it lost."""
        job = self.plan.jobs[key]
        if job.kind != "score" or self.addressing.units(key) is None:
            return None
        source = self.addressing.checkpoint_job(key)
        commit = self.addressing.commit(source) if source else None
        return source if commit and commit.dropped else None

    def leaves_files(self, key: str) -> bool:
        """Whether what a done job made is read by those below it that are not done."""
        return self.plan.jobs[key].kind in ("prepare", "train")

    def look_at(self, keys: Iterable[str]) -> None:
        """Note which done jobs have their files: all at once, since each look costs elsewhere."""
        folders = {key: self._folders(key) for key in keys}
        there = self.files.there(set().union(*folders.values()))
        self.intact |= {key for key, own in folders.items() if own <= there}

    def _folders(self, key: str) -> set[str]:
        units = self.addressing.units(key) or {}
        return {self.commits.by_unit[unit].folder for unit in units.values()}

    def diverged(self, key: str) -> str | None:
        """Why a stage left no checkpoint; that fails it, where a trial's search goes on."""
        commit = self.addressing.commit(key) if self.plan.jobs[key].kind == "train" else None
        if commit is None or commit.outcome["status"] != "diverged":
            return None
        return commit.outcome["message"] or "its training diverged"

    # -- beside the commits ----------------------------------------------------------------------

    def _read_asks(self) -> None:
        ours = {self.addressing.search_address(search) for search in self.plan.searches.values()}
        names = [name for name in self.files.sizes("asks") if name.split("/")[0] in ours]
        for name, asked in zip(
            names, self.files.read_all(f"asks/{name}" for name in names), strict=True
        ):
            known = self.asks.setdefault(name.split("/")[0], {})
            known[asked["number"]] = asked["parameters"]

    def _read_pruned(self) -> None:
        if all(search.space.pruning is None for search in self.plan.searches.values()):
            return
        named = {name for key in self.plan.jobs if (name := self.addressing.pruned_name(key))}
        names = [n for one in self.files.sizes("pruned") if (n := f"pruned/{one}") in named]
        self.records.update(zip(names, self.files.read_all(names), strict=True))
