"""Which inputs tell a job from the most similar one that is done: where two addresses part.

An address is the digest of what a unit is made from (see `sweeper.addressing`), in which the
addresses of parents and data stand. Where two of those differ, what they are made from is
compared in turn, up to the inputs that the user knows.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sweeper.analysis.view import View
from sweeper.store.markers import Commit

MOST = 100
"""Committed jobs that one is compared with: those with the most similar keys."""

ABSENT = "(absent)"
"""Stands for an input that one side does not have."""

_ADDRESS = re.compile("[0-9a-f]{32}")


@dataclass(frozen=True)
class Input:
    """An input that differs.

    Attributes:
        via: The jobs from the one that was asked about, less itself, to the one that has it.
        path: Where it stands in what that one is made from; empty for a unit that is new.
        here: What it is now; jobs by their keys.
        there: What it was for the done job.
        units: The units of that job that have it.
    """

    via: tuple[str, ...]
    path: tuple[str, ...]
    here: Any
    there: Any
    units: tuple[str, ...]


@dataclass(frozen=True)
class Nearest:
    """The done job that is most similar to one that is not.

    ``row`` is its row of `trials`; of ``candidates`` done jobs of its kind ``compared`` were
    looked at.
    """

    commit: Commit
    row: dict[str, Any]
    inputs: list[Input]
    compared: int
    candidates: int


def nearest(view: View, key: str) -> Nearest | None:
    """The done job of the same kind that differs least, and in what; None if there is none.

    The same key in another study, or in an earlier version of this one, comes before all others;
    then the one with the fewest inputs that differ; then the most similar key; then the newest.
    None, too, where a job's address is not known yet, or is in the store.
    """
    made_from = view.progress.addressing.made_from(key)
    if made_from is None:
        return None
    missing = view.progress.missing(key)
    wanted = {name: _plain(made_from[name]) for name in missing}
    if all(unit in view.progress.commits.by_unit for unit in missing.values()):
        return None
    candidates = [
        commit
        for commit in view.progress.commits.by_address.values()
        if commit.kind == view.plan.jobs[key].kind
        and commit.outcome["status"] == "done"
        and commit.table("trials")
    ]
    candidates.sort(key=lambda c: (c.job == key, _alike(c.job, key), c.committed), reverse=True)
    looked = _Rows(view, candidates[:MOST])
    ranked = []
    for place, commit in enumerate(candidates[:MOST]):
        there = looked.made_from(commit)
        if there:
            count = sum(1 for name in wanted for _ in _unit_parts(name, wanted[name], there))
            ranked.append((commit.job != key, count, place))
    if not ranked:
        return None
    chosen = candidates[min(ranked)[-1]]
    compared = _Comparison(view, looked)
    inputs = compared.of(wanted, looked.made_from(chosen))
    return Nearest(chosen, looked.row(chosen), inputs, len(ranked), len(candidates))


def _alike(one: str, other: str) -> int:
    """In how many places two keys say the same: row, target, seed, trial."""
    parts = [re.split("[/>]", key) for key in (one, other)]
    return sum(a == b for a, b in zip(*parts, strict=False))


def _plain(made_from: Any) -> Any:
    """As it comes back from JSON: tuples are lists, and all keys text."""
    return json.loads(json.dumps(made_from))


class _Rows:
    """The rows of `trials` of commits: read at once for those given, else one by one."""

    def __init__(self, view: View, commits: list[Commit]) -> None:
        self.view = view
        self._rows: dict[str, dict[str, Any]] = {}
        self._read(commits)

    def _read(self, commits: list[Commit]) -> None:
        from sweeper.store import tables

        names = [name for commit in commits if (name := commit.table("trials"))]
        for row in tables.read(self.view.files, "trials", names).to_pylist():
            self._rows[row["address"]] = row

    def row(self, commit: Commit) -> dict[str, Any]:
        """A commit's row; empty if it brought none."""
        if commit.address not in self._rows:
            self._rows[commit.address] = {}
            self._read([commit])
        return self._rows[commit.address]

    def made_from(self, commit: Commit) -> dict[str, dict[str, Any]]:
        """Unit -> what its address is the digest of; empty where that was not kept."""
        said: dict[str, dict[str, Any]] = json.loads(self.row(commit).get("made_from") or "{}")
        return said


Parts = Iterator[tuple[tuple[str, ...], Any, Any]]


def _unit_parts(name: str, here: dict[str, Any], units: Mapping[str, dict[str, Any]]) -> Parts:
    """Path, value here and value there of what differs in a unit; all of it where it is new."""
    if name not in units:
        yield (), name, ", ".join(units)
    else:
        yield from _parts(here, units[name])


