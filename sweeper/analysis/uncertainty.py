"""Intervals and tests for the cells of a matrix, from the examples behind its scores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sweeper.analysis import crossed
from sweeper.analysis.cell import Cells, Column, Known, MatrixCell, Member, Unjudged
from sweeper.analysis.crossed import LEAST_SEEDS, Estimate, Outcomes
from sweeper.analysis.evidence import Evidence
from sweeper.analysis.family import benjamini_hochberg, holm
from sweeper.analysis.outcomes import Vector
from sweeper.analysis.resampling import bootstrap, percentiles
from sweeper.store.files import digest
from sweeper.study import CONTROL

if TYPE_CHECKING:
    from sweeper.analysis.averaging import Scores
    from sweeper.analysis.matrix import TransferMatrix


def judged(
    scores: Scores, matrices: Sequence[Unjudged], known: Known | None = None
) -> list[tuple[Cells, int]]:
    """The cells of each matrix with intervals, tests and flags, and how many tests were made.

    The examples of a target are read once for all matrices. Gains are tested against 0; the family
    of the corrections is the whole matrix. A score has an interval and nothing to be tested
    against. Columns that are ``known``, from the very same inputs, are not judged anew.
    """
    judge = _Judge(scores)
    made = [dict(matrix.cells) for matrix in matrices]
    left: list[tuple[Cells, _Gathered]] = []
    for matrix, cells in zip(matrices, made, strict=True):
        for column in matrix.columns:
            own = {row: cells[row, column.name] for row in matrix.rows}
            before = known.get(inputs(scores, matrix, column)) if known else None
            if before is not None:
                cells.update(
                    {(row, column.name): _as_before(own[row], before[row]) for row in own}
                )
            else:
                left.append((cells, _Gathered(matrix, column, own)))
    for place in dict.fromkeys(_place(m) for _, one in left for m in one.column.members):
        for cells, one in left:
            members = [(n, m) for n, m in enumerate(one.column.members) if _place(m) == place]
            for number, member in members:
                judge.gather(one, number, member)
            if members and len(one.floors) == len(one.column.members):
                cells.update(judge.column(one))
                one.strata.clear()  # they may be large
    return [_corrected(cells) for cells in made]


def _place(member: Member) -> tuple[str, str]:
    return member.target, member.split


def _corrected(cells: Cells) -> tuple[Cells, int]:
    tested = [(name, cell.p) for name, cell in cells.items() if cell.p is not None]
    raw = [p for _, p in tested]
    both = zip(tested, holm(raw), benjamini_hochberg(raw), strict=True)
    for (name, _), corrected, q in both:
        cells[name] = replace(cells[name], p_holm=corrected, q=q)
    return cells, len(tested)


def inputs(scores: Scores, matrix: Unjudged | TransferMatrix, column: Column) -> str:
    """A digest of all that the judgement of a column rests on, but for this code."""
    rows = dict.fromkeys([CONTROL, *matrix.rows])
    behind = [
        [part.seed, part.language, part.unit, scores.of(part), scores.attempt(part)]
        for member in column.members
        for row in rows
        for part in scores.parts.get((row, *_place(member)), [])
        if part.language in member.languages
    ]
    seeds = [matrix.cells[row, column.name].seeds for row in matrix.rows]
    members = [[*_place(member), member.languages] for member in column.members]
    said = [matrix.value, matrix.draws, matrix.rows, members, column.higher_is_better]
    return digest([*said, seeds, behind])


def _as_before(cell: MatrixCell, before: MatrixCell) -> MatrixCell:
    """A cell with what was judged before: its state is that of today."""
    names = ("interval", "covers", "p", "p_examples", "untested", "collapsed")
    return replace(cell, **{name: getattr(before, name) for name in names})


@dataclass
class _Gathered:
    """A column of a matrix, and what was gathered of its members so far.

    ``strata`` has per row what each example adds, by member: (seeds, examples) arrays, one row in
    place of the seeds where they are one computation, or too few to tell how much they vary:
    their mean. None where that is not known. ``floors``: what one answer to everything scores.
    """

    matrix: Unjudged
    column: Column
    cells: Mapping[str, MatrixCell]
    strata: dict[str, dict[int, Outcomes | None]] = field(default_factory=dict)
    floors: dict[int, float] = field(default_factory=dict)

    def of(self, row: str) -> list[Outcomes] | None:
        """The strata of a row, if all are known."""
        by_member = self.strata[row]
        found = [by_member[number] for number in range(len(self.column.members))]
        there = [one for one in found if one is not None]
        return there if len(there) == len(found) else None

    @property
    def floor(self) -> float:
        """What one answer to everything scores at best, in percent: mean over members."""
        return sum(self.floors.values()) / len(self.floors)


class _Judge:
    """Judges columns, of which the members were gathered."""

    def __init__(self, scores: Scores) -> None:
        self.scores = scores
        self.evidence = Evidence(scores.view, scores.value)

    def gather(self, one: _Gathered, number: int, member: Member) -> None:
        """Take what is needed of a member of a column."""
        one.floors[number] = self.evidence.majority(*_place(member), member.languages)
        controls: dict[int, Vector | None] = {}  # by seed: the same for all rows
        if one.matrix.value == "gain":
            for seed in {seed for cell in one.cells.values() for seed in cell.seeds}:
                found = self.evidence.run(CONTROL, *_place(member), seed, member.languages)
                controls[seed] = found
        for row, cell in one.cells.items():
            stratum = self._stratum(one, row, member, cell, controls)
            one.strata.setdefault(row, {})[number] = stratum

    def _stratum(
        self,
        one: _Gathered,
        row: str,
        member: Member,
        cell: MatrixCell,
        controls: Mapping[int, Vector | None],
    ) -> Outcomes | None:
        if not cell.seeds:
            return None
        sign = 1 if one.column.higher_is_better else -1
        runs = []
        for seed in cell.seeds[:1] if cell.deterministic else cell.seeds:
            mine = self.evidence.run(row, *_place(member), seed, member.languages)
            if one.matrix.value == "gain" and mine is not None:
                control = controls[seed]
                mine = None if control is None else sign * (mine - control)
            if mine is None or len(mine) < 2:
                return None
            runs.append(mine)
        stratum = np.stack(runs) / len(one.column.members)
        return stratum.mean(axis=0, keepdims=True) if len(runs) < LEAST_SEEDS else stratum

    def column(self, one: _Gathered) -> Cells:
        """The cells of a column, those of the same seeds drawn together."""
        strata = {row: one.of(row) for row in one.cells}
        intervals: dict[str, NDArray[np.float64]] = {}
        for rows in _alike(strata):
            own = [strata[row] or [] for row in rows]
            together = [np.stack(parts) for parts in zip(*own, strict=True)]
            drawn = bootstrap(together, one.matrix.draws)
            intervals |= {row: drawn[:, place] for place, row in enumerate(rows)}
        made: Cells = {}
        for row, cell in one.cells.items():
            judged_one = self._cell(one, row, cell, strata[row], intervals.get(row))
            made[row, one.column.name] = judged_one
        return made

    def _cell(
        self,
        one: _Gathered,
        row: str,
        cell: MatrixCell,
        strata: list[Outcomes] | None,
        drawn: NDArray[np.float64] | None,
    ) -> MatrixCell:
        gain = one.matrix.value == "gain"
        collapsed = self._collapsed(one, row, cell)
        found = self._estimate(one, row, cell, strata)
        if found is None:
            return replace(cell, collapsed=collapsed, untested=_untested(gain, cell, None))
        if drawn is None:
            half = found.half_width()
            interval = (found.mean - half, found.mean + half)
        else:
            interval = percentiles(drawn, found)
        cell = replace(cell, interval=interval, covers=found.covers, collapsed=collapsed)
        if not gain:
            return cell
        untested = _untested(gain, cell, found)
        return replace(
            cell,
            p=None if untested else found.p,
            p_examples=crossed.same_checkpoints(strata) if strata else None,
            untested=untested,
        )

    def _estimate(
        self, one: _Gathered, row: str, cell: MatrixCell, strata: list[Outcomes] | None
    ) -> Estimate | None:
        if strata is not None:
            alone = strata[0].shape[0] == 1
            return crossed.of_examples(strata) if alone else crossed.crossed(strata)
        if cell.deterministic or len(cell.seeds) < LEAST_SEEDS:
            return None
        column, gain = one.column, one.matrix.value == "gain"
        mine = self.scores.by_seed(row, column)
        control = self.scores.by_seed(CONTROL, column) if gain else {}
        sign = 1 if column.higher_is_better or not gain else -1
        return crossed.of_seeds([sign * (mine[s] - control.get(s, 0.0)) for s in cell.seeds])

    def _collapsed(self, one: _Gathered, row: str, cell: MatrixCell) -> tuple[int, ...]:
        """Seeds of which the row, or what it is compared with, does no better than one answer."""
        if not one.column.higher_is_better:
            return ()
        found: set[int] = set()
        floor = one.floor
        for compared in (row, CONTROL) if one.matrix.value == "gain" else (row,):
            values = self.scores.by_seed(compared, one.column)
            found |= {seed for seed in cell.seeds if values[seed] <= floor}
        return tuple(sorted(found))


def _untested(gain: bool, cell: MatrixCell, found: Estimate | None) -> str:
    if not gain or cell.value is None:
        return ""
    if not cell.deterministic and len(cell.seeds) < LEAST_SEEDS:
        count = len(cell.seeds)
        return f"{count} seed{'s' if count > 1 else ''}, and a test needs {LEAST_SEEDS}"
    if found is None:
        return "its seeds are one computation, and its metric is no mean over examples"
    return "" if found.p is not None else "nothing varies, over seeds or examples"


def _alike(strata: Mapping[str, list[Outcomes] | None]) -> Iterator[list[str]]:
    """Rows that can be drawn together: with the same seeds, by how many there are."""
    groups: dict[tuple[tuple[int, ...], ...], list[str]] = {}
    for row, parts in strata.items():
        if parts is not None:
            groups.setdefault(tuple(part.shape for part in parts), []).append(row)
    yield from groups.values()
