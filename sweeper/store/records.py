"""The small files of a store, read one by one so that a damaged one is a finding and no error."""

from __future__ import annotations

import contextlib
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sweeper.errors import StoreError
from sweeper.store import tables
from sweeper.store.files import StoreFiles, digest
from sweeper.store.markers import Commit, parsed

_NAME = re.compile(r"[0-9a-f]{32}\.[0-9]+")

MOVE = "Move it away: a store has no such file."
RESTORE = "Put it back from a copy, or delete this one file."
MEND = "Mend its permissions, the disk or the network, and verify again."
_NO_JSON = "it is no JSON"


@dataclass(frozen=True)
class Fault:
    """Something of a store that is damaged, or breaks a rule.

    ``withdraws`` names the marker that a repair withdraws; where no repair helps it is empty, and
    ``remedy`` says what a person can do.
    """

    name: str
    problem: str
    withdraws: str = ""
    job: str = ""
    remedy: str = ""


class Records:
    """Markers, records about them, asks, snapshots, failures and early stops.

    Attributes:
        named: Marker -> what it says; None if it cannot be read, or if there is only a record
            that it was withdrawn.
        asked: Search key -> the parameters that its trials were asked for with, in all its spaces.
        failed_tables: The tables of failed attempts -> the file that names them.
        deaths: ``<address>/<attempt>`` of a failed or pruned attempt -> what was recorded of it.
        faults: What is wrong with these files themselves.
    """

    def __init__(self, files: StoreFiles) -> None:
        self.files = files
        self.counts: Counter[str] = Counter()
        self.faults: list[Fault] = []
        self.withdrawn = set(files.names("withdrawn"))
        self.dropped = set(files.names("dropped"))
        self.named: dict[str, Commit | None] = {}
        for name in files.names("commits"):
            self._marker(name)
        for name in sorted(self.withdrawn):
            self.named.setdefault(name, None)
            if not _NAME.fullmatch(name):
                self._add(f"withdrawn/{name}", "it bears no marker's name", MOVE)
        self.deaths: dict[str, dict[str, Any]] = {}
        self.asked = self._asks()
        self.failed_tables = dict(self._failures())
        self._snapshots()
        self.counts["withdrawn"] = len(self.withdrawn)
        self.counts["dropped"] = len(self.dropped)

    @property
    def addresses(self) -> set[str]:
        """Every address that has or had a marker."""
        return {name.rpartition(".")[0] for name in self.named}

    def job_of(self, marker: str) -> str:
        """Whose a marker is, be it damaged or gone; "" if nothing says so."""
        commit = self.named.get(marker)
        return commit.job if commit else job_of_address(self.files, marker.rpartition(".")[0])

    def counting(self) -> list[Commit]:
        """The commits that readers see, dropped ones marked: the newest whole one per address."""
        newest: dict[str, Commit] = {}
        for name, commit in self.named.items():
            if commit is None or name in self.withdrawn or _problem(commit):
                continue
            known = newest.get(commit.address)
            if known is None or known.generation < commit.generation:
                newest[commit.address] = commit
        return [replace(one, dropped=one.name in self.dropped) for one in newest.values()]

    def _add(self, name: str, problem: str, remedy: str) -> None:
        self.faults.append(Fault(name, problem, remedy=remedy))

    def _marker(self, name: str) -> None:
        self.counts["markers"] += 1
        if not _NAME.fullmatch(name):
            self._add(f"commits/{name}", "it bears no marker's name", MOVE)
            return
        self.named[name] = None
        try:
            content = self.files.content(f"commits/{name}")
        except StoreError as error:  # which says nothing of what it holds
            self._add(f"commits/{name}", str(error), MEND)
            return
        if content is None:  # deleted since it was listed
            return
        job = ""
        try:
            commit = parsed(name, json.loads(content))
            self.named[name], problem, job = commit, _problem(commit), commit.job
        except ValueError:
            problem = _NO_JSON
        except StoreError as error:
            problem = str(error)
        if problem and name not in self.withdrawn:
            self.faults.append(Fault(f"commits/{name}", problem, name, job))

    def _asks(self) -> dict[str, list[dict[str, Any]]]:
        found: dict[str, list[dict[str, Any]]] = {}
        for path in self._below("asks"):
            data = self._json(path, {"search": str, "number": int, "parameters": dict})
            if data and not path.endswith(f"/{data['number']}.json"):
                self._add(path, f"it is the ask of trial {data['number']}", RESTORE)
            elif data:
                found.setdefault(data["search"], []).append(data["parameters"])
        return found

    def _failures(self) -> Iterator[tuple[str, str]]:
        for path in self._below("failures"):
            data = self._json(path, {"table": str, "job": str, "message": str})
            if data:
                self.deaths[path.removeprefix("failures/").removesuffix(".json")] = data
                yield data["table"], path
        for path in self._below("failed"):
            self._json(path, {"job": str, "message": str})
        for path in self._below("pruned"):
            self._json(path, {"job": str, "values": list, "why": str})

    def _snapshots(self) -> None:
        newest = {path.rpartition("/")[0]: path for path in self._below("studies")}.values()
        for path in newest:  # nobody reads the others any more
            self._json(path, {"study": str, "cards": dict, "resolved": dict})

    def _below(self, top: str) -> Iterator[str]:
        for folder in self.files.names(top):
            for name in self.files.names(f"{top}/{folder}"):
                self.counts[top] += 1
                yield f"{top}/{folder}/{name}"

    def _json(self, path: str, keys: Mapping[str, type]) -> dict[str, Any] | None:
        """A JSON file with (at least) these keys; else a fault and None."""
        try:
            data: Any = json.loads(self.files.content(path) or b"")
        except ValueError:
            self._add(path, _NO_JSON, RESTORE)
            return None
        except StoreError as error:
            self._add(path, str(error), MEND)
            return None
        for key, kind in keys.items():
            if not isinstance(data, dict) or not isinstance(data.get(key), kind):
                self._add(path, f"it has no {key}", RESTORE)
                return None
        found: dict[str, Any] = data
        return found