def _parts(here: Any, there: Any, path: tuple[str, ...] = ()) -> Parts:
    if here == there:
        return
    if isinstance(here, dict) and isinstance(there, dict):
        for name in sorted(here.keys() | there.keys()):
            yield from _parts(here.get(name, ABSENT), there.get(name, ABSENT), (*path, name))
    elif _records(here) and _records(there) and len(here) == len(there):
        for place, (one, other) in enumerate(zip(here, there, strict=True)):
            yield from _parts(one, other, (*path, str(place)))
    else:
        yield path, here, there


def _records(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, dict) for one in value)


class _Comparison:
    """Follows what differs between a job and a done one up to the inputs that the user knows."""

    def __init__(self, view: View, rows: _Rows) -> None:
        self.addressing = view.progress.addressing
        self.by_unit = view.progress.commits.by_unit
        self.keys = list(view.plan.jobs)
        self.rows = rows
        self._followed: set[tuple[str, str]] = set()
        self._found: dict[tuple[Any, ...], list[Any]] = {}

    def of(
        self, here: Mapping[str, dict[str, Any]], there: Mapping[str, dict[str, Any]]
    ) -> list[Input]:
        """The inputs in which the units of a job differ from those of a done one."""
        for name, said in here.items():
            for path, one, other in _unit_parts(name, said, there):
                self._follow((), name, path, one, other)
        return [Input(via, path, one, other, tuple(units))
                for (via, path, _), (one, other, units) in self._found.items()]  # fmt: skip

    def _follow(
        self, via: tuple[str, ...], unit: str, path: tuple[str, ...], here: Any, there: Any
    ) -> None:
        """An address leads on to the job that made it; everything else is an input."""
        ours, theirs = _addresses(here), _addresses(there)
        if not path or not (ours or theirs):
            self._keep(via, unit, path, here, there)
            return
        new = [a for a in ours if a not in theirs]
        left = [a for a in theirs if a not in ours]
        for one in new:
            other = next((a for a in left if self._kin(one, a)), None)
            if other is not None:
                left.remove(other)
                self._descend(via, one, other)
            elif ours and theirs and len(new) == len(left) == 1:
                self._keep(via, unit, path, self._name(one), self._name(left.pop()))
            else:
                self._keep(via, unit, path, self._name(one), ABSENT if theirs else there)
        for other in left:
            self._keep(via, unit, path, ABSENT if ours else here, self._name(other))
        if not new and not left:
            self._keep(via, unit, (*path, "order"), "another", "another")

    def _descend(self, via: tuple[str, ...], here: str, there: str) -> None:
        if (here, there) in self._followed:
            return
        self._followed.add((here, there))
        key, name = self._ours[here]
        made_from = self.addressing.made_from(key) or {}
        commit = self.by_unit[there]
        before = self.rows.made_from(commit).get(self._unit_there(there)[1])
        if before is None:
            self._keep((*via, key), name, ("?",), here, there)
            return
        for path, one, other in _parts(_plain(made_from[name]), before):
            self._follow((*via, key), name, path, one, other)

    def _keep(
        self, via: tuple[str, ...], unit: str, path: tuple[str, ...], here: Any, there: Any
    ) -> None:
        same = (via, path, json.dumps([here, there]))
        units: list[str] = self._found.setdefault(same, [here, there, []])[-1]
        if unit not in units:
            units.append(unit)

    # -- whose address it is -------------------------------------------------------------------

    @cached_property
    def _ours(self) -> dict[str, tuple[str, str]]:
        """Address -> the first job of this study that has it, and its unit."""
        found: dict[str, tuple[str, str]] = {}
        for key in self.keys:
            for name, unit in (self.addressing.units(key) or {}).items():
                found.setdefault(unit, (key, name))
        return found

    def _unit_there(self, address: str) -> tuple[str, str]:
        commit = self.by_unit.get(address)
        if commit is None:
            return "", ""
        return commit.job, next(n for n, unit in commit.units.items() if unit == address)

    def _kin(self, here: str, there: str) -> bool:
        """Whether two addresses are of one place in the study, or of one language of a split."""
        one, other = self._ours.get(here, ("", "")), self._unit_there(there)
        return bool(one[0]) and (_place(one[0]), one[1]) == (_place(other[0]), other[1])

    def _name(self, address: str) -> str:
        key, unit = self._ours.get(address) or self._unit_there(address)
        if not key:
            return f"the address {address[:8]}.."
        return f"{key} ({unit})" if key.startswith("prepare/") and unit != "all" else key


def _addresses(value: Any) -> list[str]:
    """The addresses that a value is: one, or a list; else none."""
    several = value if isinstance(value, list) else [value]
    are = [isinstance(one, str) and bool(_ADDRESS.fullmatch(one)) for one in several]
    return several if all(are) else []


def _place(key: str) -> str:
    """A job's key without the length that a `prepare` job has in it."""
    kind, *rest = key.split("/")
    return "/".join([kind, *rest[:2]]) if kind == "prepare" else key
