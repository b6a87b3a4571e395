"""Whether files are still what was committed: sizes and hashes against what markers say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sweeper.errors import DamageError, StoreError
from sweeper.store.commits import Commit, parsed
from sweeper.store.files import StoreFiles, file_digest


def fault(path: Path, said: Mapping[str, Any]) -> str:
    """What is wrong with a file whose size and SHA-256 a marker says; "" if nothing is."""
    try:
        size = path.stat().st_size
        if size != said["size"]:
            return f"it has {size} bytes of {said['size']}"
        return "" if file_digest(path) == said["sha256"] else "its content has changed"
    except FileNotFoundError:
        return "it is not there"
    except OSError as error:
        return f"it cannot be read ({error.strerror})"


_INTACT: set[tuple[str, int, int, int, str]] = set()
"""Files that this process found intact: path, size, time, inode, hash. A hash costs about 0.6 s
per GB, so a worker takes it once per file, however many of its jobs read that file."""


class Checked:
    """A store as a job reads it: what lies in an attempt is compared with its marker before use.

    Args:
        files: The store.
        markers: Names of the markers (``<address>.<generation>``) that vouch for what is read.
    """

    def __init__(self, files: StoreFiles, markers: Iterable[str]) -> None:
        self.files = files
        self._markers = {name.rpartition(".")[0]: name for name in markers}
        self._commits: dict[str, Commit] = {}

    def path(self, relative: str) -> Path:
        """The local path of a file or folder, intact.

        Raises:
            DamageError: a file is gone, or is not what was committed, or the marker is so.
        """
        path = self.files.path(relative)
        address = relative.split("/")[1] if relative.startswith("attempts/") else ""
        if address in self._markers:
            commit = self._commit(address)
            for name, said in commit.files.items():
                if name == relative:
                    self._check(commit, name, path, said)
                elif name.startswith(f"{relative}/"):
                    self._check(commit, name, path / name[len(relative) + 1 :], said)
        return path

    def resume_folder(self, address: str) -> Path:
        """Where a job's resume points lie."""
        return self.files.resume_folder(address)

    def _commit(self, address: str) -> Commit:
        if address not in self._commits:
            name = self._markers[address]
            try:
                self._commits[address] = parsed(name, self.files.read(f"commits/{name}"))
            except StoreError as error:
                raise DamageError(name, str(error)) from None
        return self._commits[address]

    def _check(self, commit: Commit, name: str, path: Path, said: Mapping[str, Any]) -> None:
        key = _key(path, said)
        if key in _INTACT:
            return
        problem = fault(path, said)
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
