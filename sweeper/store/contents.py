"""What is in a store at one moment, as `copy` and `merge` take it to another one.

Markers are listed before all else: what a marker names or rests on was there before it, so a
sweep may write meanwhile. What is committed later is not in here.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from functools import cached_property

from sweeper.errors import StoreError
from sweeper.store.compacted import FOLDER
from sweeper.store.files import StoreFiles
from sweeper.store.folder import ORDERS
from sweeper.store.markers import Commit, parsed
from sweeper.store.records import Fault
from sweeper.store.transfer import Wanted

RECORDS = ("studies", "asks", "limits", "pruned")
"""Small files that are created once and refer to nothing that comes after them."""

DEAD = "files of attempts that no marker which counts names"
DRIVERS = "leases, heartbeats and stop marks of drivers"
RESUME = "resume points of jobs that are done"
FAILED = "records of jobs given up that were begun anew"
COMPACTED = "older generations of compacted files"

ORDER = ("prepare", "train", "tune", "score")
"""The kinds of jobs in the order in which one rests on another's outcome."""


class Listing:
    """The names of a store's files.

    Attributes:
        sizes: Every file, by its name, and its bytes; no drafts.
        withdrawn, dropped: The markers that such a record names.
    """

    def __init__(self, files: StoreFiles) -> None:
        self.files = files
        self.sizes = files.sizes("")
        self.withdrawn = self._in("withdrawn")
        self.dropped = self._in("dropped")

    def _in(self, folder: str) -> set[str]:
        return {name.partition("/")[2] for name in self.sizes if name.startswith(f"{folder}/")}

    def below(self, *folders: str) -> list[str]:
        """The files below some of the store's folders, sorted."""
        return [name for name in self.sizes if name.partition("/")[0] in folders]

    def generations(self) -> list[str]:
        """The manifests of compacted files, the newest last: without one a folder is a part."""
        inside = self.below(FOLDER)
        return [name for name in inside if name.count("/") == 1 and name.endswith(".json")]


class Contents(Listing):
    """The files of a store, and which of them count.

    Attributes:
        markers: Name -> what it says; those that are withdrawn too, but none that is damaged.
        faults: Markers that cannot be read and are not withdrawn.
    """

    def __init__(self, files: StoreFiles) -> None:
        names = files.names("commits")
        read = dict(zip(names, files.contents(f"commits/{n}" for n in names), strict=True))
        super().__init__(files)
        self.faults: list[Fault] = []
        self.markers: dict[str, Commit] = {}
        self._names = {*names, *self.withdrawn}
        for name, content in read.items():
            try:
                self.markers[name] = parsed(name, json.loads(content or b""))
            except (ValueError, StoreError) as error:
                if name not in self.withdrawn:
                    self.faults.append(Fault(f"commits/{name}", str(error), name))

    @cached_property
    def by_address(self) -> dict[str, dict[int, Commit | None]]:
        """Address -> generation -> what its marker says; None where that cannot be read."""
        found: dict[str, dict[int, Commit | None]] = {}
        for name in sorted(self._names):
            address, _, generation = name.rpartition(".")
            if generation.isdigit():
                found.setdefault(address, {})[int(generation)] = self.markers.get(name)
        return found

    def counting(self, address: str) -> Commit | None:
        """The commit of an address that readers see: the newest that is not withdrawn."""
        several = self.by_address.get(address, {})
        for _, commit in sorted(several.items(), reverse=True):
            if commit and commit.name not in self.withdrawn:
                return commit
        return None

    def named(self, commit: Commit) -> list[Wanted]:
        """The files that a commit needs where it counts: without those of a dropped checkpoint."""
        gone = commit.name in self.dropped
        return [
            Wanted(name, said["size"], said["sha256"])
            for name, said in commit.files.items()
            if not (gone and name.startswith("attempts/"))
        ]

    def orders(self, commit: Commit) -> list[str]:
        """What a driver put beside an attempt's files, if it is still there."""
        name = f"{commit.folder}/{ORDERS}"
        return [name] if name in self.sizes and commit.name not in self.dropped else []

    @cached_property
    def died(self) -> list[str]:
        """The tables with the rows of attempts that died: each is named as its record is."""
        found = []
        for name in self.below("failures"):
            _, address, attempt = name.removesuffix(".json").split("/")
            found.append(f"tables/trials/{address}-{attempt}.parquet")
        return [name for name in found if name in self.sizes]

    @cached_property
    def given_up(self) -> list[str]:
        """Records of jobs given up, but those of which a later attempt was begun."""
        begun: dict[str, str] = {}
        for name in self.below("attempts"):
            _, address, attempt, *_ = name.split("/")
            begun[address] = max(attempt, begun.get(address, ""))
        return [
            name
            for name in self.below("failed")
            if begun.get(name.split("/")[1], "") <= name.split("/")[2].removesuffix(".json")
        ]

    def resuming(self) -> Iterator[list[str]]:
        """The files of each training's resume points, of those that are not done."""
        found: dict[str, list[str]] = {}
        for name in self.below("resume"):
            found.setdefault(name.split("/")[1], []).append(name)
        for address, names in found.items():
            if self.counting(address) is None:
                yield names

    @cached_property
    def compacted(self) -> list[str]:
        """The files of the newest generation of compacted ones, its manifest last."""
        manifests = self.generations()
        if not manifests:
            return []
        inside = f"{manifests[-1].removesuffix('.json')}/"
        return [*(name for name in self.sizes if name.startswith(inside)), manifests[-1]]

    def left_out(self, taken: set[str]) -> Counter[str]:
        """What of the store is not among the names taken, and no record of it: sort -> files."""
        sorts = dict.fromkeys(("leases", "drivers", "stops"), DRIVERS)
        sorts |= dict.fromkeys(("attempts", "tables"), DEAD)
        sorts |= {"resume": RESUME, "failed": FAILED, FOLDER: COMPACTED}
        tops = [name.partition("/")[0] for name in self.sizes if name not in taken]
        return Counter(sorts[top] for top in tops if top in sorts)
