"""Whether rows belong to the marker that brought them, and what they refer to is there."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sweeper.errors import StoreError, UnreachableError
from sweeper.store import tables
from sweeper.store.files import StoreFiles
from sweeper.store.folder import file_digest
from sweeper.store.markers import Commit
from sweeper.store.records import MEND, RESTORE, Fault, Records

Place = tuple[str, str, str]
"""Unit, split and language."""

_CHECKPOINT = re.compile(r"attempts/([0-9a-f]{32})/([^/]+)/")


@dataclass
class Rows:
    """What the tables of one commit refer to, and what is wrong with them in themselves."""

    parents: list[str] = field(default_factory=list)
    parameters: dict[str, Any] = field(default_factory=dict)
    trial: int | None = None
    checkpoints: set[str] = field(default_factory=set)
    counts: Counter[str] = field(default_factory=Counter)
    faults: list[Fault] = field(default_factory=list)


def rows_of(files: StoreFiles, commit: Commit) -> Rows:
    """Read the tables of a commit, one batch of rows at a time."""
    found = Rows()
    for check in (_trials, _scores):
        try:
            for name, problem in check(files, commit, found):
                found.faults.append(Fault(name, problem, commit.name, commit.job))
        except (StoreError, ValueError) as error:
            table = check.__name__.strip("_")
            name = commit.table(table) or f"commits/{commit.name}"
            known = not isinstance(error, UnreachableError) and _can_be_read(files, name)
            withdraws, remedy = (commit.name, "") if known else ("", MEND)
            found.faults.append(Fault(name, str(error), withdraws, commit.job, remedy))
    return found


def _can_be_read(files: StoreFiles, name: str) -> bool:
    """Whether a file is within reach: else what it holds is unknown, and no reason to withdraw."""
    try:
        with files.reading(name) as path:
            file_digest(path)
            return True
    except (OSError, StoreError):
        return False


def _trials(files: StoreFiles, commit: Commit, found: Rows) -> Iterator[tuple[str, str]]:
    name = commit.table("trials")
    if name is None:
        yield f"commits/{commit.name}", "it names no row of trials"
        return
    rows = tables.read_one(files, "trials", name).to_pylist()
    found.counts["rows"] += len(rows)
    if len(rows) != 1:
        yield name, f"it has {len(rows)} rows, and an attempt has one"
        return
    (row,) = rows
    said = {**_owner(commit), "kind": commit.kind, "status": commit.outcome["status"]}
    wrong = [column for column, value in said.items() if row[column] != value]
    if wrong:
        yield name, f"its row is of another attempt: {wrong[0]} is {row[wrong[0]]!r}"
    found.parents = json.loads(row["parents"] or "[]")
    found.parameters = json.loads(row["parameters"] or "{}")
    found.trial = row["trial"]


def _scores(files: StoreFiles, commit: Commit, found: Rows) -> Iterator[tuple[str, str]]:
    name = commit.table("scores")
    if name is None:
        if commit.kind == "score":
            yield f"commits/{commit.name}", "it names no scores"
        return
    rows = tables.read_one(files, "scores", name).to_pylist()
    found.counts["rows"] += len(rows)
    found.checkpoints = {row["checkpoint"] for row in rows if row["checkpoint"]}
    said = _owner(commit)
    if any(row[column] != value for row in rows for column, value in said.items()):
        yield name, "it has rows of another attempt"
    units = set(commit.units.values())
    if {row["unit"] for row in rows} != units:
        yield name, "its units are not those of its marker"
    examples = commit.table("examples")
    if examples is None:
        return
    counted, strange = _counted(files, examples, said)
    found.counts["rows"] += sum(counted.values())
    if strange:
        yield examples, "it has rows of another attempt"
    for place in sorted({_place(row) for row in rows} | set(counted)):
        stated = {row["n"] for row in rows if _place(row) == place}
        if stated != {counted[place]}:
            what, said_of = "/".join(place[1:]), sorted(stated) or "nothing"
            yield examples, f"it has {counted[place]} examples of {what}, its scores say {said_of}"


def _owner(commit: Commit) -> dict[str, str]:
    return {"job": commit.job, "address": commit.address, "attempt": commit.attempt}


def _place(row: Mapping[str, Any]) -> Place:
    return row["unit"], row["split"], row["language"]


def _counted(
    files: StoreFiles, name: str, owner: Mapping[str, str]
) -> tuple[Counter[Place], bool]:
    """How many examples there are per place, and whether any is of another attempt."""
    counted: Counter[Place] = Counter()
    strange = False
    places = ["unit", "split", "language"]
    try:
        # Examples are the bulk of a store: never all of a file at once.
        with files.reading(name) as path:
            for batch in pq.ParquetFile(path).iter_batches(columns=[*owner, *places]):
                for column, value in owner.items():
                    strange |= not pc.all(pc.equal(batch[column], value)).as_py()
                groups = pa.table(batch).group_by(places).aggregate([([], "count_all")])
                for row in groups.to_pylist():
                    counted[_place(row)] += row["count_all"]
    except (pa.ArrowException, OSError, KeyError) as error:
        raise StoreError(f"{name} cannot be read as a table of examples ({error}).") from None
    return counted, strange


def faults(
    records: Records, counting: Iterable[Commit], rows: Mapping[str, Rows]
) -> Iterator[Fault]:
    """References that lead nowhere, of commits whose tables could be read."""
    known = records.addresses
    attempts = {(one.address, one.attempt) for one in records.named.values() if one}
    unread = {name.rpartition(".")[0] for name, one in records.named.items() if one is None}
    for commit in counting:
        found = rows.get(commit.name)
        if found is None:
            continue
        table = commit.table("trials") or ""
        for parent in found.parents:
            if parent not in known:
                # The commit is none the worse: that its parent is lost is what is to be told.
                job = records.job_of(f"{parent}.0")
                problem = f"its parent {f'{job} ({parent})' if job else parent} has no marker"
                yield Fault(table, problem, f"{parent}.0", commit.job)
        for checkpoint in found.checkpoints:
            match = _CHECKPOINT.match(checkpoint)
            if match and match.groups() not in attempts and match[1] not in unread:
                problem = f"no marker names the attempt that made its checkpoint {checkpoint}"
                yield Fault(commit.table("scores") or "", problem, commit.name, commit.job)
        if commit.kind == "tune":
            yield from _unasked(records, commit, found)
    for name in sorted(records.dropped - set(records.named)):
        yield Fault(
            f"dropped/{name}", "there is no such marker, and the next would count as dropped", name
        )


def _unasked(records: Records, commit: Commit, found: Rows) -> Iterator[Fault]:
    """A trial whose parameters nobody asked for, be it under another number in a merged store."""
    search = commit.job.removeprefix("tune/").rpartition("/trial=")[0]
    own = found.parameters
    asked = records.asked.get(search, [])
    if any(all(own.get(key) == value for key, value in one.items()) for one in asked):
        return
    problem = f"no ask of trial {found.trial} of {search} has its parameters"
    yield Fault(commit.table("trials") or "", problem, "", commit.job, _ASK)


_ASK = (
    "Put asks/ back from a copy; without it a search by `tpe` may draw other points than these, "
    "and train them."
)


def failure_faults(files: StoreFiles, failed_tables: Mapping[str, str]) -> Iterator[Fault]:
    """Records of failed attempts whose row is not there."""
    for table, path in failed_tables.items():
        try:
            count = tables.read_one(files, "trials", table).num_rows
        except StoreError as error:
            yield Fault(path, str(error), remedy=RESTORE)
            continue
        if count != 1:
            yield Fault(path, f"its table {table} has {count} rows", remedy=RESTORE)


def resting(
    rows: Mapping[str, Rows | None], counting: Iterable[Commit], names: Iterable[str]
) -> dict[str, int]:
    """Marker -> how many commits were made from its checkpoint, directly or not."""
    children: dict[str, set[str]] = {}
    for commit in counting:
        found = rows.get(commit.name)
        for parent in found.parents if found else ():
            children.setdefault(parent, set()).add(commit.address)
    counts = {}
    for name in names:
        seen: set[str] = set()
        todo = [name.rpartition(".")[0]]
        while todo:
            new = children.get(todo.pop(), set()) - seen
            seen |= new
            todo += new
        if seen:
            counts[name] = len(seen)
    return counts
