"""The commit: one exclusive marker per job that names an attempt, its files and its outcome."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from sweeper.errors import StoreError
from sweeper.store.files import StoreFiles
from sweeper.store.folder import Stored


@dataclass(frozen=True)
class Commit:
    """What a marker says.

    ``units`` maps the job's parts to their addresses, ``files`` store-relative names to size
    (bytes) and SHA-256, ``outcome`` is what later jobs and queries need to know (see
    `sweeper.jobs.Outcome`). A later ``generation`` replaces an earlier one whose files are gone.
    """

    address: str
    generation: int
    attempt: str
    job: str
    kind: str
    units: dict[str, str]
    files: dict[str, dict[str, Any]]
    outcome: dict[str, Any]
    committed: float
    dropped: bool = False

    @property
    def folder(self) -> str:
        """Where its attempt's files lie, relative to the store."""
        return f"attempts/{self.address}/{self.attempt}"

    def table(self, name: str) -> str | None:
        """The Parquet file of a table that this commit brought, if it did."""
        wanted = f"tables/{name}/"
        return next((file for file in self.files if file.startswith(wanted)), None)


def commit(
    files: StoreFiles,
    *,
    address: str,
    generation: int,
    attempt: str,
    job: str,
    kind: str,
    units: dict[str, str],
    made: Iterable[Stored],
    outcome: dict[str, Any],
) -> bool:
    """Make an attempt the job's outcome; False when another attempt was first.

    ``made`` is every file that the attempt made, as `StoreFiles.publish` and `tables.write` say
    that they stored it. The other arguments are `Commit`'s.
    """
    named = {
        one.name: {"size": one.size, "sha256": one.sha256}
        for one in sorted(made, key=lambda one: one.name)
    }
    return files.create(
        f"commits/{address}.{generation}",
        {
            "address": address,
            "generation": generation,
            "attempt": attempt,
            "job": job,
            "kind": kind,
            "units": units,
            "files": named,
            "outcome": outcome,
            "committed": time.time(),
        },
    )


class Commits:
    """All markers of a store, read once each; `refresh` brings what came since."""

    def __init__(self, files: StoreFiles) -> None:
        self.files = files
        self.by_address: dict[str, Commit] = {}
        self.by_unit: dict[str, Commit] = {}
        self._seen: set[str] = set()
        self._dropped: set[str] = set()
        self.refresh()

    def refresh(self) -> list[Commit]:
        """Read the markers that are new since last time; returns their commits."""
        dropped = set(self.files.names("dropped"))
        for name in dropped - self._dropped:
            self._see_drop(name)
        self._dropped = dropped
        new = [n for n in self.files.names("commits") if n not in self._seen]
        # A later generation replaces an earlier one: read them in that order.
        new.sort(key=_generation)
        read = self.files.read_all(f"commits/{name}" for name in new)
        return [self._take(name, data, dropped) for name, data in zip(new, read, strict=True)]

    def read(self, address: str, generation: int = 0) -> Commit | None:
        """One marker, just written by a worker; None if it is not there."""
        name = f"{address}.{generation}"
        data = self.files.find(f"commits/{name}")
        return None if data is None else self._take(name, data, set())

    def read_drop(self, address: str) -> None:
        """See whether a commit's checkpoints were dropped since it was read."""
        name = f"{address}.{self.by_address[address].generation}"
        if self.files.exists(f"dropped/{name}"):
            self._see_drop(name)

    def _see_drop(self, name: str) -> None:
        commit = self.by_address.get(name.rpartition(".")[0])
        if commit and name == f"{commit.address}.{commit.generation}":
            self._keep(replace(commit, dropped=True))

    def drop(self, address: str) -> None:
        """Delete a committed attempt's checkpoints, which its search no longer needs."""
        self.mark_dropped(address)
        self.files.remove(self.by_address[address].folder)

    def mark_dropped(self, address: str) -> None:
        """Say of a committed attempt's checkpoints that they are deleted, which comes next."""
        name = f"{address}.{self.by_address[address].generation}"
        self.files.create(f"dropped/{name}", {"dropped": time.time()})
        self._see_drop(name)

    def _take(self, name: str, data: dict[str, Any], dropped: set[str]) -> Commit:
        try:
            commit = Commit(**data, dropped=name in dropped)
        except TypeError as error:
            raise StoreError(
                f"The marker {self.files.where(f'commits/{name}')} is not one of this schema "
                f"({error}). Delete it to have its job done again."
            ) from None
        self._seen.add(name)
        self._keep(commit)
        return commit

    def _keep(self, commit: Commit) -> None:
        self.by_address[commit.address] = commit
        for unit in commit.units.values():
            self.by_unit[unit] = commit


def _generation(name: str) -> tuple[int, str]:
    address, _, generation = name.rpartition(".")
    if not generation.isdigit():
        raise StoreError(
            f"commits/{name} is no marker's name (address.generation). Move the file away."
        )
    return int(generation), address
