"""Whether files are still what was committed: sizes and hashes against what markers say."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sweeper.errors import DamageError, StoreError
from sweeper.store.files import StoreFiles, folder_of
from sweeper.store.folder import file_digest
from sweeper.store.markers import Commit, parsed


def fault(files: StoreFiles, name: str, said: Mapping[str, Any]) -> str:
    """What is wrong with a file whose size and SHA-256 a marker says; "" if nothing is.

    Raises:
        OSError, StoreError: it cannot be read now, which says nothing of what it holds.
    """
    try:
        with files.reading(name) as path:
            return difference(path, said)
    except FileNotFoundError:
        return "it is not there"


def difference(path: Path, said: Mapping[str, Any]) -> str:
    """How a file, or a copy of it, differs from the size and SHA-256 in a marker; "" if not."""
    size = path.stat().st_size
    if size != said["size"]:
        return f"it has {size} bytes of {said['size']}"
    return "" if file_digest(path) == said["sha256"] else "its content has changed"


_INTACT: set[tuple[str, int, int, int, str]] = set()
"""Files that this process found intact: path, size, time, inode, hash. A hash costs about 0.6 s
per GB, so a worker takes it once per file, however many of its jobs read that file."""


class Checked(StoreFiles):
    """A store as a job reads it: what lies in an attempt is compared with its marker before use.

    What comes from a bucket is compared when it is fetched.

    Args:
        files: The store, opened.
        markers: Names of the markers (``<address>.<generation>``) that vouch for what is read.
    """

    def __init__(self, files: StoreFiles, markers: Iterable[str]) -> None:
        self.__dict__.update(files.__dict__)
        self._markers = {name.rpartition(".")[0]: name for name in markers}
        self._commits: dict[str, Commit] = {}

    def local(self, relative: str) -> Path:
        """The local path of a file or folder, intact.

        Raises:
            DamageError: a file is gone, or is not what was committed, or the marker is so.
            OSError, StoreError: something cannot be read now, which may pass.
        """
        address = relative.split("/")[1] if relative.startswith("attempts/") else ""
        commit = self._commit(address) if address in self._markers else None
        path = super().local(relative)
        if commit and folder_of(self.address):
            for name, said in commit.files.items():
                if name == relative or name.startswith(f"{relative}/"):
                    self._hold(commit, name, said)
        return path

    def _commit(self, address: str) -> Commit:
        if address not in self._commits:
            name = self._markers[address]
            content = self.content(f"commits/{name}")
            try:
                self._commits[address] = parsed(name, json.loads(content or b""))
            except (ValueError, StoreError) as error:
                raise DamageError(name, f"The marker commits/{name} is damaged: {error}") from None
        return self._commits[address]

    def _hold(self, commit: Commit, name: str, said: Mapping[str, Any]) -> None:
        key = _key(super().local(name), said)
        if key in _INTACT:
            return
        problem = fault(self, name, said)
        if problem:
            raise DamageError(
                commit.name,
                f"{name}, which {commit.job} made, is damaged: {problem}. It is made again; "
                "`sweeper store verify` looks for more.",
            )
        if key:
            _INTACT.add(key)


def _key(path: Path, said: Mapping[str, Any]) -> tuple[str, int, int, int, str] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return str(path), found.st_size, found.st_mtime_ns, found.st_ino, said["sha256"]
