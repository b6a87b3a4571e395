"""Intervals and tests for the cells of a matrix, from the examples behind its scores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sweeper.analysis import crossed
from sweeper.analysis.cell import Column, MatrixCell
from sweeper.analysis.crossed import LEAST_SEEDS, Estimate, Outcomes
from sweeper.analysis.evidence import Evidence
from sweeper.analysis.family import benjamini_hochberg, holm
from sweeper.analysis.resampling import bootstrap, percentiles
from sweeper.study import CONTROL

if TYPE_CHECKING:
    from sweeper.analysis.averaging import Scores

Cells: TypeAlias = dict[tuple[str, str | tuple[str, str]], MatrixCell]


def judged(
    scores: Scores,
    value: str,
    rows: Sequence[str],
    columns: Sequence[Column],
    cells: Mapping[tuple[str, str | tuple[str, str]], MatrixCell],
    draws: int,
) -> tuple[Cells, int]:
    """The cells with intervals, tests and flags, and how many tests were made.

    Gains are tested against 0; the family of the corrections is the whole matrix. A score has an
    interval and nothing to be tested against.
    """
    judge = _Judge(scores, value, draws)
    found = dict(cells)
    for column in columns:
        found |= judge.column(column, {row: cells[row, column.name] for row in rows})
    tested = [(name, cell.p) for name, cell in found.items() if cell.p is not None]
    raw = [p for _, p in tested]
    both = zip(tested, holm(raw), benjamini_hochberg(raw), strict=True)
    for (name, _), corrected, q in both:
        found[name] = replace(found[name], p_holm=corrected, q=q)
    return found, len(tested)


class _Judge:
    """Judges the cells of one column after another."""

    def __init__(self, scores: Scores, value: str, draws: int) -> None:
        self.scores = scores
        self.gain = value == "gain"
        self.draws = draws
        self.evidence = Evidence(scores.view, scores.value)

    def column(self, column: Column, cells: Mapping[str, MatrixCell]) -> Cells:
        """The cells of a column, those of the same seeds drawn together."""
        strata = {row: self._strata(row, column, cell) for row, cell in cells.items()}
        intervals: dict[str, NDArray[np.float64]] = {}
        for rows in _alike(strata):
            own = [strata[row] or [] for row in rows]
            together = [np.stack(parts) for parts in zip(*own, strict=True)]
            drawn = bootstrap(together, self.draws)
            intervals |= {row: drawn[:, place] for place, row in enumerate(rows)}
        made: Cells = {}
        for row, cell in cells.items():
            found = self._cell(row, column, cell, strata[row], intervals.get(row))
            made[row, column.name] = found
        return made

    def _cell(
        self,
        row: str,
        column: Column,
        cell: MatrixCell,
        strata: list[Outcomes] | None,
        drawn: NDArray[np.float64] | None,
    ) -> MatrixCell:
        collapsed = self._collapsed(row, column, cell)
        found = self._estimate(row, column, cell, strata)
        if found is None:
            return replace(cell, collapsed=collapsed, untested=self._untested(cell, None))
        if drawn is None:
            half = found.half_width()
            interval = (found.mean - half, found.mean + half)
        else:
            interval = percentiles(drawn, found)
        cell = replace(cell, interval=interval, covers=found.covers, collapsed=collapsed)
        if not self.gain:
            return cell
        untested = self._untested(cell, found)
        return replace(
            cell,
            p=None if untested else found.p,
            p_examples=crossed.same_checkpoints(strata) if strata else None,
            untested=untested,
        )

    def _untested(self, cell: MatrixCell, found: Estimate | None) -> str:
        if not self.gain or cell.value is None:
            return ""
        if not cell.deterministic and len(cell.seeds) < LEAST_SEEDS:
            count = len(cell.seeds)
            return f"{count} seed{'s' if count > 1 else ''}, and a test needs {LEAST_SEEDS}"
        if found is None:
            return "its seeds are one computation, and its metric is no mean over examples"
        return "" if found.p is not None else "nothing varies, over seeds or examples"

    def _strata(self, row: str, column: Column, cell: MatrixCell) -> list[Outcomes] | None:
        """What each example adds, per member of the column: (seeds, examples) arrays.

        One row in place of the seeds where they are one computation, or too few to tell how much
        they vary: their mean.
        """
        if not cell.seeds:
            return None
        seeds = cell.seeds[:1] if cell.deterministic else cell.seeds
        sign = 1 if column.higher_is_better else -1
        found = []
        for member in column.members:
            place = (member.target, member.split)
            runs = []
            for seed in seeds:
                mine = self.evidence.run(row, *place, seed, member.languages)
                if self.gain and mine is not None:
                    control = self.evidence.run(CONTROL, *place, seed, member.languages)
                    mine = None if control is None else sign * (mine - control)
                if mine is None or len(mine) < 2:
                    return None
                runs.append(mine)
            stratum = np.stack(runs) / len(column.members)
            few = len(seeds) < LEAST_SEEDS
            found.append(stratum.mean(axis=0, keepdims=True) if few else stratum)
        return found

    def _estimate(
        self, row: str, column: Column, cell: MatrixCell, strata: list[Outcomes] | None
    ) -> Estimate | None:
        if strata is not None:
            alone = strata[0].shape[0] == 1
            return crossed.of_examples(strata) if alone else crossed.crossed(strata)
        if cell.deterministic or len(cell.seeds) < LEAST_SEEDS:
            return None
        mine = self.scores.by_seed(row, column)
        control = self.scores.by_seed(CONTROL, column) if self.gain else {}
        sign = 1 if column.higher_is_better or not self.gain else -1
        return crossed.of_seeds([sign * (mine[s] - control.get(s, 0.0)) for s in cell.seeds])

    def _collapsed(self, row: str, column: Column, cell: MatrixCell) -> tuple[int, ...]:
        """Seeds of which the row, or what it is compared with, does no better than one answer."""
        if not column.higher_is_better:
            return ()
        floors = [self.evidence.majority(m.target, m.split, m.languages) for m in column.members]
        floor = sum(floors) / len(floors)
        found: set[int] = set()
        for one in (row, CONTROL) if self.gain else (row,):
            values = self.scores.by_seed(one, column)
            found |= {seed for seed in cell.seeds if values[seed] <= floor}
        return tuple(sorted(found))


def _alike(strata: Mapping[str, list[Outcomes] | None]) -> Iterator[list[str]]:
    """Rows that can be drawn together: with the same seeds, by how many there are."""
    groups: dict[tuple[tuple[int, ...], ...], list[str]] = {}
    for row, parts in strata.items():
        if parts is not None:
            groups.setdefault(tuple(part.shape for part in parts), []).append(row)
    yield from groups.values()
