"""The store's files: what lies where, and the few ways in which files come to be.

store.json                              what this is, and its schema version
studies/<name>/<number>.json            snapshots: study, cards, resolved sources
asks/<search>/<number>.json             a trial's parameters, before it starts
attempts/<address>/<attempt>/           what one attempt made: data, checkpoints
tables/<table>/<address>-<attempt>.parquet
commits/<address>.<generation>          the marker that makes one attempt the job's outcome
dropped/<address>.<generation>          its checkpoint was deleted, having lost its search
withdrawn/<address>.<generation>        the marker counts as not there: what it names is damaged
pruned/<search>/<address>.json          a trial was stopped early, and why
failures/<address>/<attempt>.json       an attempt that ended without a commit, and why
failed/<address>/<attempt>.json         the job was given up after that attempt
resume/<address>/                       resume points of a job in flight
drivers/<driver>.json                   a driver's heartbeat
leases/<address>.<number>               a driver is at this work
stops/<run>.json                        a run is to save and stop
limits/<shape>/<device>.<size>          so much at once ran out of a device's memory
compacted/<number>.json                  a generation of large files with the same content
compacted/<number>/
logs/<job key>/<attempt>.log

A store is a folder (`sweeper.store.folder`) or lies in a bucket (`sweeper.store.bucket`): the
same files under the same names, with the same guarantees.
"""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeper.errors import StoreError
from sweeper.store.folder import DRAFT, Draft, Folder, Stored, make_folder
from sweeper.store.refusals import explained

if TYPE_CHECKING:
    from sweeper.store.bucket import Bucket
    from sweeper.store.compacted import Compacted

SCHEMA_VERSION = 1
"""Rises when an older sweeper could no longer read what this one writes. Each sweeper reads the
stores of all earlier schemas."""


class StoreFiles:
    """A store's files, by their names relative to the store. A name cannot leave the store.

    Args:
        address: A folder, or where in a bucket: ``s3://bucket/path``, ``gs://bucket/path``.
        create: Make the store, with its `store.json`, if it is not there.
        identity: What that `store.json` is to say, if it is made: that of another store, which
            this one then is a copy of. By default a new one.

    Attributes:
        address: The same in full, for people and for other processes.
        look_every: How many seconds to leave, at least, between two looks at whether something
            has changed: a look at a bucket costs time and money.

    Raises:
        StoreError: there is no store, or it has another schema, or it cannot be read or written.
            Every method raises it, if what it does is refused or fails in earnest; where that may
            pass it is an `UnreachableError`.
    """

    def __init__(
        self,
        address: str | Path,
        *,
        create: bool = False,
        identity: dict[str, Any] | None = None,
    ) -> None:
        self._place = _place_of(address)
        self.address = self._place.address
        self.look_every = self._place.look_every
        self._check(create, identity)

    def _check(self, create: bool, identity: dict[str, Any] | None) -> None:
        content = self._place.content("store.json")
        if content is None and create:
            _refuse_foreign_files(self._place)
            made = {"sweeper_store": SCHEMA_VERSION, "created": time.time()}
            self.create("store.json", identity or {**made, "id": uuid.uuid4().hex})
            content = self._place.content("store.json")
        if content is None:
            raise StoreError(
                f"There is no store in {self.address}. Run a study first (`sweeper run STUDY "
                f"--store {self.address}`), or give the address of an existing store."
            )
        try:
            version = int(json.loads(content)["sweeper_store"])
        except (ValueError, KeyError, TypeError) as error:
            raise StoreError(
                f"{self.where('store.json')} is not a readable store.json ({error}). Restore the "
                "file, or use another folder."
            ) from None
        if version > SCHEMA_VERSION:
            raise StoreError(
                f"The store in {self.address} has schema {version}, made by a newer sweeper; this "
                f"one knows schemas up to {SCHEMA_VERSION}. Upgrade sweeper, on every host that "
                "works on the store, or use another folder."
            )
        self._place.opened(content, create)

    def where(self, relative: str) -> str:
        """A name as people know it: with the store's address."""
        return self._place.where(relative)

    @cached_property
    def compacted(self) -> Compacted | None:
        """The newest generation of compacted files when first asked for; None without."""
        from sweeper.store.compacted import newest

        return newest(self)

    # -- small files, whole --------------------------------------------------------------------

    def create(self, relative: str, data: dict[str, Any]) -> bool:
        """Write JSON durably if no such file is there yet; False if there is one.

        Of many processes that try, one is told True. In a bucket those are all told True that
        wrote the very same: where an answer was lost on its way, nothing else tells whose it is.
        """
        return self.put(relative, canonical(data))

    def put(self, relative: str, content: bytes) -> bool:
        """The same with content as it is to be."""
        return self._place.create(relative, content)

    def replace(self, relative: str, data: dict[str, Any]) -> None:
        """Write JSON over what is there, whole: for what is no record, such as a heartbeat."""
        self._place.replace(relative, canonical(data))

    def read(self, relative: str) -> dict[str, Any]:
        """A JSON file of the store; it must be there."""
        return self.parsed(relative, self._place.content(relative))

    def find(self, relative: str) -> dict[str, Any] | None:
        """A JSON file of the store; None if it is not there."""
        content = self._place.content(relative)
        return None if content is None else self.parsed(relative, content)

    def read_all(self, relatives: Iterable[str]) -> list[dict[str, Any]]:
        """JSON files of the store, in the order given: from a bucket many at once."""
        names = list(relatives)
        found = zip(names, self._place.contents(names), strict=True)
        return [self.parsed(name, content) for name, content in found]

    def parsed(self, relative: str, content: bytes | None) -> dict[str, Any]:
        """What the content of a JSON file says; it must be there."""
        if content is None:
            raise StoreError(
                f"{self.where(relative)} cannot be read: No such file. Restore the file."
            )
        try:
            data: dict[str, Any] = json.loads(content)
        except ValueError as error:
            raise StoreError(
                f"{self.where(relative)} is damaged: not JSON ({error}). Delete this one file; "
                "the next run makes again what it stood for."
            ) from None
        return data

    def content(self, relative: str) -> bytes | None:
        """What is in a small file; None if it is not there."""
        return self._place.content(relative)

    def contents(self, relatives: Iterable[str]) -> Iterable[bytes | None]:
        """What is in several small files, in the order given: from a bucket many at once."""
        return self._place.contents(relatives)

    # -- what there is -------------------------------------------------------------------------

    def exists(self, relative: str) -> bool:
        """Whether there is such a file."""
        return self._place.exists(relative)

    def names(self, folder: str) -> list[str]:
        """The names in a folder, sorted, without drafts; empty if there is no such folder."""
        return self._place.names(folder)

    def sizes(self, folder: str) -> dict[str, int]:
        """All files below a folder, by their names relative to it, sorted, and their bytes."""
        return self._place.sizes(folder)

    def drafts(self) -> dict[str, int]:
        """Files that living or dead processes were writing into a folder, and their bytes."""
        return self._place.drafts()

    def there(self, folders: Iterable[str]) -> set[str]:
        """Which of some folders exist."""
        return self._place.there(folders)

    def delete(self, relative: str) -> None:
        """Delete a file, if it is there: in a bucket one request."""
        self._place.delete(relative)

    def remove(self, relative: str) -> None:
        """Delete a file or a folder, if it is there."""
        self._place.remove(relative)

    def full(self) -> str:
        """Why nothing more can be written here: a disk is full; "" if none is known to be."""
        return self._place.full()

    # -- large files ---------------------------------------------------------------------------

    def writing(self, relative: str) -> AbstractContextManager[Draft]:
        """Write a file through a local path; after the block it is in the store, whole.

        An earlier file of that name is replaced. If the block raises, nothing has changed.
        """
        return self._place.writing(relative)

    def reading(self, relative: str) -> AbstractContextManager[Path]:
        """A local path with the content that a file has now, for as long as the block lasts.

        Raises:
            FileNotFoundError: it is not there.
        """
        return self._place.reading(relative)

    def local(self, relative: str) -> Path:
        """The local path of a committed attempt's file or folder, to be read only.

        On a disk that is the file itself. From a bucket it is fetched once per node, checked
        against its marker, and kept in the node's cache.
        """
        return self._place.local(relative)

    def attempt_folder(self, address: str, attempt: str) -> Path:
        """The local folder for what one attempt makes, until `publish`; no other writes there."""
        path = self._place.workspace(f"attempts/{address}/{attempt}")
        with explained(path):
            make_folder(path)
        return path

    def workspace(self, relative: str) -> Path:
        """A local path at which a file or folder is made over a longer time, until `publish`.

        The folder above it is there.
        """
        return self._place.workspace(relative)

    def publish(self, relative: str) -> list[Stored]:
        """Make what was written in a workspace durable in the store; returns its files."""
        return self._place.publish(relative)

    def discard(self, relative: str) -> None:
        """Give up a workspace, published or not, where it takes room outside the store."""
        self._place.discard(relative)

    def sweep_drafts(self, folder: str) -> None:
        """Delete what killed processes were writing into a folder."""
        self._place.sweep_drafts(folder)

    def environment(self) -> dict[str, str]:
        """The environment variables by which other hosts reach this store. They hold secrets."""
        return self._place.environment()


