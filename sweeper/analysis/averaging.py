"""From scores to a `TransferMatrix`: means over languages and seeds, gains paired by seed."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence

from sweeper.analysis.matrix import PARTIAL, Column, MatrixCell, TransferMatrix
from sweeper.analysis.view import Part, View
from sweeper.errors import StoreError, suggest
from sweeper.progress import BLOCKED, DONE, FAILED, WAITING
from sweeper.study import CONTROL
from sweeper.tasks import kinds

VALUES = ("score", "gain")
AXES = ("task", "language")


def transfer(
    view: View,
    value: str = "score",
    by: str = "task",
    target_languages: Mapping[str, Sequence[str]] | None = None,
) -> TransferMatrix:
    """The transfer matrix of a study.

    Args:
        view: The study.
        value: "score", or "gain" over the control of the same seed.
        by: "task", or "language" for a column per target and language (trained ones included).
        target_languages: Target -> languages to average over in place of the zero-shot ones.

    Raises:
        StoreError: an unknown value, axis, target or language.
    """
    for name, said, known in (("value", value, VALUES), ("by", by, AXES)):
        if said not in known:
            raise StoreError(f"There is no matrix with {name} {said!r}.{suggest(said, known)}")
    columns = tuple(_columns(view, by, target_languages or {}))
    maker = _Cells(view)
    rows = view.plan.rows if value == "score" else view.plan.rows[1:]
    make = maker.score if value == "score" else maker.gain
    cells = {(row, column.name): make(row, column) for row in rows for column in columns}
    seeds = tuple(view.plan.study.seeds)
    study = view.plan.study
    trained_on = {name: row.composition for name, row in study.intermediates.items()}
    return TransferMatrix(
        study.name, value, by, tuple(rows), columns, seeds, cells, trained_on, view.plan.limits()
    )


def _columns(view: View, by: str, wanted: Mapping[str, Sequence[str]]) -> Iterator[Column]:
    for name in wanted:
        if name not in view.plan.columns:
            raise StoreError(f"Unknown target {name!r}.{suggest(name, view.plan.columns)}")
    for target in view.plan.columns:
        split, *others = view.plan.targets[target].splits
        zero_shot = {
            part.language: part.zero_shot
            for part in view.parts
            if part.target == target and part.split == split
        }
        kind = kinds.get(view.plan.cards[target].kind)
        for code in wanted.get(target, ()):
            if code not in zero_shot:
                raise StoreError(
                    f"{target} has no language {code!r} in its split {split!r}."
                    + suggest(code, zero_shot, most=60)
                )
        averaged = wanted.get(target) or [code for code, free in zero_shot.items() if free]
        groups = (
            [(None, tuple(averaged))]
            if by == "task"
            else [(code, (code,)) for code in wanted.get(target) or zero_shot]
        )
        for language, codes in groups:
            yield Column(
                target=target,
                language=language,
                metric=view.metric(target),
                unit="nats" if kind.metric == "loss" else "percent",
                split=split,
                others=tuple(others),
                languages=codes,
                zero_shot=all(zero_shot[code] for code in codes),
                selection=selection_rule(view, target),
                higher_is_better=kind.higher_is_better,
            )


def selection_rule(view: View, target: str) -> str:
    """How the winner of a search was picked for a target, in words."""
    selection = view.plan.targets[target].selection
    if selection is None:
        return "no selection: nothing is trained on the target"
    kind = kinds.get(view.plan.cards[selection.task or target].kind)
    first = "highest" if kind.higher_is_better else "lowest"
    return f"trial and epoch with the {first} {kind.metric} on {view.plan.selection_of(target)}"


class _Cells:
    """Makes cells from the main scores of a view."""

    def __init__(self, view: View) -> None:
        self.view = view
        self.parts: dict[tuple[str, str, str], list[Part]] = {}
        for part in view.parts:
            self.parts.setdefault((part.intermediate, part.target, part.split), []).append(part)
        found = view.scores()
        key = ["intermediate", "target", "seed", "split", "language"]
        self.value = dict(
            zip(found[key].itertuples(index=False, name=None), found["value"], strict=True)
        )

    def score(self, row: str, column: Column) -> MatrixCell:
        """The mean score over languages and seeds."""
        by_seed = self._by_seed(row, column)
        fixed = self._deterministic(row, column)
        return MatrixCell(
            *mean_and_error(by_seed, fixed=fixed),
            tuple(by_seed),
            self._state(row, column, by_seed),
            self._overlap(row, column),
            fixed,
        )

    def gain(self, row: str, column: Column) -> MatrixCell:
        """The mean difference to the control of the same seed."""
        mine, control = self._by_seed(row, column), self._by_seed(CONTROL, column)
        sign = 1 if column.higher_is_better else -1
        paired = {seed: sign * (mine[seed] - control[seed]) for seed in mine if seed in control}
        fixed = self._deterministic(row, column) and self._deterministic(CONTROL, column)
        state = self._state(row, column, mine)
        if state == DONE:
            state = self._state(CONTROL, column, control)
        if paired and state != DONE:
            state = PARTIAL
        overlaps = self._overlap(row, column)
        error = mean_and_error(paired, fixed=fixed)
        return MatrixCell(*error, tuple(paired), state, overlaps, fixed)

    def _of(self, row: str, column: Column) -> list[Part]:
        parts = self.parts.get((row, column.target, column.split), [])
        return [part for part in parts if part.language in column.languages]

    def _by_seed(self, row: str, column: Column) -> dict[int, float]:
        """Seed -> mean over the column's languages, for the seeds that have them all."""
        found = {}
        for seed in self.view.plan.study.seeds:
            scores = [
                self.value.get((row, column.target, seed, column.split, code))
                for code in column.languages
            ]
            there = [score for score in scores if score is not None and not math.isnan(score)]
            if there and len(there) == len(scores):
                found[seed] = statistics.fmean(there)
        return found

    def _state(self, row: str, column: Column, by_seed: Mapping[int, float]) -> str:
        parts = self._of(row, column)
        # A target in trained languages only has nothing to average: its jobs say how it stands.
        jobs = parts or self.parts.get((row, column.target, column.split), [])
        states = {self.view.states[part.job] for part in jobs}
        if len(by_seed) == len(self.view.plan.study.seeds) or (states == {DONE} and not parts):
            return DONE
        some = any(
            (row, column.target, part.seed, part.split, part.language) in self.value
            for part in parts
        )
        if by_seed or some:
            return PARTIAL
        return next((s for s in (FAILED, BLOCKED) if s in states), WAITING)

    def _deterministic(self, row: str, column: Column) -> bool:
        """Whether all seeds of a cell are one and the same computation."""
        return one_computation(self._of(row, column))

    def _overlap(self, row: str, column: Column) -> tuple[str, ...]:
        return overlaps_of(self._of(row, column))


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
