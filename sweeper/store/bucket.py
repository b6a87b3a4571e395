"""A store in a bucket of S3 or GCS: the same ways in which files come to be as in a folder.

An upload is atomic: a file is there whole or not at all. What is written once, and by whoever is
first, is written under the condition that nothing is there (If-None-Match, ifGenerationMatch).
Large files are made and read on the node's own disk (see `sweeper.store.nodecache`).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path

from sweeper.errors import DamageError, StoreError
from sweeper.store import nodecache
from sweeper.store.folder import (
    ORDERS,
    Draft,
    Stored,
    check_inside,
    file_digest,
    stored,
    sync_file,
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

    def opened(self, identity: bytes, create: bool) -> None:
        """Learn which store this is; make sure that its service can refuse to overwrite."""
        known = hashlib.sha256(identity).hexdigest()[:16]
        self._kept = nodecache.cache_root() / known
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

    def _listed(self, prefix: str) -> dict[str, int]:
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
        return {name[len(prefix) :]: size for name, size in self._listed(prefix).items()}

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
                for name in self._listed(relative)
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

    def _draft(self) -> Path:
        """A new name on this node's disk."""
        return nodecache.workroom() / uuid.uuid4().hex

    @contextlib.contextmanager
    def writing(self, relative: str) -> Iterator[Draft]:
        place = self._draft()
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
        size = self._listed(relative).get(relative)
        if size is None:
            raise FileNotFoundError(self.where(relative))
        place = self._draft()
        try:
            self._fetch(relative, size, place)
            yield place
        finally:
            place.unlink(missing_ok=True)

    def _fetch(self, relative: str, size: int, place: Path) -> None:
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
        there = self._listed(relative)
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
        kept = self._kept / relative.replace("/", "+")
        if not nodecache.used(kept):
            with nodecache.alone(kept):
                if not nodecache.used(kept):
                    self._keep(relative, kept)
        return kept

    def _keep(self, relative: str, kept: Path) -> None:
        """Fetch a committed file or folder, check it against its marker, and keep it."""
        draft = self._draft()
        try:
            with nodecache.explained(draft):
                marker, files = self._vouched(relative)
                nodecache.make_room(sum(one.size for one in files))
                for one in files:
                    place = Path(f"{draft}{one.name[len(relative) :]}")
                    self._fetch_checked(marker, one, place)
                nodecache.keep(draft, kept)
        finally:
            nodecache.away(draft)

    def _fetch_checked(self, marker: str, one: Stored, place: Path) -> None:
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._fetch(one.name, one.size, place)
        except (FileNotFoundError, NoSuchRange):
            raise self._damaged(marker, one.name, "is gone or too short") from None
        if file_digest(place) != one.sha256:
            raise self._damaged(marker, one.name, "has another SHA-256")
        sync_file(place)

    def _vouched(self, relative: str) -> tuple[str, list[Stored]]:
        """An attempt's marker, and what it says of the files at and below a name."""
        _, address, attempt, *_ = [*relative.split("/"), "", ""]
        for name in self._listed(f"commits/{address}."):
            try:
                marker = json.loads(self.content(name) or b"")
                found = [
                    Stored(file, said["size"], said["sha256"])
                    for file, said in marker["files"].items()
                    if file == relative or file.startswith(f"{relative}/")
                ]
                mine = marker["attempt"] == attempt
            except (ValueError, KeyError, TypeError, AttributeError):
                told = f"The marker {self.where(name)} is damaged."
                raise DamageError(name.removeprefix("commits/"), told) from None
            if found and mine:
                return name.removeprefix("commits/"), found
        raise StoreError(
            f"Only what a marker in {self.where('commits')} names can be fetched, and none names "
            f"{self.where(relative)}. Restore the marker, or start the run again: it makes anew "
            "what it lacks."
        )

    def _damaged(self, marker: str, name: str, how: str) -> DamageError:
        return DamageError(
            marker,
            f"{self.where(name)} must be what was committed, and {how}. It is made again; "
            "`sweeper store verify` looks for more.",
        )
