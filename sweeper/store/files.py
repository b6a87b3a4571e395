"""The store's folder: where everything lies, and the few ways in which files come to be.

store.json                              what this is, and its schema version
studies/<name>/<number>.json            snapshots: study, cards, resolved sources
asks/<search>/<number>.json             a trial's parameters, before it starts
attempts/<address>/<attempt>/           what one attempt made: data, checkpoints
tables/<table>/<address>-<attempt>.parquet
commits/<address>.<generation>          the marker that makes one attempt the job's outcome
dropped/<address>.<generation>          its checkpoint was deleted, having lost its search
withdrawn/<address>.<generation>        the marker counts as not there: what it names is damaged
failures/<address>/<attempt>.json       an attempt that died, and why
failed/<address>/<attempt>.json         the job was given up after that attempt
resume/<address>/                       resume points of a job in flight
stops/<run>.json                        a run is to save and stop
logs/<job key>/<attempt>.log
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sweeper.errors import StoreError

DRAFT = ".draft-"

SCHEMA_VERSION = 1
"""Rises when an older sweeper could no longer read what this one writes."""


class StoreFiles:
    """A store in a folder (local disk or NFS): paths, and durable, exclusive creation.

    Args:
        root: The store's folder.
        create: Make the folder and its `store.json` if they are not there.

    Raises:
        StoreError: there is no store, or it has another schema, or it cannot be written.
    """

    def __init__(self, root: str | Path, *, create: bool = False) -> None:
        if "://" in str(root):
            raise StoreError(
                f"A store is a folder (a local disk or NFS), and {str(root)!r} is an address. "
                "Give a folder that every node can reach."
            )
        self.root = Path(root).expanduser().absolute()
        self._check(create)

    def _check(self, create: bool) -> None:
        identity = self.root / "store.json"
        if not identity.is_file() and create:
            _refuse_foreign_folder(self.root)
            with explained(self.root):
                data = {"sweeper_store": SCHEMA_VERSION, "created": time.time()}
                self.create("store.json", data)
        try:
            version = json.loads(identity.read_text())["sweeper_store"]
        except FileNotFoundError:
            raise StoreError(
                f"There is no store in {self.root}. Run a study first (`sweeper run STUDY "
                f"--store {self.root}`), or give the folder of an existing store."
            ) from None
        except (ValueError, KeyError, TypeError, OSError) as error:
            raise StoreError(
                f"{identity} is not a readable store.json ({error}). Restore the file, or use "
                "another folder."
            ) from None
        if version != SCHEMA_VERSION:
            raise StoreError(
                f"The store in {self.root} has schema {version}; this sweeper reads and writes "
                f"schema {SCHEMA_VERSION}. Use the sweeper that wrote it, or another folder."
            )

    def path(self, relative: str) -> Path:
        """The local path of a file or folder of the store. It cannot leave the store's folder."""
        # By its words alone: asking the disk would slow every access, and an administrator may
        # well have put one of the folders elsewhere, behind a link.
        if relative.startswith("/") or ".." in relative.split("/") or "\0" in relative:
            raise StoreError(
                f"Names stay inside the store's folder; {relative!r} leaves {self.root}."
            )
        return self.root / relative

    def create(self, relative: str, data: dict[str, Any]) -> bool:
        """Write JSON durably if no such file is there yet; False if there is one.

        The content is complete before the name exists: a hard link is exclusive on local disks
        and on NFS, where opening with O_EXCL and then writing would show half a file.
        """
        path = self.path(relative)
        with self._draft(path, data) as draft:
            try:
                os.link(draft, path)
            except FileExistsError:
                return False
            sync_folder(path.parent)
        return True

    def replace(self, relative: str, data: dict[str, Any]) -> None:
        """Write JSON over what is there, whole: for what is no record, such as a heartbeat."""
        path = self.path(relative)
        with self._draft(path, data) as draft:
            draft.replace(path)

    @contextlib.contextmanager
    def _draft(self, path: Path, data: dict[str, Any]) -> Iterator[Path]:
        """The content of a file to be, durable, under a name that no reader takes."""
        draft = path.parent / f"{DRAFT}{uuid.uuid4().hex}"
        with explained(path):
            make_folder(path.parent)
            try:
                with draft.open("xb") as stream:
                    stream.write(canonical(data))
                    stream.flush()
                    os.fsync(stream.fileno())
                yield draft
            finally:
                draft.unlink(missing_ok=True)

    def exists(self, relative: str) -> bool:
        """Whether there is such a file."""
        return self.path(relative).exists()

    def read(self, relative: str) -> dict[str, Any]:
        """A JSON file of the store."""
        path = self.path(relative)
        try:
            data: dict[str, Any] = json.loads(path.read_bytes())
        except ValueError as error:
            raise StoreError(
                f"{path} is damaged: not JSON ({error}). Delete this one file; the next run "
                "makes again what it stood for."
            ) from None
        except OSError as error:
            raise StoreError(
                f"{path} cannot be read: {error.strerror}. Restore the file or its permissions."
            ) from None
        return data

    def names(self, folder: str) -> list[str]:
        """The names in a folder, sorted, without drafts; empty if there is no such folder."""
        try:
            found = [path.name for path in self.path(folder).iterdir()]
        except FileNotFoundError:
            return []
        return sorted(name for name in found if not name.startswith("."))

    def sizes(self) -> Iterator[tuple[str, int]]:
        """Every file of the store, drafts included, with its size in bytes."""
        for folder, _, names in os.walk(self.root):
            for name in names:
                path = Path(folder) / name
                with contextlib.suppress(FileNotFoundError):  # deleted meanwhile
                    yield self.relative(path), path.stat().st_size

    def attempt_folder(self, address: str, attempt: str) -> Path:
        """The folder for what one attempt makes; no other attempt writes there."""
        path = self.path(f"attempts/{address}/{attempt}")
        with explained(path):
            make_folder(path)
        return path

    def resume_folder(self, address: str) -> Path:
        """Where a job's resume points lie; they outlive its attempts. May not be there yet."""
        return self.path(f"resume/{address}")

    def relative(self, path: Path) -> str:
        """The store-relative name of a path inside it."""
        return path.relative_to(self.root).as_posix()

    def full(self) -> str:
        """Why nothing more can be written here: the disk is full; "" if it is not."""
        free = shutil.disk_usage(self.root).free
        return "" if free >= _LEAST_FREE else _full(self.root)

    def remove(self, relative: str) -> None:
        """Delete a file or a folder, if it is there."""
        path = self.path(relative)
        # Two drivers may delete the same loser at once.
        with explained(path), contextlib.suppress(FileNotFoundError):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()


