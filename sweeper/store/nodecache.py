"""What a node keeps of stores in buckets: files that were fetched, and those in the making.

<cache>/STORE/NAME      fetched and checked, by store and name there; immutable, as attempts are
in <cache>: work/PROCESS/  of one process, which holds a lock on it while it lives
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import shutil
import socket
import uuid
from collections.abc import Iterator
from pathlib import Path

from sweeper.store import refusals


def cache_root() -> Path:
    """The folder of this node's cache: SWEEPER_CACHE, else the user's own cache folder."""
    said = os.environ.get("SWEEPER_CACHE")
    usual = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "sweeper"
    return (Path(said) if said else usual).expanduser().absolute()


def cache_name() -> str:
    """What a person is told that the cache is."""
    return f"node's cache (SWEEPER_CACHE on {socket.gethostname()})"


def explained(path: Path) -> refusals.explained:
    """As `sweeper.store.refusals.explained`, for what lies in the cache."""
    return refusals.explained(path, cache_name())


def workroom() -> Path:
    """This process's own folder for files in the making; those of dead processes are emptied."""
    return _workroom(cache_root(), os.getpid())


@functools.cache
def _workroom(root: Path, process: int) -> Path:
    rooms = root / "work"
    with explained(rooms):
        rooms.mkdir(parents=True, exist_ok=True)
        for lock in rooms.glob("*.lock"):
            _sweep(lock)
        room = rooms / f"{process}-{uuid.uuid4().hex[:8]}"
        room.mkdir()
        # It gets its name when it is locked: another process may sweep at this very moment.
        new = room / "lock"
        handle = os.open(new, os.O_CREAT | os.O_RDWR, 0o600)
        # Held until the process ends, however it ends: the handle is never closed.
        with contextlib.suppress(OSError):  # a file system without locks: nothing is swept there
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        new.rename(_lock_of(room))
    return room


def _sweep(lock: Path) -> None:
    """Delete the work of a process that has died, to judge by its lock."""
    with contextlib.suppress(OSError):  # it lives, or another process sweeps it at this moment
        handle = os.open(lock, os.O_RDWR)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
            lock.unlink()
        finally:
            os.close(handle)


def _lock_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.lock")


@contextlib.contextmanager
def alone(path: Path) -> Iterator[None]:
    """Keep the node's other workers from fetching the same at once.

    For the sake of the network only: whoever fetches moves it into place whole.
    """
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(_lock_of(path), os.O_CREAT | os.O_RDWR, 0o600)
    try:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def keep(draft: Path, kept: Path) -> None:
    """Move what was fetched to its place; another worker's stays, if that was first."""
    try:
        draft.rename(kept)
    except OSError:
        if not kept.exists():
            raise


def away(path: Path) -> None:
    """Delete a file or folder of the cache, if it is there; what cannot be goes with its room."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
