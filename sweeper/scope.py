"""A part of a plan: the rows, the columns or the jobs that a person wants done first.

The plan stays whole, and with it every address: what a part of a study does is work of the study.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from sweeper.errors import StudyError, suggest
from sweeper.graph import Plan


@dataclass(frozen=True)
class Scope:
    """What is wanted of a study; each empty part says "all".

    Attributes:
        only: Patterns of job keys, as of file names: ``*`` is anything, also over slashes.
        rows: Intermediates, ``none`` among them.
        columns: Targets.
    """

    only: Sequence[str] = ()
    rows: Sequence[str] = ()
    columns: Sequence[str] = ()

    def __bool__(self) -> bool:
        return bool(self.only or self.rows or self.columns)

    def __str__(self) -> str:
        said = {"--only": self.only, "--rows": self.rows, "--columns": self.columns}
        return " ".join(f"{name} {','.join(values)}" for name, values in said.items() if values)

    def ends(self, plan: Plan) -> list[str] | None:
        """The jobs that are asked for (they bring what they need); None for those of all cells.

        With rows or columns these are the scores of their cells, of which patterns take some; else
        the jobs of the whole plan that match one of the patterns.

        Raises:
            StudyError: an unknown row or column, or patterns that match no such job.
        """
        if not self:
            return None
        for given, known, what in (
            (self.rows, plan.rows, "row"),
            (self.columns, plan.columns, "column"),
        ):
            for name in given:
                if name not in known:
                    raise StudyError(
                        f"{plan.study.name} has no {what} {name!r}.{suggest(name, known, most=50)}"
                    )
        keys = list(plan.jobs)
        if self.rows or self.columns:
            keys = [
                cell.score
                for cell in (*plan.cells, *plan.beside)
                if (not self.rows or cell.intermediate in self.rows)
                and (not self.columns or cell.target in self.columns)
            ]
        found = [key for key in keys if not self.only or self._matches(key)]
        if not found:
            raise StudyError(
                f"No job of {plan.study.name} is in {self}. A pattern is held against whole keys, "
                f"such as {keys[-1]!r}: put `*` where anything may stand, and quotes around it."
            )
        return found

    def _matches(self, key: str) -> bool:
        return any(fnmatchcase(key, pattern) for pattern in self.only)


def outside(plan: Plan, ends: Sequence[str]) -> int:
    """How many cells of the matrix a part does not bring."""
    wanted = set(ends)
    return sum(cell.score not in wanted for cell in plan.cells)


def needed(plan: Plan, ends: Sequence[str]) -> set[str]:
    """Some jobs and all that they need, and what that needs."""
    found: set[str] = set()
    todo = list(ends)
    while todo:
        key = todo.pop()
        if key not in found:
            found.add(key)
            todo += plan.jobs[key].needs
    return found
