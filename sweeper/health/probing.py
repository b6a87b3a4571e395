"""A store beside the store, in which hosts try what a sweep will ask of it; gone afterwards."""

from __future__ import annotations

import contextlib
import shutil
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from sweeper.errors import StoreError
from sweeper.store.files import StoreFiles, folder_of, has_store


@contextlib.contextmanager
def probe(store: str) -> Iterator[str]:
    """The address of a new store inside a store, or where one is to be.

    Raises:
        StoreError: it cannot be made, read or written; what to do is said.
    """
    folder = folder_of(store)
    if folder is not None and folder.is_dir() and any(folder.iterdir()) and not has_store(store):
        raise StoreError(
            f"{store} holds files and is not a store. Give an empty or new folder, or the "
            "address of an existing store."
        )
    if has_store(store):
        StoreFiles(store)  # of a schema that we read
    address = f"{str(store).rstrip('/')}/.draft-doctor-{uuid.uuid4().hex[:8]}"
    absent = _absent(folder)
    try:
        StoreFiles(address, create=True)
        yield address
    finally:
        if folder is not None:
            shutil.rmtree(address, ignore_errors=True)
            for made in absent:
                with contextlib.suppress(OSError):  # someone else's by now
                    made.rmdir()
        else:
            with contextlib.suppress(StoreError):
                files = StoreFiles(address)
                for name in ("race", "own", "store.json"):
                    files.remove(name)


def _absent(folder: Path | None) -> list[Path]:
    """The folders that a store at ``folder`` would have made, the innermost first."""
    if folder is None:
        return []
    return [path for path in [folder, *folder.parents] if not path.exists()]


def clock_of(address: str) -> float | None:
    """By how many seconds a shared folder's clock is ahead of this host's; None for a bucket."""
    folder = folder_of(address)
    if folder is None:
        return None
    path = folder / f"clock-{uuid.uuid4().hex[:8]}"
    before = time.time()
    path.touch()
    after = time.time()
    # Some file servers round to a second.
    written = path.stat().st_mtime
    path.unlink()
    return min((written - before, written - after), key=abs)
