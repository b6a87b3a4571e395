"""Two attempts at the same work that came to other outcomes: nondeterminism, told with its place.

Equal addresses are equal inputs. On one sort of CPU they end in equal bits; other devices,
libraries and pieces of a batch round otherwise. So what differs is told with these, and nothing
is tolerated: whether it matters is for a person to say.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sweeper.merging.commits import differing
from sweeper.store import tables
from sweeper.store.agreement import Difference, Key, differences, scored
from sweeper.store.contents import Contents
from sweeper.store.files import StoreFiles
from sweeper.store.markers import Commit
from sweeper.store.transfer import batches


@dataclass(frozen=True)
class Attempt:
    """One of the two: what made it, as its row of `trials` says."""

    address: str
    attempt: str
    worker: str
    device: str
    micro_batch: int | None
    versions: dict[str, str]


@dataclass(frozen=True)
class Disagreement:
    """Two attempts that disagree; ``kept`` is the one that counts."""

    job: str
    address: str
    kept: Attempt
    other: Attempt
    differences: list[Difference]


Pair = tuple[Commit, Commit]
"""A commit of the store that is merged, and one of the other store that did the same work."""


def pairs(look: Contents, there: Contents) -> list[Pair]:
    """Commits that count in either store and have a unit in common, but no attempt."""
    by_unit: dict[str, Commit] = {}
    newest = [commit for address in there.by_address if (commit := there.counting(address))]
    for commit in sorted(newest, key=lambda one: (one.generation, one.address)):
        by_unit.update(dict.fromkeys(commit.units.values(), commit))
    found = {}
    for address in look.by_address:
        new = look.counting(address)
        for unit in new.units.values() if new else ():
            kept = by_unit.get(unit)
            if new and kept and (kept.address, kept.attempt) != (new.address, new.attempt):
                found[new.name, kept.name] = (new, kept)
    return list(found.values())


def disagreements(
    look: Contents, there: Contents, several: Iterable[Pair]
) -> list[tuple[Pair, Disagreement]]:
    """Those of some pairs that disagree, each told."""
    found = []
    for part in batches(several):
        ours = _values(look.files, [new for new, _ in part])
        theirs = _values(there.files, [kept for _, kept in part])
        for new, kept in part:
            told = [
                *_outcomes(new, kept),
                *differences(theirs.get(kept.attempt, {}), ours.get(new.attempt, {})),
            ]
            if told:
                disagreement = Disagreement(
                    kept.job,
                    kept.address,
                    _attempt(there.files, kept),
                    _attempt(look.files, new),
                    told,
                )
                found.append(((new, kept), disagreement))
    return found


def _outcomes(new: Commit, kept: Commit) -> Iterator[Difference]:
    if new.address == kept.address:
        for key in differing(new, kept):
            yield Difference(key, kept.outcome[key], new.outcome[key])


def _values(files: StoreFiles, commits: list[Commit]) -> dict[str, dict[Key, float]]:
    return scored(files, [name for one in commits if (name := one.table("scores"))])


def _attempt(files: StoreFiles, commit: Commit) -> Attempt:
    name = commit.table("trials")
    columns = ["worker", "device", "micro_batch", "versions"]
    rows = tables.read(files, "trials", [name], columns).to_pylist() if name else []
    row = rows[0] if rows else dict.fromkeys(columns)
    return Attempt(
        commit.address,
        commit.attempt,
        row["worker"] or "",
        row["device"] or "",
        row["micro_batch"],
        json.loads(row["versions"] or "{}"),
    )