def job_of_attempt(files: StoreFiles, address: str, attempt: str) -> str:
    """The job that an attempt was made for, by its orders or its row; "" if neither is there."""
    with contextlib.suppress(StoreError):
        orders = files.find(f"attempts/{address}/{attempt}/job.json")
        if orders and isinstance(orders.get("key"), str):
            return str(orders["key"])
    with contextlib.suppress(StoreError):
        rows = tables.read_one(files, "trials", f"tables/trials/{address}-{attempt}.parquet")
        return str(rows["job"][0]) if rows.num_rows else ""
    return ""


def job_of_address(files: StoreFiles, address: str) -> str:
    """The job that some attempt at an address was made for; "" if no attempt is left."""
    attempts = files.names(f"attempts/{address}")
    if not attempts:  # its files may be gone, and its rows there
        rows = [name for name in files.names("tables/trials") if name.startswith(f"{address}-")]
        attempts = [name.removesuffix(".parquet").partition("-")[2] for name in rows]
    return next((job for a in attempts if (job := job_of_attempt(files, address, a))), "")


def _problem(commit: Commit) -> str:
    """What is wrong with a marker that has the schema; "" if nothing is."""
    units = commit.units
    made_of = units["all"] if list(units) == ["all"] else digest(sorted(units.values()))
    if made_of != commit.address:
        return "its units are not those of its address"
    tables = re.compile(rf"tables/[a-z]+/{commit.address}-{re.escape(commit.attempt)}\.parquet")
    for name in commit.files:
        inside = name.startswith(f"{commit.folder}/") and ".." not in name.split("/")
        if not inside and not tables.fullmatch(name):
            return f"it names {name}, which is no file of its attempt"
    return ""
