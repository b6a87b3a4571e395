"""Commits of two stores: which are taken over, under which generation, and which count.

What the store that is merged into has, stays and counts. A commit is taken over where that store
has none of its address that counts, or one of which the checkpoint is gone and which is the same
otherwise; then as the next generation. Any other attempt at work that is done there is left
behind, but for those that something taken over rests on, or that disagree: these come with their
rows, and with a record that says that they do not count.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace

from sweeper.store import tables
from sweeper.store.contents import Contents
from sweeper.store.markers import Commit
from sweeper.store.transfer import Wanted, batches

_DECIDING = ("status", "selections", "values")
_CHECKPOINT = re.compile(r"attempts/([0-9a-f]{32})/([^/]+)/")

SECOND = "another attempt at the same work counts here; this one was merged from another store"


@dataclass(frozen=True)
class Taken:
    """A commit that is taken over.

    Attributes:
        commit: As it is where it is taken from.
        generation: The one that it gets.
        withdrawn: Why it does not count; "" if it does, ``same`` if it did not there either.
        dropped: Whether its checkpoint was deleted.
    """

    commit: Commit
    generation: int
    withdrawn: str = ""
    dropped: bool = False

    @property
    def name(self) -> str:
        """Its marker's."""
        return f"{self.commit.address}.{self.generation}"

    @property
    def marker(self) -> bytes:
        """What its marker says."""
        return replace(self.commit, generation=self.generation).content


SAME = "it did not count there either"


def taken(look: Contents, there: Contents) -> list[Taken]:
    """The commits to take over, without those that only others rest on."""
    found = []
    for address, mine in look.by_address.items():
        theirs = there.by_address.get(address)
        if theirs is None:
            found += [
                Taken(one, number, SAME * (one.name in look.withdrawn), one.name in look.dropped)
                for number, one in mine.items()
                if one
            ]
        else:
            new = look.counting(address)
            if new and _wanted(new, look, there):
                found.append(Taken(new, max(theirs) + 1, dropped=new.name in look.dropped))
    return found


def _wanted(new: Commit, look: Contents, there: Contents) -> bool:
    """Whether a commit is to count in place of what there is of its address."""
    kept = there.counting(new.address)
    if kept is None:  # what came to harm here comes back, be it the same attempt
        return True
    gone = kept.name in there.dropped and new.name not in look.dropped
    return gone and differing(new, kept) == []


def differing(one: Commit, other: Commit) -> list[str]:
    """The keys of the outcomes of two attempts at one address under which they disagree."""
    both = one.outcome.keys() & other.outcome.keys()
    return [key for key in _DECIDING if key in both and one.outcome[key] != other.outcome[key]]


def _attempts(contents: Contents, address: str) -> set[str]:
    return {one.attempt for one in contents.by_address.get(address, {}).values() if one}


def second(
    look: Contents, there: Contents, several: Iterable[Taken], others: Collection[Commit]
) -> list[Taken]:
    """The attempts that come along without counting.

    Args:
        look: The store that is merged.
        there: The one that it is merged into.
        several: What is taken over.
        others: Commits of the first that disagree with one that counts.
    """
    known = {(one.commit.address, one.commit.attempt) for one in several}
    named = {(one.address, one.attempt): one for one in look.markers.values()}
    wanted = {*_scored(look, [one.commit for one in several if not one.withdrawn])}
    wanted |= {(one.address, one.attempt) for one in others}
    last = {one.commit.address: one.generation for one in several}
    found = []
    for address, attempt in sorted(wanted & named.keys() - known):
        if attempt not in _attempts(there, address):
            theirs = there.by_address.get(address, {})
            last[address] = max([*theirs, last.get(address, -1)]) + 1
            found.append(Taken(named[address, attempt], last[address], SECOND))
    return found


def _scored(look: Contents, several: Iterable[Commit]) -> Iterator[tuple[str, str]]:
    """Address and attempt of every checkpoint that scores are of."""
    names = [name for one in several if (name := one.table("scores"))]
    for part in batches(names):
        rows = tables.read(look.files, "scores", part, ["checkpoint"])
        for checkpoint in rows["checkpoint"].unique().to_pylist():
            match = _CHECKPOINT.match(checkpoint or "")
            if match:
                yield match[1], match[2]


def files_of(look: Contents, one: Taken) -> list[Wanted]:
    """The files to take with a commit: all that it needs where it counts, else its rows."""
    if one.withdrawn == SAME:
        return []
    named = look.named(one.commit)
    if one.withdrawn:
        return [file for file in named if file.name.startswith("tables/")]
    orders = [Wanted(name, look.sizes[name]) for name in look.orders(one.commit)]
    return [*named, *orders]
