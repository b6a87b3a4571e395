"""The transfer matrix: rows = intermediates, columns = targets, cells = scores or gains."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sweeper.analysis.cell import Column, MatrixCell
from sweeper.errors import StoreError
from sweeper.states import DONE

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class TransferMatrix:
    """Mean zero-shot scores of a study, or their gain over the control, with uncertainty.

    A cell is the unweighted mean over the column's languages, then over seeds. A gain is the mean
    of the differences to the control of the same seed; more is better, also for a loss. The
    standard error is the standard deviation over seeds divided by sqrt(seeds). A seed that lacks
    one of the languages counts for nothing: cells are never averages over different sets.

    Attributes:
        study: Its name.
        value: "score" or "gain".
        by: What a column is: "task", "language", "family", "script" or "category".
        rows: The intermediates; of scores the control first.
        columns: See `Column`.
        seeds: Of the study.
        cells: By row and `Column.name`; see `MatrixCell`.
        trained_on: Row -> the tasks it trains on before the target ("a + b > c": a and b mixed,
            then c), of all rows but the control.
        limits: "task/split" -> how many first examples of a language alone were used.
        family: How many tests the correction is over: all cells of the matrix that have a p.
        draws: Bootstrap samples behind each interval; 0 where none were asked for.
    """

    study: str
    value: str
    by: str
    rows: tuple[str, ...]
    columns: tuple[Column, ...]
    seeds: tuple[int, ...]
    cells: Mapping[tuple[str, str | tuple[str, str]], MatrixCell]
    trained_on: Mapping[str, str]
    limits: Mapping[str, int]
    family: int = 0
    draws: int = 0

    def cell(self, row: str, column: Column) -> MatrixCell:
        """The cell of a row and a column."""
        return self.cells[row, column.name]

    # -- a table of one field --------------------------------------------------------------------

    @property
    def values(self) -> pd.DataFrame:
        """Intermediates by targets; NaN where there is no value."""
        return self.table("value")

    @property
    def standard_error(self) -> pd.DataFrame:
        """Standard errors of the means over seeds; NaN for one seed or a deterministic cell."""
        return self.table("standard_error")

    @property
    def n_seeds(self) -> pd.DataFrame:
        """How many seeds each value is the mean of."""
        return self.table("seeds", len)

    @property
    def n(self) -> pd.DataFrame:
        """How many examples are behind each seed's value."""
        return self.table("n")

    @property
    def low(self) -> pd.DataFrame:
        """The lower ends of the 95 % intervals; NaN where there is none."""
        return self.table("interval", lambda ends: ends[0])

    @property
    def high(self) -> pd.DataFrame:
        """The upper ends of the 95 % intervals; NaN where there is none."""
        return self.table("interval", lambda ends: ends[1])

    @property
    def p(self) -> pd.DataFrame:
        """p-values of gains, corrected by Holm; NaN where nothing was tested."""
        return self.table("p_holm")

    @property
    def stars(self) -> pd.DataFrame:
        """Significance as stars; see `MatrixCell.stars`."""
        return self.table("stars")

    @property
    def state(self) -> pd.DataFrame:
        """One of `STATES` per cell."""
        return self.table("state")

    @property
    def overlap(self) -> pd.DataFrame:
        """What the scores share with their training or selection; empty if nothing."""
        return self.table("overlap", "; ".join)

    def table(self, field: str, convert: Callable[[Any], Any] = lambda v: v) -> pd.DataFrame:
        """Intermediates by columns of one field of `MatrixCell`; NaN where it is None."""
        import pandas as pd

        names: list[Any] = [column.name for column in self.columns]
        index = pd.Index(self.rows, name="intermediate")
        labels = (
            pd.MultiIndex.from_tuples(names, names=["target", self.by])
            if any(column.group is not None for column in self.columns)
            else pd.Index(names, name="category" if self.by == "category" else "target")
        )
        found = [[getattr(self.cell(row, c), field) for c in self.columns] for row in self.rows]
        data = [[math.nan if v is None else convert(v) for v in values] for values in found]
        return pd.DataFrame(data, index=index, columns=labels)

    # -- what the whole says ---------------------------------------------------------------------

    @property
    def languages(self) -> dict[str, tuple[str, ...]]:
        """Target (or category) -> the languages that its cells are averaged over."""
        found: dict[str, tuple[str, ...]] = {}
        for column in self.columns:
            found[column.target] = found.get(column.target, ()) + column.languages
        return found

    @property
    def selection(self) -> dict[str, str]:
        """Target -> how its winners were picked."""
        return {column.target: column.selection for column in self.columns}

    @property
    def complete(self) -> bool:
        """Whether every cell is done."""
        return all(cell.state == DONE for cell in self.cells.values())

    def best_rows(self, column: Column) -> set[str]:
        """The rows with the column's best value among the cells that are done."""
        found = {
            row: cell.value
            for row in self.rows
            if (cell := self.cell(row, column)).state == DONE and cell.value is not None
        }
        if len(found) < 2:
            return set()
        better = max if column.higher_is_better or self.value == "gain" else min
        top = better(found.values())
        return {row for row, value in found.items() if value == top}

    def minus(self, other: TransferMatrix) -> pd.DataFrame:
        """The values of this matrix less those of another, of the rows and columns of both.

        Raises:
            StoreError: they are not comparable: a column is averaged over other languages or
                splits, or has another metric; or one has scores, the other gains.
        """
        if (self.value, self.by) != (other.value, other.by):
            raise StoreError(
                f"Only like can be compared: one matrix has {self.value}s by {self.by}, the other "
                f"{other.value}s by {other.by}. Ask both for the same `value` and `by`."
            )
        theirs = {column.name: column for column in other.columns}
        for column in self.columns:
            against = theirs.get(column.name)
            if against and against.members != column.members:
                raise StoreError(_unlike(column, against))
            if against and against.metric != column.metric:
                raise StoreError(
                    f"{column.label} shows {column.metric} in one matrix and {against.metric} in "
                    "the other; only the same metric can be compared."
                )
        names: list[Any] = [column.name for column in self.columns if column.name in theirs]
        rows = [row for row in self.rows if row in other.rows]
        difference: pd.DataFrame = (self.values - other.values).reindex(index=rows)[names]
        return difference

    def to_frame(self) -> pd.DataFrame:
        """The matrix as a long table: one row per cell, with all that is known of it."""
        import pandas as pd

        return pd.DataFrame(list(self._records()))

    def _records(self) -> Iterator[dict[str, object]]:
        for column in self.columns:
            limits = [self.limits.get(f"{m.target}/{m.split}") for m in column.members]
            for row in self.rows:
                cell = self.cell(row, column)
                low, high = cell.interval or (math.nan, math.nan)
                yield {
                    "study": self.study,
                    "intermediate": row,
                    "target": column.target,
                    self.by if column.group is not None else "language": column.group or "",
                    "kind": self.value,
                    "metric": column.metric,
                    "unit": column.unit,
                    "value": _number(cell.value),
                    "standard_error": _number(cell.standard_error),
                    "low": low,
                    "high": high,
                    "covers": cell.covers,
                    "p": _number(cell.p),
                    "p_holm": _number(cell.p_holm),
                    "q": _number(cell.q),
                    "p_examples": _number(cell.p_examples),
                    "family": self.family,
                    "untested": cell.untested,
                    "seeds": len(cell.seeds),
                    "n": _number(cell.n),
                    "deterministic": cell.deterministic,
                    "collapsed": " ".join(map(str, cell.collapsed)),
                    "state": cell.state,
                    "overlap": "; ".join(cell.overlap),
                    "split": column.split,
                    "limit": next((limit for limit in limits if limit is not None), math.nan),
                    "languages": " ".join(column.languages),
                    "zero_shot": column.zero_shot,
                    "selection": column.selection,
                    "trained_on": self.trained_on.get(row, ""),
                }


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _unlike(column: Column, other: Column) -> str:
    said = [
        "; ".join(f"{m.target}/{m.split}: {' '.join(m.languages)}" for m in one.members)
        for one in (column, other)
    ]
    return (
        f"The two means of {column.label} are over different languages, so they cannot be "
        f"compared: {said[0]} here, {said[1]} there. Ask both for the same `target_languages`."
    )
