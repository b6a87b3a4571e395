"""What a node keeps of stores in buckets: files that were fetched, and those in the making.

<cache>/STORE/NAME      fetched and checked, by store and name there; immutable, as attempts are,
                        whose names have the address of what they were made from
in <cache>: work/PROCESS/  of one process, which holds a lock on it while it lives

What was fetched may fill `limit` bytes: what was used longest ago goes first.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import math
import os
import shutil
import socket
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from sweeper.errors import StoreError
from sweeper.store import refusals

IN_USE = 600.0
"""Seconds for which what was asked for stays whatever the limit: it is about to be opened. What is
open or mapped into memory can go: its blocks stay until the last process lets go of them."""


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


def limit() -> int:
    """How many bytes may be kept: SWEEPER_CACHE_GB, else half of the cache's disk.

    Raises:
        StoreError: the variable is no number above 0.
    """
    said = os.environ.get("SWEEPER_CACHE_GB")
    if said is None:
        return shutil.disk_usage(workroom()).total // 2
    try:
        most = float(said)
    except ValueError:
        most = 0.0
    if not 0 < most < math.inf:
        raise StoreError(
            "SWEEPER_CACHE_GB is how much of buckets this node may keep, a number of GB above 0; "
            f"it is {said!r}. Mend it, or leave it out for half of the disk."
        )
    return int(most * 1e9)


def used(kept: Path) -> bool:
    """Note that something kept is used now; False if it is not there."""
    try:
        os.utime(kept)
    except FileNotFoundError:
        return False
    except PermissionError:  # another user's: it is there, and ages as that one uses it
        return True
    return True


def make_room(size: int) -> None:
    """Let go of what was used longest ago, so that so many bytes more are within the limit."""
    with alone(cache_root() / "room"):
        dates, sizes = {}, {}
        for path in cache_root().glob("*/*"):
            if path.parent.name != "work" and path.suffix != ".lock":
                with contextlib.suppress(FileNotFoundError):
                    sizes[path] = _size(path)
                    dates[path] = path.stat().st_mtime
        over = sum(sizes.values()) + size - limit()
        for path in sorted(dates, key=dates.__getitem__):
            # In the order of use: those after one that is in use are so, too.
            if over <= 0 or time.time() - path.stat().st_mtime < IN_USE:
                return
            gone = workroom() / uuid.uuid4().hex
            path.rename(gone)  # at once, so that nobody finds half of it
            away(gone)
            over -= sizes[path]


def _size(path: Path) -> int:
    found = path.rglob("*") if path.is_dir() else [path]
    return sum(inner.stat().st_size for inner in found)


def keep(draft: Path, kept: Path) -> None:
    """Move what was fetched to its place; another worker's stays, if that was first."""
    os.utime(draft)
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
