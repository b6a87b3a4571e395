"""What the operating system refuses, as errors that say what to do."""

from __future__ import annotations

import errno
from pathlib import Path

from sweeper.errors import StoreError, UnreachableError


class explained:  # reads as a verb: `with explained(path):`
    """Turns the operating system's refusals to write into `StoreError`s that say what to do."""

    def __init__(self, path: Path, what: str = "store") -> None:
        self.path = path
        self.what = what

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if not isinstance(error, OSError) or isinstance(error, FileExistsError):
            return
        if error.errno is None:  # the word of a service, and not of the operating system
            return
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StoreError(full_disk(self.path, self.what)) from error
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            raise StoreError(
                f"The {self.what} must be a folder that can be made; {self.path} cannot be "
                f"({error.strerror}). Give another path."
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise StoreError(
                f"The {self.what} must be writable; {self.path} is not ({error.strerror}). Mend "
                "its permissions or give another folder."
            ) from error
        raise UnreachableError(
            f"The {self.what} failed at {self.path} ({error.strerror}). What is committed is "
            "safe: check the disk and the network, and start the same run again."
        ) from error


def unread(path: Path, error: OSError) -> StoreError:
    """What is said where the operating system does not let us read."""
    if error.errno in (errno.EACCES, errno.EPERM, errno.EISDIR, errno.ENOTDIR, errno.ELOOP):
        return StoreError(
            f"{path} cannot be read: {error.strerror}. Restore the file or its permissions."
        )
    return UnreachableError(
        f"{path} cannot be read: {error.strerror}. Check the disk and the network, and start the "
        "same run again."
    )


LEAST_FREE = 1 << 20
"""Bytes: with less than this free, a failure to write is the disk's."""


def full_disk(path: Path, what: str = "store") -> str:
    """What is said where a disk is full."""
    return (
        f"The disk of the {what} is full: {path} could not be written. What is committed is safe: "
        "free some space and start the same run again."
    )
