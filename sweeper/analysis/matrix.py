"""The transfer matrix: rows = intermediates, columns = targets, cells = scores or gains."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sweeper.progress import DONE

if TYPE_CHECKING:
    import pandas as pd

PARTIAL = "partial"


@dataclass(frozen=True)
class Column:
    """A target, or one language of it.

    ``languages`` are those that every cell of the column is averaged over: the zero-shot ones of
    the target's first split (all, for retrieval); ``others`` are its further splits, which are
    scored but in no matrix. ``selection`` says how winners were picked.
    """

    target: str
    language: str | None
    metric: str
    unit: str  # percent, nats
    split: str
    others: tuple[str, ...]
    languages: tuple[str, ...]
    zero_shot: bool
    selection: str
    higher_is_better: bool

    @property
    def name(self) -> str | tuple[str, str]:
        """The label of the column in `TransferMatrix.values`."""
        return self.target if self.language is None else (self.target, self.language)


@dataclass(frozen=True)
class MatrixCell:
    """One cell.

    ``value`` is None where there is none; ``standard_error`` is that of the mean over seeds, None
    for fewer than two seeds and for a ``deterministic`` cell, whose seeds are one computation.
    ``seeds`` are those that the value is the mean of. ``state`` is done, partial (some seeds or
    languages lack), failed, blocked or waiting. ``overlap`` is what the scores share with their
    training or selection.
    """

    value: float | None
    standard_error: float | None
    seeds: tuple[int, ...]
    state: str
    overlap: tuple[str, ...] = ()
    deterministic: bool = False


@dataclass(frozen=True)
class TransferMatrix:
    """Mean zero-shot scores of a study, or their gain over the control, with uncertainty.

    A cell is the unweighted mean over the column's languages, then over seeds. A gain is the mean
    of the differences to the control of the same seed; more is better, also for a loss. The
    standard error is the standard deviation over seeds divided by sqrt(seeds). A seed that lacks
    one of the languages counts for nothing: cells are never averages over different sets.
    ``trained_on`` says of every row but the control which tasks it trains on before the target
    ("a + b > c": a and b mixed, then c), ``limits`` of which splits the study used the first
    examples of a language alone ("task/split" -> how many).
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

    def cell(self, row: str, column: Column) -> MatrixCell:
        """The cell of a row and a column."""
        return self.cells[row, column.name]

    @property
    def values(self) -> pd.DataFrame:
        """Intermediates by targets; NaN where there is no value."""
        return self._frame("value", float)

    @property
    def standard_error(self) -> pd.DataFrame:
        """Standard errors of the means over seeds; NaN for one seed or a deterministic cell."""
        return self._frame("standard_error", float)

    @property
    def n_seeds(self) -> pd.DataFrame:
        """How many seeds each value is the mean of."""
        return self._frame("seeds", len)

    @property
    def state(self) -> pd.DataFrame:
        """done, partial, failed, blocked or waiting."""
        return self._frame("state", str)

    @property
    def overlap(self) -> pd.DataFrame:
        """What the scores share with their training or selection; empty if nothing."""
        return self._frame("overlap", "; ".join)

    @property
    def languages(self) -> dict[str, tuple[str, ...]]:
        """Target -> the languages that its cells are averaged over."""
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

    def to_frame(self) -> pd.DataFrame:
        """The matrix as a long table: one row per cell, with all that is known of it."""
        import pandas as pd

        return pd.DataFrame(list(self._records()))

    def _records(self) -> Iterator[dict[str, object]]:
        for column in self.columns:
            for row in self.rows:
                cell = self.cell(row, column)
                yield {
                    "study": self.study,
                    "intermediate": row,
                    "target": column.target,
                    "language": column.language or "",
                    "kind": self.value,
                    "metric": column.metric,
                    "unit": column.unit,
                    "value": math.nan if cell.value is None else cell.value,
                    "standard_error": (
                        math.nan if cell.standard_error is None else cell.standard_error
                    ),
                    "seeds": len(cell.seeds),
                    "deterministic": cell.deterministic,
                    "state": cell.state,
                    "overlap": "; ".join(cell.overlap),
                    "split": column.split,
                    "limit": self.limits.get(f"{column.target}/{column.split}", math.nan),
                    "languages": " ".join(column.languages),
                    "zero_shot": column.zero_shot,
                    "selection": column.selection,
                    "trained_on": self.trained_on.get(row, ""),
                }

    def _frame(self, field: str, convert: Callable[[Any], Any]) -> pd.DataFrame:
        import pandas as pd

        names: list[Any] = [column.name for column in self.columns]
        index = pd.Index(self.rows, name="intermediate")
        labels = (
            pd.Index(names, name="target")
            if self.by == "task"
            else pd.MultiIndex.from_tuples(names, names=["target", "language"])
        )
        found = [[getattr(self.cell(row, c), field) for c in self.columns] for row in self.rows]
        data = [[math.nan if v is None else convert(v) for v in values] for values in found]
        return pd.DataFrame(data, index=index, columns=labels)