def _refuse_foreign_folder(root: Path) -> None:
    """A new store is not mixed into a folder that holds something else."""
    if root.is_file():
        raise StoreError(f"A store is a folder, and {root} is a file. Give another path.")
    names = [path.name for path in root.iterdir()] if root.is_dir() else []
    # Another driver may be making the store at this moment, or have been killed while it did.
    if "store.json" not in names and any(not name.startswith(DRAFT) for name in names):
        raise StoreError(
            f"{root} holds files and is not a store. Give an empty or new folder, or the "
            "folder of an existing store."
        )


class explained:  # reads as a verb: `with explained(path):`
    """Turns the operating system's refusals to write into `StoreError`s that say what to do."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if not isinstance(error, OSError) or isinstance(error, FileExistsError):
            return
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StoreError(_full(self.path)) from error
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            raise StoreError(
                f"The store must be a folder that can be made; {self.path} cannot be "
                f"({error.strerror}). Give another path."
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise StoreError(
                f"The store must be writable; {self.path} is not ({error.strerror}). Mend its "
                "permissions or give another folder."
            ) from error


_LEAST_FREE = 1 << 20
"""Bytes: with less than this free, a failure to write is the disk's."""


def _full(path: Path) -> str:
    return (
        f"The disk of the store is full: {path} could not be written. What is committed is safe: "
        "free some space and start the same run again."
    )


def canonical(data: Any) -> bytes:
    """Canonical JSON: the same bytes for the same data, on every machine. NaN is refused."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.encode()


def digest(data: Any) -> str:
    """The first 32 hex digits (128 bits) of the SHA-256 of canonical JSON: an address."""
    return hashlib.sha256(canonical(data)).hexdigest()[:32]


def file_digest(path: Path) -> str:
    """SHA-256 of a file's content, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, durably: what lies in it is no safer than its name."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
