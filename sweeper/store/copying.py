"""A copy of a store in another place, which is a whole store at every moment of its making.

The order is that in which a sweep writes: what a marker names and rests on before the marker, a
parent's marker before its child's. Nothing that the copy has is deleted, nor is a record of it
replaced. So a copy that was interrupted is taken up, and one that is old is brought up to date,
by copying again.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sweeper.errors import StoreError
from sweeper.store.compacted import FOLDER
from sweeper.store.contents import ORDER, RECORDS, Contents, Listing
from sweeper.store.files import StoreFiles, folder_of
from sweeper.store.markers import Commit
from sweeper.store.records import Fault
from sweeper.store.transfer import Listener, Transfer, Wanted, batches

_AGREE = ("studies", "asks", "commits")
"""Records that make two stores disagree where they say different things."""


@dataclass
class Copied:
    """What was copied.

    Attributes:
        address: Of the copy.
        files, bytes: Taken this time.
        markers: Of commits, taken this time.
        left_out: Sort of files that a copy does not have -> how many there are.
        faults: What is damaged in the source. The markers of those commits were not copied.
    """

    address: str
    files: int = 0
    bytes: int = 0
    markers: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    faults: list[Fault] = field(default_factory=list)
    seconds: float = 0.0


def copy(
    source: StoreFiles, target: str | Path, listener: Listener = lambda done, total: None
) -> Copied:
    """Copy a store, which may be in use; what the target has of it is not copied again.

    Args:
        source: The store.
        target: A folder or an address in a bucket: empty, or an earlier copy of this store.
        listener: Hears how many bytes were taken, and how many there are.

    Raises:
        StoreError: the target is inside the source, holds something else or another store, or
            disagrees with the source; or one of them cannot be read or written.
    """
    began = time.monotonic()
    _refuse_overlap(source, target)
    identity = source.read("store.json")
    files = _opened(target, identity)
    work = _Copy(Contents(source), files, Listing(files), listener)
    work.check()
    work.go()
    work.done.seconds = time.monotonic() - began
    return work.done


def _refuse_overlap(source: StoreFiles, target: str | Path) -> None:
    mine, other = folder_of(source.address), folder_of(target)
    if mine and other:
        inside = other.resolve().is_relative_to(mine.resolve())
    else:
        inside = f"{str(target).rstrip('/')}/".startswith(f"{source.address}/")
    if inside:
        raise StoreError(
            f"A copy lies outside of the store that it is of, and {target} is inside "
            f"{source.address}. Give another folder or address."
        )


def _opened(target: str | Path, identity: dict[str, object]) -> StoreFiles:
    """The target, made if need be with the identity of the source: that tells a copy."""
    files = StoreFiles(target, create=True, identity=identity)
    if files.read("store.json") != identity:
        raise StoreError(
            f"{files.address} is another store, and no copy of this one. Give an empty folder or "
            "address, or bring both together: `sweeper store merge FROM INTO`."
        )
    return files


class _Copy:
    """One copying of a store's contents to where some of them may be already."""

    def __init__(
        self, look: Contents, files: StoreFiles, there: Listing, listener: Listener
    ) -> None:
        self.look = look
        self.there = there
        self.files = files
        self.transfer = Transfer(look.files, files, listener)
        self.done = Copied(files.address, faults=list(look.faults))
        self.taken: set[str] = set()  # or there already: the rest is no part of a copy

    def check(self) -> None:
        """Raise `StoreError` if a record says one thing here and another one there."""
        both = [n for n in self.look.below(*_AGREE) if n in self.there.sizes]
        for names in batches(both):
            ours, theirs = (files.contents(names) for files in (self.look.files, self.files))
            for name, one, other in zip(names, ours, theirs, strict=True):
                if one != other:
                    raise StoreError(
                        f"{self.files.where(name)} says something else than in "
                        f"{self.look.files.address}: sweeps ran on both since the copy was made. "
                        "Bring them together: `sweeper store merge FROM INTO`."
                    )

    def go(self) -> None:
        """Copy all that lacks, in the order that keeps the copy whole."""
        look = self.look
        commits = [one for one in look.markers.values() if one.name not in look.withdrawn]
        wanted = [one for commit in commits for one in self._files(commit)]
        others = self._changed([*look.died, *look.below("logs")])
        wanted += [Wanted(name, look.sizes[name]) for name in others]
        first = self._lacking([*look.below(*RECORDS, "withdrawn")])
        last = self._lacking([*look.below("failures"), *look.given_up])
        markers = self._lacking(f"commits/{name}" for name in look.markers)
        compacted = self._newer()
        small = [*first, *last, *markers, *compacted]
        self.transfer.total = sum(one.size for one in wanted)
        self.transfer.total += sum(look.sizes.get(name, 0) for name in small)

        self.transfer.create(first)
        lost = self._lost(commits, self.transfer.take(wanted))
        self.transfer.create(last)
        for names in look.resuming():
            self.taken.update(names)
            if not any(name in self.there.sizes for name in names if name.endswith(".json")):
                self.transfer.resume(names, look.sizes)
        self._markers([look.markers[name[8:]] for name in markers if name[8:] not in lost])
        self._drops(lost)
        self._compacted(compacted)
        self.done.files, self.done.bytes = self.transfer.files, self.transfer.bytes
        self.done.left_out = look.left_out(self.taken)

    # -- what there is to take -----------------------------------------------------------------

    def _lacking(self, names: Iterable[str]) -> list[str]:
        """Those of some records that the copy has not."""
        several = list(names)
        self.taken.update(several)
        return [name for name in several if name not in self.there.sizes]

    def _changed(self, names: Iterable[str]) -> list[str]:
        """Those of some files that the copy has not, or of another size."""
        several = list(names)
        self.taken.update(several)
        return [n for n in several if self.there.sizes.get(n) != self.look.sizes[n]]

    def _files(self, commit: Commit) -> Iterator[Wanted]:
        """What the copy lacks of a commit's files, but where it let go of them since."""
        gone = commit.name in {*self.there.dropped, *self.there.withdrawn}
        for one in self.look.named(commit):
            self.taken.add(one.name)
            there = self.there.sizes.get(one.name) == one.size
            if not there and not (gone and one.name.startswith("attempts/")):
                yield one
        for name in self._changed(self.look.orders(commit)):
            yield Wanted(name, self.look.sizes[name])

    def _newer(self) -> list[str]:
        """The newest generation of compacted files, unless the copy has one as new."""
        names = self.look.compacted
        self.taken.update(names)
        return (
            [] if any(name >= names[-1] for name in self.there.generations() if names) else names
        )

    # -- taking it -----------------------------------------------------------------------------

    def _lost(self, commits: Iterable[Commit], problems: Mapping[str, str]) -> set[str]:
        """The commits of which something is damaged, each told; not those dropped just now."""
        lost = set()
        for commit in commits:
            bad = sorted(problems.keys() & commit.files.keys())
            if not bad:
                continue
            late = self.look.files.exists(f"dropped/{commit.name}")
            if late and all(name.startswith("attempts/") for name in bad):
                self.look.dropped.add(commit.name)
                continue
            lost.add(commit.name)
            if not self.look.files.exists(f"withdrawn/{commit.name}"):
                self.done.faults += [Fault(n, problems[n], commit.name, commit.job) for n in bad]
        return lost

    def _markers(self, markers: Sequence[Commit]) -> None:
        """Write markers, parents before children; what says that one was dropped comes with it."""
        self.done.markers = len(markers)
        for kind in ORDER:
            own = sorted((m for m in markers if m.kind == kind), key=lambda m: m.committed)
            # Stages follow one another; of the other kinds none rests on its like.
            for part in [[one] for one in own] if kind == "train" else [own]:
                self.transfer.create([f"commits/{one.name}" for one in part])
                gone = [one.name for one in part if one.name in self.look.dropped]
                self.transfer.create([f"dropped/{name}" for name in gone])

    def _drops(self, lost: set[str]) -> None:
        """Write what the copy lacks of records of drops: of markers that it had before them."""
        names = sorted(self.look.dropped & self.look.markers.keys() - lost)
        self.transfer.create(self._lacking(f"dropped/{name}" for name in names))

    def _compacted(self, names: Sequence[str]) -> None:
        """Take a generation of compacted files: its manifest, which has their hashes, last."""
        if not names:
            return
        manifest = self.look.files.read(names[-1])["files"]
        hashes = {name: said["sha256"] for name, said in manifest.items()}
        wanted = [Wanted(n, self.look.sizes[n], hashes.get(n, "")) for n in names[:-1]]
        problems = self.transfer.take(wanted)
        if not problems:
            self.transfer.create(names[-1:])
        remedy = f"Delete {FOLDER}/ there: nothing is lost."
        self.done.faults += [Fault(name, said, remedy=remedy) for name, said in problems.items()]
