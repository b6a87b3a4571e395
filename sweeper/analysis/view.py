"""One study of a store as it is at one moment: its plan, its progress, and its rows.

Scores are found from the plan and not from the names that stand in the tables: the store shares
work, so one row can be the score of several seeds (retrieval on the control), cells and studies.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeAlias

from sweeper import failures
from sweeper.addressing import ONLY
from sweeper.analysis.cell import NOT_RUN, RUNNING
from sweeper.errors import StoreError, suggest
from sweeper.graph import SELECTED, Cell, Plan
from sweeper.overlaps import overlap
from sweeper.progress import Progress
from sweeper.resolving import open_study
from sweeper.states import BLOCKED, DONE, FAILED
from sweeper.store.commits import Commits
from sweeper.store.drivers import Drivers
from sweeper.store.files import StoreFiles
from sweeper.tasks import kinds

if TYPE_CHECKING:
    import pandas as pd

Wanted: TypeAlias = str | Iterable[str] | None
"""A filter: one name, several, or None for all."""


@dataclass(frozen=True)
class Part:
    """One score of the study: a target on one seed of a row, in one split and language.

    ``weights`` are those that were scored: selected by dev, as the matrix has them, or what the
    study asks for beside these, last or averaged. ``unit`` is its address in the store; None until
    it is decided which checkpoint is scored.
    """

    intermediate: str
    target: str
    seed: int
    split: str
    language: str
    zero_shot: bool
    overlap: str
    weights: str
    job: str
    unit: str | None


_NAMES = [field.name for field in fields(Part)]
_told = attrgetter(*_NAMES)  # `astuple` would copy every field, deeply


class View:
    """A study of a store at the moment of its making; `again` shows what came since.

    Args:
        files: The store.
        study: The study's name; default: the only one.
        commits: The store's markers, where they are read already; else damaged ones are left out.

    Raises:
        StoreError: no such study, or several and none was named.
    """

    def __init__(
        self, files: StoreFiles, study: str | None = None, commits: Commits | None = None
    ) -> None:
        planned, self._resolved = open_study(files, study)
        self.files = files
        self.plan: Plan = planned
        self.progress = Progress(
            planned, self._resolved, files, commits=commits or Commits(files, tolerant=True)
        )
        self._overlaps: dict[tuple[str, str, str], str] = {}

    def again(self) -> View:
        """The study as it is now; only markers that are new are read."""
        commits = self.progress.commits
        commits.refresh()
        return View(self.files, self.plan.study.name, commits)

    def towards(self, ends: Iterable[str]) -> Progress:
        """The study's progress towards some of its jobs (see `sweeper.scope`)."""
        commits = self.progress.commits
        return Progress(self.plan, self._resolved, self.files, commits=commits, ends=ends)

    # -- what there is -------------------------------------------------------------------------

    @cached_property
    def parts(self) -> list[Part]:
        """Every score of the matrix: by target, row, seed, split and language."""
        return self._parts(self.plan.cells)

    @cached_property
    def beside(self) -> list[Part]:
        """Those of the winners' other checkpoints, in that order: no mean is ever over both."""
        return self._parts(self.plan.beside)

    def _parts(self, cells: Iterable[Cell]) -> list[Part]:
        columns = {name: place for place, name in enumerate(self.plan.columns)}
        rows = {name: place for place, name in enumerate(self.plan.rows)}
        seeds = {seed: place for place, seed in enumerate(self.plan.study.seeds)}
        ordered = sorted(
            cells,
            key=lambda c: (columns[c.target], rows[c.intermediate], seeds[c.seed]),
        )
        return [part for cell in ordered for part in self._parts_of(cell)]

    def _parts_of(self, cell: Cell) -> Iterator[Part]:
        job = self.plan.jobs[cell.score]
        units = self.progress.addressing.units(cell.score) or {}
        trained = self.plan.trained_languages(cell.target)
        for name, (split, code) in job.declared["units"].items():
            yield Part(
                cell.intermediate,
                cell.target,
                cell.seed,
                split,
                code,
                code not in trained,
                self._overlap(cell, name),
                cell.weights,
                cell.score,
                units.get(name),
            )

    def _overlap(self, cell: Cell, unit: str) -> str:
        """What a unit of a cell shares: the same for all seeds."""
        place = (cell.intermediate, cell.target, unit)
        if place not in self._overlaps:
            self._overlaps[place] = overlap(self.plan, self.plan.jobs[cell.score], unit)
        return self._overlaps[place]

    @cached_property
    def states(self) -> dict[str, str]:
        """Score job -> done, running (or what it needs is), failed, blocked or not run."""
        blocked, running = self.progress.blocked(), self._running()
        return {c.score: self._state(c.score, blocked, running) for c in self.plan.cells}

    def _state(self, key: str, blocked: dict[str, str], running: set[str]) -> str:
        if key in self.progress.done:
            return DONE
        if key in self.progress.failures:
            return FAILED
        if key in blocked:
            return BLOCKED
        return RUNNING if key in running else NOT_RUN

    def _running(self) -> set[str]:
        """What living drivers of this study are at, and all that is below it."""
        beats = [seen.heartbeat for seen in Drivers(self.files).living()]
        mine = [one["running"] for one in beats if one["study"] == self.plan.study.name]
        todo = [
            key
            for one in mine
            for key in one
            if key in self.plan.jobs and self.plan.jobs[key].kind != "prepare"
        ]
        found = set(todo)
        while todo:
            new = set(self.progress.children[todo.pop()]) - found
            found |= new
            todo += new
        return found

    def metric(self, target: str) -> str:
        """The metric that a target's cells show."""
        card = self.plan.cards[target]
        return kinds.get(card.kind).main_metric(card)

    def newest_log(self, key: str) -> str | None:
        """The log of a job's newest attempt, or of the job that did its work; None without."""
        units = (self.progress.addressing.units(key) or {}).values()
        commits = self.progress.commits.by_unit
        shared = [commits[unit].job for unit in units if unit in commits]
        for candidate in dict.fromkeys([key, *shared]):
            names = [n for n in self.files.names(f"logs/{candidate}") if n.endswith(".log")]
            if names:
                return f"logs/{candidate}/{names[-1]}"
        return None

    def skipped(self) -> dict[str, int]:
        """Prepared data of which broken rows were left out: "task/split/language" -> how many.

        Those of the text that a tokenizer was trained on stand under "tokenizer".
        """
        found: dict[str, int] = {}
        for job in self.plan.jobs.values():
            if job.kind != "prepare":
                continue
            place = "/".join(str(job.declared.get(part, "")) for part in ("task", "split"))
            for name, unit in (self.progress.addressing.units(job.key) or {}).items():
                commit = self.progress.commits.by_unit.get(unit)
                if commit is None:
                    continue
                counts = commit.outcome.get("skipped", {})
                # Another study may have prepared the same rows under another name.
                count = sum(counts.get(own, 0) for own, one in commit.units.items() if one == unit)
                if count:
                    found["tokenizer" if name == ONLY else f"{place}/{name}"] = count
        return found

    # -- rows ----------------------------------------------------------------------------------

    def chosen(self, **wanted: Any) -> list[Part]:
        """The parts whose fields are among the wanted ones; an unknown name raises StoreError.

        Of the matrix, unless other ``weights`` are wanted; None stands for all.
        """
        wanted.setdefault("weights", SELECTED)
        every = parts = [*self.parts, *self.beside]
        for field, values in wanted.items():
            if values is None:
                continue
            allowed = _several(values)
            known = {getattr(part, field) for part in every}
            for value in allowed:
                if value not in known:
                    raise StoreError(
                        f"The study {self.plan.study.name!r} has no {field} {value!r}."
                        + suggest(str(value), map(str, known), most=60)
                    )
            parts = [part for part in parts if getattr(part, field) in allowed]
        return parts

    def scores(
        self, parts: Sequence[Part] | None = None, metric: str | None = None
    ) -> pd.DataFrame:
        """The committed scores of some parts (default: all), a row each per metric.

        Args:
            parts: As `chosen` gives them.
            metric: A metric's name, or "all"; default: the main one of each target.
        """
        found = self._joined("scores", self.parts if parts is None else parts)
        if metric is None:
            return found[found["main"].astype(bool)].reset_index(drop=True)
        if metric == "all":
            return found
        known = set(found["metric"])
        if metric not in known and len(found):
            raise StoreError(f"No such score has the metric {metric!r}.{suggest(metric, known)}")
        return found[found["metric"] == metric].reset_index(drop=True)

    @cached_property
    def main_scores(self) -> dict[str, tuple[float, int]]:
        """Unit -> value of its target's main metric, and how many examples that is of."""
        from sweeper.store import tables

        commits = self.progress.commits.by_unit
        parts = (*self.parts, *self.beside)
        units = {part.unit for part in parts if part.unit in commits}
        counting = {unit: commits[unit] for unit in units if unit}
        several = {one.name: one for one in counting.values()}
        names = {name for one in several.values() if (name := one.table("scores"))}
        columns = ["unit", "address", "attempt", "value", "n", "main"]
        rows = tables.read(self.files, "scores", sorted(names), columns)
        found: dict[str, tuple[float, int]] = {}
        each = zip(*(rows[name].to_pylist() for name in columns), strict=True)
        for unit, address, attempt, value, n, main in each:
            commit = counting.get(unit)
            # Another attempt at it may have come second.
            if main and commit and (commit.address, commit.attempt) == (address, attempt):
                found.setdefault(unit, (value, n))
        return found

    def examples(self, parts: Sequence[Part] | None = None) -> pd.DataFrame:
        """The scored examples of some parts (default: all), a row each."""
        return self._joined("examples", self.parts if parts is None else parts)

    def _joined(self, table: str, parts: Sequence[Part]) -> pd.DataFrame:
        """Parts beside the rows of their units, which the store may hold under other names."""
        import pandas as pd

        from sweeper.store import tables

        commits = self.progress.commits.by_unit
        there = [(part, commits[part.unit]) for part in parts if part.unit in commits]
        left = pd.DataFrame(
            [(*_told(part), commit.address, commit.attempt) for part, commit in there],
            columns=[*_NAMES, "address", "attempt"],
        )
        names = sorted({name for _, commit in there if (name := commit.table(table))})
        rows = tables.read(self.files, table, names).to_pandas()
        key = ["unit", "address", "attempt"]
        # Two languages with the very same data are one unit, whose rows one job wrote twice.
        first = rows.groupby(key)[["split", "language"]].transform("first")
        rows = rows[(rows[["split", "language"]] == first).all(axis=1)]
        rows = rows.drop(columns=[n for n in (*_NAMES, "study") if n in rows and n not in key])
        if not len(left):
            left = left.astype({name: rows[name].dtype for name in key})
        merged = left.merge(rows, on=key, how="inner")
        merged.insert(0, "study", self.plan.study.name)
        ends = ["weights", "job", "unit", "address", "attempt"]
        return merged[[name for name in merged.columns if name not in ends] + ends]

    def trials(self) -> pd.DataFrame:
        """Every recorded attempt at the study's jobs, failed ones too, in order of their start.

        An attempt that another study or another cell made, and this one shares, bears the names
        of the job that it was made for.
        """
        from sweeper.store import tables

        names = {*self._committed_trials(), *self._failed_trials()}
        found: pd.DataFrame = tables.read(self.files, "trials", sorted(names)).to_pandas()
        found = found.astype({"seed": "Int64", "trial": "Int64"})
        return found.sort_values(["started", "attempt"], ignore_index=True)

    def _committed_trials(self) -> Iterator[str]:
        for key in self.plan.jobs:
            for unit in (self.progress.addressing.units(key) or {}).values():
                commit = self.progress.commits.by_unit.get(unit)
                name = commit.table("trials") if commit else None
                if name:
                    yield name

    def _failed_trials(self) -> Iterator[str]:
        """The tables of failed attempts: at this study's jobs, or at units that it shares."""
        units = {
            unit
            for key in self.plan.jobs
            for unit in (self.progress.addressing.units(key) or {}).values()
        }
        several = len(self.files.names("studies")) > 1
        for address, failure in failures.recorded(self.files):
            ours = failure["job"] in self.plan.jobs and not several
            if ours or address in units or self._is_mine(failure):
                yield failure["table"]

    def _is_mine(self, failure: dict[str, Any]) -> bool:
        from sweeper.store import tables

        if failure["job"] not in self.plan.jobs:
            return False
        made_for = tables.read(self.files, "trials", [failure["table"]])["study"]
        return str(made_for[0]) == self.plan.study.name


def _several(values: Any) -> list[Any]:
    return [values] if isinstance(values, str | int) else list(values)
