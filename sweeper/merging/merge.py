"""Merging a store into another one: both may be in use, and the merge may be repeated."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from sweeper.errors import StoreError
from sweeper.merging import commits
from sweeper.merging.asks import OtherAsk, asks
from sweeper.merging.commits import SAME, Taken
from sweeper.merging.disagreements import Disagreement, Pair, disagreements, pairs
from sweeper.merging.studies import studies
from sweeper.progress import Progress
from sweeper.resolving import open_study
from sweeper.store.commits import Commits
from sweeper.store.contents import ORDER, Contents
from sweeper.store.files import StoreFiles, folder_of
from sweeper.store.markers import withdraw
from sweeper.store.records import Fault
from sweeper.store.transfer import Listener, Transfer, Wanted


@dataclass
class Merged:
    """What was merged.

    Attributes:
        address: Of the store that has both now.
        files, bytes: Taken this time.
        markers: Of commits that count, taken this time.
        both: How many commits of both stores are of the same work, by other attempts.
        disagreements: Those of them that came to another outcome.
        asks: Trials that the stores asked for with other parameters.
        studies: Each study's name in the merged store.
        again: Study -> jobs that were done in its store, and that its next run does (again).
        faults: What is damaged in the store that was merged, and so was not taken.
    """

    address: str
    files: int = 0
    bytes: int = 0
    markers: int = 0
    both: int = 0
    disagreements: list[Disagreement] = field(default_factory=list)
    asks: list[OtherAsk] = field(default_factory=list)
    studies: dict[str, str] = field(default_factory=dict)
    again: dict[str, list[str]] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    seconds: float = 0.0


def merge(
    source: StoreFiles, into: StoreFiles, listener: Listener = lambda done, total: None
) -> Merged:
    """Take what a store has into another one, where what is there stays as it is.

    Args:
        source: The store that is merged; it is only read.
        into: The store that has both afterwards.
        listener: Hears how many bytes were taken, and how many there are.

    Raises:
        StoreError: both are the same, or a record of one cannot be read, or one of the stores
            cannot be read or written.
    """
    began = time.monotonic()
    folders = [folder_of(one.address) for one in (source, into)]
    same = folders[0] and folders[1] and folders[0].resolve() == folders[1].resolve()
    if same or source.address == into.address:
        raise StoreError(
            f"Two stores are merged, and {into.address} is the store itself. Give another one."
        )
    work = _Merge(Contents(source), Contents(into), listener)
    work.go()
    work.done.seconds = time.monotonic() - began
    return work.done


class _Merge:
    """One merging of a store's contents into another store."""

    def __init__(self, look: Contents, there: Contents, listener: Listener) -> None:
        self.look = look
        self.there = there
        self.into = there.files
        self.transfer = Transfer(look.files, self.into, listener)
        self.done = Merged(self.into.address, faults=list(look.faults))

    def go(self) -> None:
        """Take all that lacks, in the order in which a sweep writes."""
        look, done = self.look, self.done
        snapshots, done.studies = studies(look, self.there)
        asked, done.asks = asks(look, self.there)
        both = pairs(look, self.there)
        differing = disagreements(look, self.there, both)
        done.both, done.disagreements = len(both), [told for _, told in differing]
        taken = commits.taken(look, self.there)
        taken += commits.second(look, self.there, taken, [new for (new, _), _ in differing])
        wanted = {one.name: commits.files_of(look, one) for one in taken}
        rest = [
            Wanted(name, look.sizes[name])
            for name in self._lacking([*look.died, *look.below("logs")])
        ]
        self.transfer.total = sum(f.size for several in [*wanted.values(), rest] for f in several)
        before = self._left() if done.asks or differing else {}

        self.transfer.put({**snapshots, **asked})
        self.transfer.create(self._lacking(look.below("limits", "pruned")))
        problems = self.transfer.take([*(f for one in wanted.values() for f in one), *rest])
        lost = self._lost(taken, wanted, problems)
        self.transfer.create(self._lacking([*look.below("failures"), *look.given_up]))
        self._resume()
        self._raise([pair for pair, _ in differing], taken)
        self._markers([one for one in taken if one.name not in lost])
        done.files, done.bytes = self.transfer.files, self.transfer.bytes
        done.again = self._again(before)

    def _lacking(self, names: Iterable[str]) -> list[str]:
        return [name for name in names if name not in self.there.sizes]

    def _lost(
        self, taken: list[Taken], wanted: dict[str, list[Wanted]], problems: dict[str, str]
    ) -> set[str]:
        """The commits of which something is damaged, each told."""
        lost = set()
        for one in taken:
            for name in sorted(problems.keys() & {file.name for file in wanted[one.name]}):
                lost.add(one.name)
                fault = Fault(name, problems[name], one.commit.name, one.commit.job)
                self.done.faults.append(fault)
        return lost

    def _resume(self) -> None:
        """Take resume points of trainings that neither store has done or can resume."""
        here = {name.split("/")[1] for name in self.there.below("resume") if name[-5:] == ".json"}
        for names in self.look.resuming():
            address = names[0].split("/")[1]
            if address not in here and self.there.counting(address) is None:
                self.transfer.resume(names, self.look.sizes)

    def _raise(self, differing: list[Pair], taken: list[Taken]) -> None:
        """Let what is here go on counting where a commit that is taken has some of its units.

        Of two commits that share a unit, under other addresses, the later generation counts: so
        the one that is here gets another marker, which names the same attempt.
        """
        new = {one.commit.name: one.generation for one in taken if not one.withdrawn}
        for one, kept in differing:
            if one.address != kept.address and one.name in new:
                own = max(self.there.by_address[kept.address])
                again = Taken(kept, max(own, new[one.name]) + 1)
                self.transfer.put({f"commits/{again.name}": again.marker})

    def _markers(self, taken: list[Taken]) -> None:
        """Write the markers, parents before children; one that does not count says so before."""
        withdrawn = self.look.below("withdrawn")
        gone = [
            n for n in withdrawn if n.split("/")[1].rpartition(".")[0] not in self.there.by_address
        ]
        self.transfer.create(self._lacking(gone))
        for kind in ORDER:
            own = [one for one in taken if one.commit.kind == kind]
            for one in sorted(own, key=lambda one: one.commit.committed):
                if one.withdrawn and one.withdrawn != SAME:
                    withdraw(self.into, one.name, one.withdrawn)
                self.transfer.put({f"commits/{one.name}": one.marker})
                if one.dropped:
                    self.into.create(f"dropped/{one.name}", {"dropped": time.time()})
                self.done.markers += not one.withdrawn

    # -- what it means for the studies ---------------------------------------------------------

    def _left(self) -> dict[str, set[str]]:
        """Study, as it will be called -> what its next run does in every store that has it."""
        found = {name: _left(self.into, name) for name in self.into.names("studies")}
        for own, name in self.done.studies.items():
            left = _left(self.look.files, own)
            found[name] = found[name] & left if name in found else left
        return found

    def _again(self, before: dict[str, set[str]]) -> dict[str, list[str]]:
        after = {name: _left(self.into, name) - left for name, left in before.items()}
        return {name: sorted(left) for name, left in after.items() if left}


def _left(files: StoreFiles, study: str) -> set[str]:
    progress = Progress(*open_study(files, study), files, commits=Commits(files))
    return set(progress.left)
