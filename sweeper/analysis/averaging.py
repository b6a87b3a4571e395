"""From scores to a `TransferMatrix`: means over languages and seeds, gains paired by seed."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from sweeper.analysis.cell import (
    NO_DATA,
    NOT_RUN,
    PARTIAL,
    RUNNING,
    Cells,
    Column,
    Known,
    MatrixCell,
    Member,
    Unjudged,
)
from sweeper.analysis.columns import AXES, columns
from sweeper.analysis.matrix import TransferMatrix
from sweeper.analysis.resampling import DRAWS
from sweeper.analysis.view import Part, View
from sweeper.errors import StoreError, suggest
from sweeper.graph import SELECTED
from sweeper.states import BLOCKED, DONE, FAILED
from sweeper.study import CONTROL

VALUES = ("score", "gain")

Key: TypeAlias = tuple[str, str, int, str, str]
"""Row, target, seed, split, language."""


def transfer(
    view: View,
    value: str = "score",
    by: str = "task",
    target_languages: Mapping[str, Sequence[str]] | None = None,
    draws: int | None = None,
) -> TransferMatrix:
    """The transfer matrix of a study.

    Args:
        view: The study.
        value: "score", or "gain" over the control of the same seed.
        by: "task"; "language" for a column per target and language (trained ones included),
            "family" or "script" for one per group of a target's zero-shot languages, "category"
            for one per kind of target.
        target_languages: Target -> languages to average over in place of the zero-shot ones.
        draws: Bootstrap samples behind each interval; by default `DRAWS` for gains and none for
            scores. 0: no examples are read, so there are no intervals, tests or flags of
            collapsed runs.

    Raises:
        StoreError: an unknown value, axis, target or language.
    """
    asked = (value, by)
    return transfers(view, [asked], target_languages, draws)[asked]


def transfers(
    view: View,
    wanted: Sequence[tuple[str, str]],
    target_languages: Mapping[str, Sequence[str]] | None = None,
    draws: int | None = None,
    known: Known | None = None,
) -> dict[tuple[str, str], TransferMatrix]:
    """Several matrices of a study, by value and axis: for all of them examples are read once.

    Args:
        view: The study.
        wanted: Value and axis of each.
        target_languages: As for `transfer`.
        draws: As for `transfer`.
        known: Columns that were judged before; see `sweeper.analysis.uncertainty`.

    Raises:
        StoreError: as `transfer`.
    """
    scores = Scores(view)
    made = [_unjudged(scores, *one, target_languages or {}, draws) for one in wanted]
    judging = [one for one in made if one.draws]
    told: dict[int, tuple[Cells, int]] = {}
    if judging:
        from sweeper.analysis.uncertainty import judged

        found = judged(scores, judging, known)
        told = {id(one): both for one, both in zip(judging, found, strict=True)}
    return {
        (value, by): _matrix(view, by, one, *told.get(id(one), (one.cells, 0)))
        for (value, by), one in zip(wanted, made, strict=True)
    }


def _unjudged(
    scores: Scores,
    value: str,
    by: str,
    languages: Mapping[str, Sequence[str]],
    draws: int | None,
) -> Unjudged:
    for name, said, allowed in (("value", value, VALUES), ("by", by, AXES)):
        if said not in allowed:
            raise StoreError(f"There is no matrix with {name} {said!r}.{suggest(said, allowed)}")
    view = scores.view
    chosen = columns(view, by, languages)
    rows = tuple(view.plan.rows if value == "score" else view.plan.rows[1:])
    make = scores.score if value == "score" else scores.gain
    cells = {(row, column.name): make(row, column) for row in rows for column in chosen}
    draws = (DRAWS if value == "gain" else 0) if draws is None else draws
    return Unjudged(value, rows, chosen, cells, draws)


def _matrix(view: View, by: str, one: Unjudged, cells: Cells, family: int) -> TransferMatrix:
    study = view.plan.study
    return TransferMatrix(
        study=study.name,
        value=one.value,
        by=by,
        rows=one.rows,
        columns=one.columns,
        seeds=tuple(study.seeds),
        cells=cells,
        trained_on={name: row.composition for name, row in study.intermediates.items()},
        limits=view.plan.limits(),
        family=family,
        draws=one.draws,
    )


class Scores:
    """The main scores of a view, and means of them: of the matrix's ``weights``, or of others.

    Attributes:
        value: The score of every row, target, seed, split and language that has one.
        n: How many examples it is of.
    """

    def __init__(self, view: View, weights: str = SELECTED) -> None:
        self.view = view
        self.parts: dict[tuple[str, str, str], list[Part]] = {}
        parts = view.parts
        if weights != SELECTED:
            parts = [part for part in view.beside if part.weights == weights]
        for part in parts:
            self.parts.setdefault((part.intermediate, part.target, part.split), []).append(part)
        self.value: dict[Key, float] = {}
        self.n: dict[Key, int] = {}
        self._by_seed: dict[tuple[str, tuple[Member, ...]], dict[int, float]] = {}
        found = view.main_scores
        for part in parts:
            if part.unit in found:
                key = (part.intermediate, part.target, part.seed, part.split, part.language)
                self.value[key], self.n[key] = found[part.unit]

    def of(self, part: Part) -> float | None:
        """The score of a part; None without one, or where it is no number."""
        place = (part.intermediate, part.target, part.seed, part.split, part.language)
        value = self.value.get(place, math.nan)
        return None if math.isnan(value) else value

    def attempt(self, part: Part) -> str | None:
        """The attempt that scored a part: another one may score the same by other examples."""
        scored = self.of(part) is not None
        return self.view.progress.commits.by_unit[part.unit].attempt if scored else None

    def score(self, row: str, column: Column) -> MatrixCell:
        """The mean score over languages and seeds."""
        by_seed = self.by_seed(row, column)
        fixed = self.deterministic(row, column)
        mean, error = mean_and_error(by_seed, fixed=fixed)
        state = self._state(row, column, by_seed)
        return self._cell(row, column, replace(_EMPTY, value=mean, standard_error=error,
            seeds=tuple(by_seed), state=state, deterministic=fixed))  # fmt: skip

    def gain(self, row: str, column: Column) -> MatrixCell:
        """The mean difference to the control of the same seed."""
        mine, control = self.by_seed(row, column), self.by_seed(CONTROL, column)
        sign = 1 if column.higher_is_better else -1
        paired = {seed: sign * (mine[seed] - control[seed]) for seed in mine if seed in control}
        fixed = self.deterministic(row, column) and self.deterministic(CONTROL, column)
        state = self._state(row, column, mine)
        if state == DONE:
            state = self._state(CONTROL, column, control)
        if paired and state != DONE:
            state = PARTIAL
        mean, error = mean_and_error(paired, fixed=fixed)
        return self._cell(row, column, replace(_EMPTY, value=mean, standard_error=error,
            seeds=tuple(paired), state=state, deterministic=fixed))  # fmt: skip

    def _cell(self, row: str, column: Column, cell: MatrixCell) -> MatrixCell:
        """With what scores and gains have alike."""
        overlaps = overlaps_of(self._of(row, column))
        return replace(cell, overlap=overlaps, n=self._examples(row, column, cell.seeds))

    def _of(self, row: str, column: Column) -> list[Part]:
        return [
            part
            for member in column.members
            for part in self.parts.get((row, member.target, member.split), [])
            if part.language in member.languages
        ]

    def by_seed(self, row: str, column: Column) -> dict[int, float]:
        """Seed -> mean over the column's members, for the seeds that have them all."""
        place = (row, column.members)
        if place not in self._by_seed:
            self._by_seed[place] = self._means(row, column)
        return self._by_seed[place]

    def _means(self, row: str, column: Column) -> dict[int, float]:
        found = {}
        for seed in self.view.plan.study.seeds:
            means = [
                self._mean([(row, m.target, seed, m.split, code) for code in m.languages])
                for m in column.members
            ]
            there = [mean for mean in means if mean is not None]
            if there and len(there) == len(means):
                found[seed] = statistics.fmean(there)
        return found

    def _mean(self, keys: Sequence[Key]) -> float | None:
        scores = [self.value.get(key, math.nan) for key in keys]
        return None if not scores or any(map(math.isnan, scores)) else statistics.fmean(scores)

    def _examples(self, row: str, column: Column, seeds: Sequence[int]) -> int | None:
        """How many examples a seed's value is of."""
        if not seeds:
            return None
        places = [(m.target, m.split, code) for m in column.members for code in m.languages]
        return sum(int(self.n[row, t, seeds[0], split, code]) for t, split, code in places)

    def _state(self, row: str, column: Column, by_seed: Mapping[int, float]) -> str:
        if not column.languages:
            return NO_DATA
        parts = self._of(row, column)
        states = {self.view.states[part.job] for part in parts}
        if len(by_seed) == len(self.view.plan.study.seeds):
            return DONE
        some = any(
            (row, part.target, part.seed, part.split, part.language) in self.value
            for part in parts
        )
        if by_seed or some:
            return PARTIAL
        return next((s for s in (RUNNING, FAILED, BLOCKED) if s in states), NOT_RUN)

    def deterministic(self, row: str, column: Column) -> bool:
        """Whether all seeds of a cell are one and the same computation."""
        return one_computation(self._of(row, column))


_EMPTY = MatrixCell(None, None, (), NOT_RUN)


def one_computation(parts: Iterable[Part]) -> bool:
    """Whether the scores of several seeds are one and the same, unit by unit."""
    units: dict[int, list[str | None]] = {}
    for part in parts:
        units.setdefault(part.seed, []).append(part.unit)
    distinct = {tuple(found) for found in units.values()}
    known = all(unit is not None for found in distinct for unit in found)
    return known and len(units) > 1 and len(distinct) == 1


def overlaps_of(parts: Iterable[Part]) -> tuple[str, ...]:
    """What any of some scores share with their training or selection."""
    return tuple(sorted({flag for part in parts for flag in part.overlap.split("; ") if flag}))


def mean_and_error(
    by_seed: Mapping[int, float], *, fixed: bool
) -> tuple[float | None, float | None]:
    """The mean over seeds, and its standard error (sd / sqrt(n), n - 1 degrees of freedom)."""
    values = list(by_seed.values())
    if not values:
        return None, None
    mean = statistics.fmean(values)
    if fixed or len(values) < 2:
        return mean, None
    return mean, statistics.stdev(values) / math.sqrt(len(values))
