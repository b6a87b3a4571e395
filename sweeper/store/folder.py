"""A store in a folder, on a local disk or NFS: exclusive creation, and files that are whole."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import itertools
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from sweeper.errors import StoreError
from sweeper.store.refusals import LEAST_FREE, explained, full_disk, unread

DRAFT = ".draft-"

_PART = 64
"""Files that one thread reads, one after another."""

ORDERS = "job.json"
"""What a driver puts into an attempt's folder: no file that the attempt made."""

LEFT_OVER = 3600.0
"""Seconds after which a draft belongs to no living process: a living one writes for minutes."""


@dataclass(frozen=True)
class Stored:
    """A file of the store: its relative name, size (bytes) and SHA-256 (hex)."""

    name: str
    size: int
    sha256: str


def stored(name: str, path: Path) -> Stored:
    """What is told of a file that lies at ``path`` and is to bear ``name`` in the store."""
    return Stored(name, path.stat().st_size, file_digest(path))


class Draft:
    """A file in the making: write to ``path``; ``stored`` says what became of it, afterwards."""

    stored: Stored

    def __init__(self, path: Path) -> None:
        self.path = path


class Folder:
    """The ways in which files come to be in a folder; `StoreFiles` says what each method does."""

    look_every = 0.0

    def __init__(self, root: Path) -> None:
        self.root = root
        self.address = str(root)

    def path(self, relative: str) -> Path:
        """The path of a file or folder of the store. It cannot leave the store's folder."""
        check_inside(relative, self.address)
        return self.root / relative

    def where(self, relative: str) -> str:
        return str(self.path(relative))

    def opened(self, identity: bytes, create: bool) -> None:
        """Nothing more to learn."""

    def everything(self) -> list[str]:
        """The names in the store's own folder, drafts too."""
        if self.root.is_file():
            raise StoreError(f"A store is a folder, and {self.root} is a file. Give another path.")
        return [path.name for path in self.root.iterdir()] if self.root.is_dir() else []

    def environment(self) -> dict[str, str]:
        return {}

    # -- small files, whole --------------------------------------------------------------------

    def create(self, relative: str, content: bytes) -> bool:
        # The content is complete before the name exists: a hard link is exclusive on local disks
        # and on NFS, where opening with O_EXCL and then writing would show half a file.
        path = self.path(relative)
        with self._draft(path, content) as draft:
            try:
                os.link(draft, path)
            except FileExistsError:
                return False
            sync_folder(path.parent)
        return True

    def replace(self, relative: str, content: bytes) -> None:
        path = self.path(relative)
        with self._draft(path, content) as draft:
            draft.replace(path)

    @contextlib.contextmanager
    def _draft(self, path: Path, content: bytes) -> Iterator[Path]:
        """The content of a file to be, durable, under a name that no reader takes."""
        with _new(path) as draft:
            with draft.open("xb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            yield draft

    def content(self, relative: str) -> bytes | None:
        # Without `pathlib`, which takes longer than the reading: a store has thousands of these.
        check_inside(relative, self.address)
        path = f"{self.address}/{relative}"
        try:
            with open(path, "rb", buffering=0) as stream:  # noqa: PTH123
                return stream.read()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise unread(Path(path), error) from None

    def contents(self, relatives: Iterable[str]) -> Iterator[bytes | None]:
        # Reads of a cold disk, and of NFS all the more, are waiting: they wait together.
        names = list(relatives)
        parts = [names[at : at + _PART] for at in range(0, len(names), _PART)]
        with ThreadPoolExecutor(16) as pool:
            read = list(pool.map(lambda part: [*map(self.content, part)], parts))
        return itertools.chain.from_iterable(read)

    # -- what there is -------------------------------------------------------------------------

    def exists(self, relative: str) -> bool:
        path = self.path(relative)
        try:
            return path.exists()
        except OSError as error:
            raise unread(path, error) from None

    def names(self, folder: str) -> list[str]:
        root = self.path(folder)
        try:
            found = sorted(os.listdir(root))  # noqa: PTH208  (a store has very many)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise unread(root, error) from None
        return [name for name in found if name[0] != "."]

    def sizes(self, folder: str) -> dict[str, int]:
        root = self.path(folder)
        found = {}

        def refused(error: OSError) -> None:
            if not isinstance(error, FileNotFoundError | NotADirectoryError):
                raise unread(root, error) from None

        for above, _, names in os.walk(root, onerror=refused):
            inner = above[len(str(root)) + 1 :]
            for name in names:
                if not name.startswith("."):
                    with contextlib.suppress(FileNotFoundError):  # removed at this moment
                        size = os.stat(f"{above}/{name}").st_size  # noqa: PTH116
                        found[f"{inner}/{name}" if inner else name] = size
        return dict(sorted(found.items()))

    def drafts(self) -> dict[str, int]:
        found = {}
        for path in self.root.rglob(f"{DRAFT}*"):
            with contextlib.suppress(FileNotFoundError):  # removed at this moment
                found[path.relative_to(self.root).as_posix()] = path.stat().st_size
        return dict(sorted(found.items()))

    def there(self, folders: Iterable[str]) -> set[str]:
        return {folder for folder in folders if self._is_folder(self.path(folder))}

    def _is_folder(self, path: Path) -> bool:
        try:
            return path.is_dir()
        except OSError as error:
            raise unread(path, error) from None

    def delete(self, relative: str) -> None:
        path = self.path(relative)
        with explained(path):
            path.unlink(missing_ok=True)

    def remove(self, relative: str) -> None:
        path = self.path(relative)
        if not path.is_dir():
            self.delete(relative)
            return
        # Two drivers may delete the same loser at once.
        with explained(path), contextlib.suppress(FileNotFoundError):
            shutil.rmtree(path)

    def full(self) -> str:
        try:
            free = shutil.disk_usage(self.root).free
        except OSError:  # what failed to be written says why
            return ""
        return "" if free >= LEAST_FREE else full_disk(self.root)

    # -- large files ---------------------------------------------------------------------------

    @contextlib.contextmanager
    def writing(self, relative: str) -> Iterator[Draft]:
        path = self.path(relative)
        with _new(path) as place:
            draft = Draft(place)
            yield draft
            draft.stored = stored(relative, place)
            sync_file(place)
            place.replace(path)
            sync_folder(path.parent)

    @contextlib.contextmanager
    def reading(self, relative: str) -> Iterator[Path]:
        yield self.path(relative)

    def local(self, relative: str) -> Path:
        return self.path(relative)

    def workspace(self, relative: str) -> Path:
        path = self.path(relative)
        with explained(path):
            make_folder(path.parent)
        return path

    def publish(self, relative: str) -> list[Stored]:
        path = self.path(relative)
        found = []
        with explained(path):
            for inner in [path, *sorted(path.rglob("*"))]:
                if inner.is_dir():
                    sync_folder(inner)
                elif inner.exists() and inner.name != ORDERS:
                    sync_file(inner)
                    found.append(stored(inner.relative_to(self.root).as_posix(), inner))
        return found

    def discard(self, relative: str) -> None:
        """Nothing: what an attempt left lies in the store, where no marker names it."""

    def sweep_drafts(self, folder: str) -> None:
        found = [*self.path(folder).glob(f"{DRAFT}*")]
        if not found:
            return
        # By the clock that dates the files: that of a file server may differ from ours by hours.
        with _new(self.path(folder) / "now") as new:
            new.touch()
            now = new.stat().st_mtime
            for path in found:
                with contextlib.suppress(FileNotFoundError):  # its writer has just ended
                    if path.stat().st_mtime < now - LEFT_OVER:
                        path.unlink()


@contextlib.contextmanager
def _new(path: Path) -> Iterator[Path]:
    """A name beside ``path`` for its content to be, gone after the ``with`` block."""
    draft = path.parent / f"{DRAFT}{uuid.uuid4().hex}"
    with explained(path):
        make_folder(path.parent)
        try:
            yield draft
        finally:
            draft.unlink(missing_ok=True)


def check_inside(relative: str, address: str) -> None:
    """Raise `StoreError` if a name leaves the store.

    By its words alone: asking the disk would slow every access, and an administrator may well
    have put one of the folders elsewhere, behind a link.
    """
    if relative.startswith("/") or ".." in relative.split("/") or "\0" in relative:
        raise StoreError(f"Names stay inside the store's folder; {relative!r} leaves {address}.")


def file_digest(path: Path) -> str:
    """SHA-256 of a file's content, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, durably: what lies in it is no safer than its name."""
    if not folder.is_dir():
        make_folder(folder.parent)
        try:
            folder.mkdir(exist_ok=True)
        except FileExistsError as error:  # a file of that name
            raise NotADirectoryError(
                errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder)
            ) from error
        sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_file(path: Path) -> None:
    """Make a file's content durable."""
    with path.open("rb") as stream:
        os.fsync(stream.fileno())
