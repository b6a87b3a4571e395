"""Taking files from one store to another: many at once, in bounded memory, hashes compared."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock

from sweeper.store.files import StoreFiles, folder_of
from sweeper.store.grouping import Item, in_groups

Listener = Callable[[int, int], None]
"""Called with the bytes that were taken, and with how many there are to take."""

_SMALL = 4 << 20
"""Bytes: files up to this size pass through memory, `_AT_ONCE` of them at once. Larger ones pass
through the disk, between folders `_LARGE_AT_ONCE`; to and from a bucket one by one, of which its
client has several parts in memory."""
_AT_ONCE = 16
_LARGE_AT_ONCE = 2
_RECORDS = 1000

GONE = "it is not there"
CHANGED = "its content is not what the marker says"


@dataclass(frozen=True)
class Wanted:
    """A file to take: its name, its bytes, and its SHA-256 where something vouches for it."""

    name: str
    size: int
    sha256: str = ""


class Transfer:
    """Takes files from one store to another.

    Args:
        source: Where they are.
        target: Where they are to be, under the same names.
        listener: Hears how much was taken.

    Attributes:
        total: Bytes that there are to take, as far as is known: the caller counts them in.
        files: How many files were taken, and ``bytes`` how many bytes.
    """

    def __init__(self, source: StoreFiles, target: StoreFiles, listener: Listener) -> None:
        self.source = source
        self.target = target
        self.total = 0
        self.files = 0
        self.bytes = 0
        self._done = 0
        self._listener = listener
        self._lock = Lock()

    def take(self, wanted: Iterable[Wanted]) -> dict[str, str]:
        """Take files, over what is there; returns what is wrong with some: name -> problem.

        A file that is not what something vouches for is not in the target afterwards.

        Raises:
            StoreError: one of the stores cannot be read or written.
        """
        several = list(wanted)
        small = [one for one in several if one.size <= _SMALL]
        large = [one for one in several if one.size > _SMALL]
        problems: dict[str, str] = {}
        folders = folder_of(self.source.address) and folder_of(self.target.address)
        for part, at_once in ((small, _AT_ONCE), (large, _LARGE_AT_ONCE if folders else 1)):
            with ThreadPoolExecutor(at_once) as pool:
                told = pool.map(self._take, part)
                problems |= {one.name: said for one, said in zip(part, told, strict=True) if said}
        return problems

    def _take(self, one: Wanted) -> str:
        problem = self._small(one) if one.size <= _SMALL else self._large(one)
        self._count(one.size, not problem)
        return problem

    def _small(self, one: Wanted) -> str:
        content = self.source.content(one.name)
        if content is None:
            return GONE
        if one.sha256 and hashlib.sha256(content).hexdigest() != one.sha256:
            return CHANGED
        with self.target.writing(one.name) as draft:
            draft.path.write_bytes(content)
        return ""

    def _large(self, one: Wanted) -> str:
        try:
            with (
                self.source.reading(one.name) as path,
                path.open("rb") as stream,
                self.target.writing(one.name) as draft,
                draft.path.open("wb") as made,
            ):
                shutil.copyfileobj(stream, made, 1 << 20)
        except FileNotFoundError:
            return GONE
        if one.sha256 and draft.stored.sha256 != one.sha256:
            self.target.delete(one.name)  # no marker names it here yet
            return CHANGED
        return ""

    def create(self, records: Sequence[str]) -> None:
        """Take small files that are written once and never change; one that is there stays."""
        for names in batches(records):
            read = zip(names, self.source.contents(names), strict=True)
            self.put({name: content for name, content in read if content is not None})

    def put(self, records: Mapping[str, bytes]) -> None:
        """Create small files with a content, many at once; one that is there stays."""
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            made = list(pool.map(self.target.put, records, records.values()))
        for content, new in zip(records.values(), made, strict=True):
            self._count(len(content), new)

    def resume(self, names: Sequence[str], sizes: Mapping[str, int]) -> None:
        """Take the resume points of a training: files of these names and sizes (bytes).

        Their manifests are read first and written last: tensors that a worker has replaced
        meanwhile have not the hash that a manifest says, and who resumes sees that.
        """
        manifests = [name for name in names if name.endswith(".json")]
        read = zip(manifests, self.source.contents(manifests), strict=True)
        said = {name: content for name, content in read if content is not None}
        others = [Wanted(name, sizes[name]) for name in names if name not in manifests]
        if said and not self.take(others):
            self.put(said)

    def _count(self, size: int, new: bool) -> None:
        with self._lock:
            self._done += size
            self.files += new
            self.bytes += size * new
            self._listener(self._done, max(self.total, self._done))


def batches(records: Iterable[Item]) -> Iterator[list[Item]]:
    """Small files, or what is one each, in groups of which the contents fit into memory."""
    return in_groups(records, _RECORDS)
