"""The examples behind a study's scores, as one vector per run whose mean is the score."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from sweeper.analysis import outcomes
from sweeper.analysis.outcomes import Vector
from sweeper.analysis.view import Part, View
from sweeper.store import tables
from sweeper.store.grouping import in_groups
from sweeper.store.markers import Commit

if TYPE_CHECKING:
    from sweeper.analysis.averaging import Key


@dataclass
class _Language:
    """The examples of a target in one language: their ids, and which number each is below.

    Without ``ids`` where two examples have the same: then it is their place that tells them apart.
    """

    ids: pa.Array | None
    count: int
    numbers: NDArray[np.int64]
    gold: pa.Array
    majority: float = 0.0


@dataclass
class _Target:
    """The runs of one target that could be taken apart, by row, seed and language; their means."""

    languages: dict[str, _Language] = field(default_factory=dict)
    runs: dict[tuple[str, int, str], tuple[Vector, float]] = field(default_factory=dict)
    known: pa.Array = field(default_factory=lambda: pa.array([], pa.string()))


class Evidence:
    """Reads the examples of one target after another, once each while it is asked for.

    Args:
        view: The study.
        values: The main score of every row, target, seed, split and language.
    """

    def __init__(self, view: View, values: Mapping[Key, float]) -> None:
        self.view = view
        self.values = values
        self._name: tuple[str, str] | None = None
        self._target = _Target()

    def run(
        self, row: str, target: str, split: str, seed: int, codes: Sequence[str]
    ) -> Vector | None:
        """What each example adds to the mean over some languages; None if that is not known.

        Examples that bear one id in several languages are translations of one another, or have
        nothing in common but their number: in both cases they are taken as one, so that what
        they share is not counted as many times as there are languages.
        """
        loaded = self._of(target, split)
        found = [loaded.runs.get((row, seed, code)) for code in codes]
        there = [one for one in found if one is not None]
        if not there or len(there) < len(found):
            return None
        if len(codes) == 1:
            return there[0][0]
        numbers = [loaded.languages[code].numbers for code in codes]
        kept = np.unique(np.concatenate(numbers))
        made = np.full(len(kept), sum(mean for _, mean in there) / len(codes))
        for own, (one, mean) in zip(numbers, there, strict=True):
            scale = len(kept) / (len(codes) * len(one))
            made[np.searchsorted(kept, own)] += (one - mean) * scale
        return made

    def majority(self, target: str, split: str, codes: Sequence[str]) -> float:
        """What one answer to everything scores at best, in percent: mean over languages."""
        languages = self._of(target, split).languages
        there = [languages[code].majority for code in codes if code in languages]
        return sum(there) / len(codes) if there else 0.0

    def _of(self, target: str, split: str) -> _Target:
        if self._name != (target, split):
            self._name, self._target = (target, split), self._load(target, split)
        return self._target

    def _load(self, target: str, split: str) -> _Target:
        kind = self.view.plan.cards[target].kind
        metric = self.view.metric(target)
        parts = [p for p in self.view.parts if (p.target, p.split) == (target, split)]
        made = _Target()
        taken: dict[str, tuple[Vector, float] | None] = {}  # by unit: seeds may share one
        for part, unit in self._units(kind, parts):
            assert part.unit is not None
            value = self.values.get((part.intermediate, target, part.seed, split, part.language))
            if value is None:
                continue
            if part.unit not in taken:
                found = unit.rows.outcomes(metric, value, unit.start, unit.stop)
                own = None if found is None else _aligned(made, part, found, unit)
                taken[part.unit] = None if own is None else (own, float(own.mean()))
            known = taken[part.unit]
            if known is not None:
                made.runs[part.intermediate, part.seed, part.language] = known
        for one in made.languages.values():
            one.majority = outcomes.majority(kind, metric, one.gold)
        return made

    def _units(self, kind: str, parts: Iterable[Part]) -> Iterable[tuple[Part, _Unit]]:
        """Every part with the rows of its unit, where they are in the store."""
        commits = self.view.progress.commits.by_unit
        there: dict[str, tuple[Commit, list[Part]]] = {}
        for part in parts:
            commit = commits.get(part.unit)
            if commit is not None:
                there.setdefault(commit.name, (commit, []))[1].append(part)
        for several in in_groups(there.values(), _PIECE, _size):
            names = [name for commit, _ in several if (name := commit.table("examples"))]
            columns = ["address", *outcomes.columns(kind)]
            units = _by_unit(kind, tables.read(self.view.files, "examples", names, columns))
            for commit, own in several:
                for part in own:
                    found = units.get((part.unit, commit.address))
                    if found:
                        yield part, found


_PIECE = 8 << 20
"""Bytes of files of examples that are in memory at once; there each is some ten times as large."""


def _size(one: tuple[Commit, list[Part]]) -> int:
    commit, _ = one
    name = commit.table("examples")
    return int(commit.files[name]["size"]) if name else 0


@dataclass(frozen=True)
class _Unit:
    """Where the rows of a unit are."""

    rows: outcomes.Rows
    table: pa.Table
    start: int
    stop: int

    def column(self, name: str) -> pa.Array:
        return self.table[name].slice(self.start, self.stop - self.start).combine_chunks()


def _by_unit(kind: str, table: pa.Table) -> dict[tuple[str | None, str], _Unit]:
    """The rows of each unit of a commit; those that it wrote twice, for two languages, once."""
    if not table.num_rows:
        return {}
    table = table.combine_chunks()
    changed = np.zeros(table.num_rows, bool)
    for name in ("address", "unit", "split", "language"):
        codes = table[name].combine_chunks().dictionary_encode().indices.to_numpy()
        changed[1:] |= codes[1:] != codes[:-1]
    bounds = [0, *np.flatnonzero(changed).tolist(), table.num_rows]
    firsts = pa.array(bounds[:-1])
    units, addresses = (table[name].take(firsts).to_pylist() for name in ("unit", "address"))
    rows = outcomes.Rows(kind, table)
    found: dict[tuple[str | None, str], _Unit] = {}
    for *key, (start, stop) in zip(units, addresses, pairwise(bounds), strict=True):
        found.setdefault((key[0], key[1]), _Unit(rows, table, start, stop))
    return found


def _aligned(made: _Target, part: Part, found: Vector, unit: _Unit) -> Vector | None:
    """What a unit's examples add, in the order of the first run in this language."""
    ids = unit.column("id")
    if part.language not in made.languages:
        told = pc.count_distinct(ids).as_py() == len(ids)
        names = ids if told else pa.array(map(str, range(len(ids))))
        made.known = pa.concat_arrays(
            [made.known, names.filter(pc.invert(pc.is_in(names, made.known)))]
        )
        numbers = pc.index_in(names, made.known).to_numpy().astype(np.int64)
        own = _Language(ids if told else None, len(ids), numbers, unit.column("gold"))
        made.languages[part.language] = own
        return found
    first = made.languages[part.language]
    if len(ids) != first.count:
        return None
    if first.ids is None or ids.equals(first.ids):
        return found
    places = pc.index_in(first.ids, ids)
    return None if places.null_count else found[places.to_numpy()]
