"""Whether attempts at the same work scored the same: to the last bit, since they read the same."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sweeper.errors import StoreError
from sweeper.store import intact, tables
from sweeper.store.files import StoreFiles
from sweeper.store.markers import Commit

Key = tuple[str, str, str, str]
"""Unit, split, language, metric."""


@dataclass(frozen=True)
class Difference:
    """Something that two attempts say differently: ``what`` in words, and both values.

    ``kept`` is that of the attempt that counts.
    """

    what: str
    kept: Any
    other: Any
    unit: str = ""


@dataclass(frozen=True)
class Second:
    """An attempt that does not count and scored otherwise than the one that does."""

    job: str
    address: str
    kept: str
    other: str
    differences: list[Difference]


def scored(files: StoreFiles, names: Iterable[str]) -> dict[str, dict[Key, float]]:
    """Attempt -> what it scored, of tables of scores.

    Raises:
        StoreError: one of them is missing or damaged.
    """
    columns = ["attempt", "unit", "split", "language", "metric", "value"]
    rows = tables.read(files, "scores", names, columns)
    found: dict[str, dict[Key, float]] = {}
    for attempt, *key, value in zip(*(rows[name].to_pylist() for name in columns), strict=True):
        found.setdefault(attempt, {})[tuple(key)] = value
    return found


def differences(kept: Mapping[Key, float], other: Mapping[Key, float]) -> Iterator[Difference]:
    """The scores that both have and that differ."""
    for key in sorted(kept.keys() & other.keys()):
        if kept[key] != other[key]:
            unit, split, language, metric = key
            yield Difference(f"{metric} on {split}/{language}", kept[key], other[key], unit)


def seconds(
    files: StoreFiles, counting: Iterable[Commit], markers: Iterable[Commit | None]
) -> list[Second]:
    """Attempts of a store that ended, do not count, and scored otherwise.

    Args:
        files: The store.
        counting: The commits that count.
        markers: Every commit that a marker names, whether it counts or not.
    """
    ended = set(files.names("tables/trials"))  # written last, but for the marker
    made: dict[str, list[str]] = {}
    for name in files.names("tables/scores"):
        if name in ended:
            made.setdefault(name.partition("-")[0], []).append(f"tables/scores/{name}")
    named = {name: said for one in markers if one for name, said in one.files.items()}
    found = []
    for commit in counting:
        own = commit.table("scores")
        others = [name for name in made.get(commit.address, ()) if name != own]
        for name in others if own else ():
            try:
                if name in named and intact.fault(files, name, named[name]):
                    continue
                both = scored(files, [str(own), name])
            except StoreError:
                continue  # a damaged one that counts is a fault, told already; others are not
            kept = both.pop(commit.attempt, {})
            for attempt, values in both.items():
                told = list(differences(kept, values))
                if told:
                    found.append(Second(commit.job, commit.address, commit.attempt, attempt, told))
    return found