def folder_of(address: str | Path) -> Path | None:
    """The folder that an address is, which need not be there; None if it is in a bucket."""
    return None if "://" in str(address) else Path(address).expanduser().absolute()


def has_store(address: str | Path) -> bool:
    """Whether there is a store, of whatever schema, at an address."""
    return _place_of(address).content("store.json") is not None


def _place_of(address: str | Path) -> Folder | Bucket:
    folder = folder_of(address)
    if folder is not None:
        return Folder(folder)
    from sweeper.store.bucket import Bucket

    return Bucket(str(address))


def _refuse_foreign_files(place: Folder | Bucket) -> None:
    """A new store is not mixed with something else."""
    names = place.everything()
    # Another driver may be making the store at this moment, or have been killed while it did.
    if "store.json" not in names and any(not name.startswith(DRAFT) for name in names):
        raise StoreError(
            f"{place.address} holds files and is not a store. Give an empty or new folder, or the "
            "address of an existing store."
        )


def canonical(data: Any) -> bytes:
    """Canonical JSON: the same bytes for the same data, on every machine. NaN is refused."""
    return _ENCODER.encode(data).encode()


_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest(data: Any) -> str:
    """The first 32 hex digits (128 bits) of the SHA-256 of canonical JSON: an address."""
    return _digest(canonical(data))


def digests(several: Mapping[str, Mapping[str, Any]], text: str) -> dict[str, str]:
    """The `digest` of each of several objects that differ in one text alone, quickly.

    Args:
        several: The objects. ``text`` is their key whose value differs, a text of letters and
            digits; all else they have in common, and it is encoded once.
        text: The key.
    """
    mark = f"<{text}>"  # no address, and in JSON the same
    before, after = canonical({**next(iter(several.values())), text: mark}).split(mark.encode())
    return {name: _digest(before + said[text].encode() + after) for name, said in several.items()}


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]
