"""The commit: one exclusive marker per job that names an attempt, its files and its outcome."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sweeper.errors import StoreError
from sweeper.store.files import StoreFiles, canonical
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
    def name(self) -> str:
        """Its marker's, in ``commits/``."""
        return f"{self.address}.{self.generation}"

    @property
    def content(self) -> bytes:
        """What its marker says: the very bytes that `commit` writes."""
        said = dict(vars(self))
        del said["dropped"]
        return canonical(said)

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


@dataclass(frozen=True)
class Withdrawal:
    """A marker that counts as not there: which, why, and since when (seconds since 1970).

    ``commit`` is what it says; None where it cannot be read, or is gone.
    """

    marker: str
    why: str
    withdrawn: float
    commit: Commit | None


def withdrawals(files: StoreFiles) -> list[Withdrawal]:
    """Every marker that was withdrawn, in order of time."""
    names = files.names("withdrawn")
    records = files.read_all(f"withdrawn/{name}" for name in names)
    markers = files.contents(f"commits/{name}" for name in names)
    found = [
        Withdrawal(name, str(said["why"]), said["withdrawn"], _readable(files, name, content))
        for name, said, content in zip(names, records, markers, strict=True)
    ]
    return sorted(found, key=lambda one: one.withdrawn)


def _readable(files: StoreFiles, name: str, content: bytes | None) -> Commit | None:
    try:
        return None if content is None else parsed(name, files.parsed(f"commits/{name}", content))
    except StoreError:  # for which it was withdrawn
        return None


def withdraw(files: StoreFiles, name: str, why: str) -> bool:
    """Make a marker (``<address>.<generation>``) count as not there; False if it did already.

    Nothing is deleted: what it stood for is made again, under the next generation.
    """
    return files.create(f"withdrawn/{name}", {"why": why, "withdrawn": time.time()})


_TYPES: dict[str, Any] = {
    "address": str, "generation": int, "attempt": str, "job": str, "kind": str, "units": dict,
    "files": dict, "outcome": dict, "committed": (int, float),
}  # fmt: skip


_ATTEMPT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


def parsed(name: str, data: Any) -> Commit:
    """What a marker of that name says; `StoreError` unless it has the schema and fits its name."""
    what = f"The marker commits/{name} is damaged"
    if not isinstance(data, dict) or set(data) != set(_TYPES):
        raise StoreError(f"{what}: it has not the keys of a marker.")
    for key, kind in _TYPES.items():
        if not isinstance(data[key], kind):
            raise StoreError(f"{what}: its {key} is {data[key]!r}.")
    commit = Commit(**data)
    if commit.name != name:
        raise StoreError(f"{what}: it says that it is {commit.name}.")
    if not _ATTEMPT.fullmatch(commit.attempt):  # it is a folder's name, which may be deleted
        raise StoreError(f"{what}: its attempt is {commit.attempt!r}.")
    for file, said in commit.files.items():
        if not isinstance(said, dict) or set(said) != {"size", "sha256"}:
            raise StoreError(f"{what}: it has no size and hash of {file}.")
    if not all(isinstance(unit, str) for unit in commit.units.values()):
        raise StoreError(f"{what}: its units are {commit.units!r}.")
    if not {"status", "message", "selections"} <= set(commit.outcome):
        raise StoreError(f"{what}: its outcome is {commit.outcome!r}.")
    return commit
