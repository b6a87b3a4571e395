"""The commits of a store: its markers, read once each, and those that count."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterable
from dataclasses import replace

from sweeper.errors import StoreError
from sweeper.store.files import StoreFiles
from sweeper.store.markers import Commit, parsed
from sweeper.store.waiting import ByUnit, Waiting

log = logging.getLogger("sweeper")


class Commits:
    """The markers of a store that count, read once each; `refresh` brings what came since.

    A marker does not count once a record in ``withdrawn/`` bears its name. Those that the
    compacted files have are read when one of their units, or all, are asked for: of a store of
    any size a study's own alone.

    Attributes:
        by_unit: The newest commit of each job, by the addresses of its parts.
        damaged: Names of markers that were left out, if ``tolerant`` -> what is wrong with each.

    Args:
        files: The store.
        without: Names of markers that are to count as withdrawn, too.
        tolerant: Leave a damaged marker out, with a warning, for who only looks: answers then lack
            what it stands for. Else `StoreError`, for who would do its job again.
    """

    def __init__(
        self, files: StoreFiles, without: Iterable[str] = (), *, tolerant: bool = False
    ) -> None:
        self.files = files
        self.damaged: dict[str, str] = {}
        self._told: set[str] = set()  # those of which a warning was given
        self._tolerant = tolerant
        self.by_unit: ByUnit[Commit] = ByUnit(self._look_for, self._read_waiting)
        self._by_unit = self.by_unit.known
        self._by_address: dict[str, Commit] = {}
        self._scored: set[str] = set()
        self._read_ones: dict[str, Commit] = {}  # by name, in that order; also those withdrawn
        self._waiting: Waiting | None = None  # until the first look
        self._later: set[str] = set()  # of markers that came after the first look
        self._without = set(without)
        self._withdrawn: set[str] = set()
        self._dropped: set[str] = set()
        self._last: dict[str, int] = {}  # address -> the highest generation that is taken
        self._untaken: list[str] = []  # names that are yet to be counted there, deleted ones too
        self.refresh()

    @property
    def by_address(self) -> dict[str, Commit]:
        """The newest commit of each job."""
        self._read_waiting()
        return self._by_address

    @property
    def scored(self) -> set[str]:
        """Addresses of the checkpoints that some commit has scores of, of whatever study."""
        self._read_waiting()
        return self._scored

    @property
    def all(self) -> list[Commit]:
        """What every marker says that was not withdrawn before it was read."""
        self._read_waiting()
        return list(self._read_ones.values())

    def refresh(self) -> list[Commit]:
        """Read what is new since last time; returns the commits of new markers."""
        self.damaged = {}  # each is read anew: it may have been mended, or moved away
        self._look_at_records()
        names, first = self.files.names("commits"), self._waiting is None
        if self._waiting is None:
            self._waiting = Waiting(self.files.compacted, set(names))
            self._untaken = list(self._waiting.names)
        known = self._read_ones.keys() | self._waiting.rows.keys()
        new = self._named("commits", (name for name in names if name not in known))
        for name in new:
            self._take(*_place(name))
        # A later generation replaces an earlier one: read them in that order.
        wanted = sorted((n for n in new if n not in self._withdrawn), key=_place)
        found = []
        for name, content in zip(wanted, self._contents(wanted), strict=True):
            try:
                found.append(self._parse(name, content, later=not first))
            except StoreError as error:
                self._leave_out(name, error)
        if first:
            # What was compacted may come before or after these.
            for unit in self._waiting.among([u for one in found for u in one.units.values()]):
                self._look_for(unit)
        return found

    def _contents(self, names: Iterable[str]) -> Iterable[bytes | None]:
        return self.files.contents(f"commits/{name}" for name in names)

    def _named(self, folder: str, names: Iterable[str]) -> list[str]:
        """Those of some names that are markers', or those of records about them."""
        found = []
        for name in names:
            try:
                _place(name, folder)
                found.append(name)
            except StoreError as error:
                self._leave_out(name, error)
        return found

    def _leave_out(self, name: str, error: StoreError) -> None:
        if not self._tolerant:
            raise error
        self.damaged[name] = str(error)
        if name not in self._told:
            self._told.add(name)
            log.warning("Left out: %s", error)

    def read(self, address: str, generation: int = 0) -> Commit | None:
        """One marker, just written by a worker; None if it is not there."""
        name = f"{address}.{generation}"
        content = self.files.content(f"commits/{name}")
        return None if content is None else self._parse(name, content, later=True)

    def next_generation(self, address: str) -> int:
        """The number that the next marker of an address bears: 0, unless there was one."""
        while self._untaken:
            self._take(*_place(self._untaken.pop()))
        return self._last.get(address, -1) + 1

    def read_drop(self, address: str) -> None:
        """See whether a commit's checkpoints were dropped since it was read."""
        commit = self.by_address.get(address)
        if commit and self.files.exists(f"dropped/{commit.name}"):
            self._see_drop(commit.name)

    def _see_drop(self, name: str) -> None:
        self._dropped.add(name)
        commit = self.by_address.get(name.rpartition(".")[0])
        if commit and name == commit.name:
            self._keep(replace(commit, dropped=True))

    def drop(self, address: str) -> None:
        """Delete a committed attempt's checkpoints, which its search no longer needs."""
        commit = self.by_address[address]
        self.files.create(f"dropped/{commit.name}", {"dropped": time.time()})
        self._see_drop(commit.name)
        self.files.remove(commit.folder)

    def _look_at_records(self) -> None:
        """Take note of what others dropped or withdrew, of markers that were read before, too."""
        names = self.files.names("withdrawn")
        withdrawn = self._without | set(self._named("withdrawn", names))
        dropped = set(self.files.names("dropped"))
        for name in withdrawn - self._withdrawn:
            self._take(*_place(name, "withdrawn"))
        changed = (withdrawn ^ self._withdrawn) | (dropped ^ self._dropped)
        self._withdrawn, self._dropped = withdrawn, dropped
        if not changed.isdisjoint(self._read_ones):
            for name in changed & self._read_ones.keys():
                self._read_ones[name] = replace(self._read_ones[name], dropped=name in dropped)
            self._keep_all()

    # -- what was compacted --------------------------------------------------------------------

    def _look_for(self, unit: str) -> None:
        """Read the waiting markers that have a unit."""
        assert self._waiting is not None
        for name in self._waiting.having(unit):
            if name in self._waiting.rows and name not in self._withdrawn:
                commit = self._read_waiting_one(self._waiting, name)
                self._keep_between(commit)
                # It brings its other units, of which another may be the newer commit.
                for other in self._waiting.contested(commit.units.values()):
                    self._look_for(other)

    def _read_waiting(self) -> None:
        """Read all that wait, in the order of the compacted files."""
        assert self._waiting is not None
        names = [name for name in self._waiting.rows if name not in self._withdrawn]
        for name in names:
            self._read_waiting_one(self._waiting, name)
        if names:
            self._keep_all()

    def _read_waiting_one(self, waiting: Waiting, name: str) -> Commit:
        found = Commit(**json.loads(waiting.take(name)))  # it was checked when it was compacted
        commit = replace(found, dropped=True) if name in self._dropped else found
        self._read_ones[name] = commit
        return commit

    def _keep_all(self) -> None:
        """Bring everything that was read into the order in which it counts."""
        self._by_address.clear()
        self._by_unit.clear()
        later = [name for name in self._read_ones if name in self._later]
        for name in [*sorted(self._read_ones.keys() - self._later, key=_place), *later]:
            self._keep(self._read_ones[name])

    def _keep_between(self, commit: Commit) -> None:
        """Keep a commit as if it had been read with the first ones, in its order."""
        known = self._by_address.get(commit.address)
        if known and known.generation > commit.generation:
            return
        self._by_address[commit.address] = commit
        self._scored.update(commit.outcome.get("scored", ()))
        place = (commit.generation, commit.address)
        for unit in commit.units.values():
            other = self._by_unit.get(unit)
            if other is None or (
                other.name not in self._later and (other.generation, other.address) < place
            ):
                self._by_unit[unit] = commit

    # -- one marker ----------------------------------------------------------------------------

    def _parse(self, name: str, content: bytes | None, *, later: bool) -> Commit:
        commit = self._parsed(name, content)
        if self._waiting:
            self._waiting.rows.pop(name, None)
        if later:
            self._later.add(name)
            self._read_ones.pop(name, None)  # it counts from now on
        self._take(commit.generation, commit.address)
        self._keep(commit)
        return commit

    def _parsed(self, name: str, content: bytes | None) -> Commit:
        try:
            found = parsed(name, self.files.parsed(f"commits/{name}", content))
        except StoreError as error:
            raise StoreError(
                f"{error} Or keep the file: `sweeper store verify --repair --store "
                f"{self.files.address}` makes it count as not there, which comes to the same."
            ) from None
        return replace(found, dropped=True) if name in self._dropped else found

    def _take(self, generation: int, address: str) -> None:
        self._last[address] = max(generation, self._last.get(address, -1))

    def _keep(self, commit: Commit) -> None:
        self._read_ones[commit.name] = commit
        known = self._by_address.get(commit.address)
        # A worker that was long taken for dead may bring us back to what was replaced since.
        if commit.name in self._withdrawn or (known and known.generation > commit.generation):
            return
        self._by_address[commit.address] = commit
        self._scored.update(commit.outcome.get("scored", ()))
        for unit in commit.units.values():
            self._by_unit[unit] = commit


def _place(name: str, folder: str = "commits") -> tuple[int, str]:
    """A marker's generation and address, from its name."""
    address, _, generation = name.rpartition(".")
    if not generation.isdigit():
        raise StoreError(
            f"{folder}/{name} is no marker's name (address.generation). Move the file away."
        )
    return int(generation), address
