"""A store in a bucket of S3 or GCS: the same ways in which files come to be as in a folder.

An upload is atomic: a file is there whole or not at all. What is written once, and by whoever is
first, is written under the condition that nothing is there (If-None-Match, ifGenerationMatch).
Large files are made and read on the node's own disk (see `sweeper.store.nodecache`).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path

from sweeper.errors import StoreError
from sweeper.store import nodecache
from sweeper.store.fetched import Fetched
from sweeper.store.folder import (
    ORDERS,
    Draft,
    Stored,
    check_inside,
    stored,
)
from sweeper.store.refusals import LEAST_FREE, full_disk
from sweeper.store.services import SERVICES, Client, NoSuchRange

PART = 32 << 20
"""Bytes that are fetched in one request."""


class Bucket:
    """The ways in which files come to be in a bucket; `StoreFiles` says what each method does."""

    look_every = 5.0

    def __init__(self, address: str) -> None:
        scheme, _, path = address.partition("://")
        self._root = path.rstrip("/")
        self.address = f"{scheme}://{self._root}"
        bad = {"", ".", ".."}.intersection(self._root.split("/")) or set("@?#*[]") & set(path)
        if scheme not in SERVICES or bad:
            raise StoreError(
                "A store is a folder, s3://bucket/path or gs://bucket/path (credentials are given "
                f"by the environment, not in the address); {scheme}://... is none of them."
            )
        self._call = Client(scheme, self.address)
        self._kept = Path()
        self._fetched = Fetched(self)

    def opened(self, identity: bytes, create: bool) -> None:
        """Learn which store this is; make sure that its service can refuse to overwrite."""
        known = hashlib.sha256(identity).hexdigest()[:16]
        self._kept = self._fetched.root = nodecache.cache_root() / known
        if create and self._create("store.json", identity):
            raise StoreError(
                f"A store needs a service that does not overwrite on request (If-None-Match); "
                f"the one of {self.address} did. Update it, or use a folder."
            )

    def everything(self) -> list[str]:
        """The names in the store's own folder: one is enough to know that it is not empty."""
        try:
            found = self._call("ls", self._root, detail=False)
        except FileNotFoundError:
            return []
        return [path.rstrip("/").rsplit("/", 1)[-1] for path in found if path != self._root]

    def where(self, relative: str) -> str:
        return f"{self.address}/{relative}"

    def environment(self) -> dict[str, str]:
        return self._call.environment

    def _path(self, relative: str) -> str:
        check_inside(relative, self.address)
        return f"{self._root}/{relative}"

    # -- small files, whole --------------------------------------------------------------------

    def create(self, relative: str, content: bytes) -> bool:
        # A try whose answer was lost may have written it: then what is there is this content.
        return self._create(relative, content) or self.content(relative) == content

    def _create(self, relative: str, content: bytes) -> bool:
        with self._no_bucket():
            try:
                self._call("pipe_file", self._path(relative), content, mode="create")
            except FileExistsError:
                return False
        return True

    def replace(self, relative: str, content: bytes) -> None:
        with self._no_bucket():
            self._call("pipe_file", self._path(relative), content)

    @contextlib.contextmanager
    def _no_bucket(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise StoreError(self._call.message("refused", "NoSuchBucket")) from None

    def content(self, relative: str) -> bytes | None:
        try:
            return bytes(
                self._call("cat_file", self._path(relative), **self._call.service.reading)
            )
        except FileNotFoundError:
            return None

    def contents(self, relatives: Iterable[str]) -> Iterator[bytes | None]:
        return self._call.each(self.content, relatives, at_once=64)

    # -- what there is -------------------------------------------------------------------------

    def exists(self, relative: str) -> bool:
        try:
            # One request, where asking for the file's properties is two if it is not there.
            self._call("cat_file", self._path(relative), start=0, end=1)
        except NoSuchRange:
            return True
        except FileNotFoundError:
            return False
        return True

    def listed(self, prefix: str) -> dict[str, int]:
        """Relative names that begin so, and their bytes: one LIST per thousand names."""
        check_inside(prefix, self.address)
        try:
            found = self._call("find", self._root, prefix=prefix, detail=True)
        except FileNotFoundError:
            return {}
        start = len(self._root) + 1
        return {
            name[start:]: int(info["size"])
            for name, info in sorted(found.items())
            if not name.endswith("/")  # some consoles make such a file for a folder
        }

    def sizes(self, folder: str) -> dict[str, int]:
        prefix = f"{folder}/" if folder else ""
        return {name[len(prefix) :]: size for name, size in self.listed(prefix).items()}

    def drafts(self) -> dict[str, int]:
        return {}  # they lie on the hosts' own disks

    def names(self, folder: str) -> list[str]:
        if not folder:
            return sorted(self.everything())
        return sorted({name.split("/", 1)[0] for name in self.sizes(folder)})

    def there(self, folders: Iterable[str]) -> set[str]:
        several = list(folders)
        found = self._call.each(self.sizes, several)
        return {folder for folder, files in zip(several, found, strict=True) if files}

    def delete(self, relative: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._call("rm_file", self._path(relative))

    def remove(self, relative: str) -> None:
        # A service may fail to delete some of many files without saying so: look again.
        for _ in range(3):
            found = [
                name
                for name in self.listed(relative)
                if name == relative or name.startswith(f"{relative}/")
            ]
            if not found:
                return
            with contextlib.suppress(FileNotFoundError):
                self._call("rm", [self._path(name) for name in found])
        raise StoreError(
            f"{self.where(found[0])} could not be deleted: the service keeps it. See that its "
            "credentials may delete, then start the same run again."
        )

    def full(self) -> str:
        try:
            room = nodecache.workroom()
        except StoreError:  # what failed to be written says why
            return ""
        free = shutil.disk_usage(room).free
        return "" if free >= LEAST_FREE else full_disk(room, nodecache.cache_name())

    # -- large files ---------------------------------------------------------------------------

    def draft(self) -> Path:
        """A new name on this node's disk."""
        return nodecache.workroom() / uuid.uuid4().hex

    @contextlib.contextmanager
    def writing(self, relative: str) -> Iterator[Draft]:
        place = self.draft()
        draft = Draft(place)
        try:
            with nodecache.explained(place):
                yield draft
                draft.stored = stored(relative, place)
            self._send(place, relative)
        finally:
            place.unlink(missing_ok=True)

    def _send(self, path: Path, relative: str) -> None:
        with self._no_bucket():
            options = self._call.service.sending
            self._call("put_file", str(path), self._path(relative), **options)

    @contextlib.contextmanager
    def reading(self, relative: str) -> Iterator[Path]:
        size = self.listed(relative).get(relative)
        if size is None:
            raise FileNotFoundError(self.where(relative))
        place = self.draft()
        try:
            self.fetch(relative, size, place)
            yield place
        finally:
            place.unlink(missing_ok=True)

    def fetch(self, relative: str, size: int, place: Path) -> None:
        """Download a file in parts, each tried again by itself."""
        with nodecache.explained(place), place.open("wb") as stream:
            stream.truncate(size)

            def part(start: int) -> None:
                end = min(start + PART, size)
                data = self._call("cat_file", self._path(relative), start=start, end=end)
                os.pwrite(stream.fileno(), data, start)

            for _ in self._call.each(part, range(0, size, PART), at_once=4):
                pass

    def workspace(self, relative: str) -> Path:
        check_inside(relative, self.address)
        path = nodecache.workroom() / self._kept.name / relative
        with nodecache.explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def publish(self, relative: str) -> list[Stored]:
        path = self.workspace(relative)
        above = nodecache.workroom() / self._kept.name
        made = [
            stored(inner.relative_to(above).as_posix(), inner)
            for inner in [path, *sorted(path.rglob("*"))]
            if inner.is_file() and inner.name != ORDERS
        ]
        for _ in self._call.each(lambda one: self._send(above / one.name, one.name), made, 8):
            pass
        there = self.listed(relative)
        for one in made:
            if there.get(one.name) != one.size:
                raise StoreError(
                    f"{self.where(one.name)} must have {one.size} bytes after its upload, and has "
                    f"{there.get(one.name)}. Something else writes there: look for it."
                )
        self.discard(relative)
        return made

    def discard(self, relative: str) -> None:
        nodecache.away(self.workspace(relative))

    def sweep_drafts(self, folder: str) -> None:
        """Nothing: an upload that was not finished leaves no file."""

    # -- the node's cache ----------------------------------------------------------------------

    def local(self, relative: str) -> Path:
        check_inside(relative, self.address)
        return self._fetched.local(relative)
