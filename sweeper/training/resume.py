"""Resume points: where a job goes on after its worker or driver died.

Two slots are written in turn, so that one is whole at any time; a slot counts once its JSON,
written last, names the hash of its tensors and its own. Tensors that do not change (the best
epochs of a search) are kept beside the slots and written once. Nothing is a pickle.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

FORMAT = 2
SLOTS = ("a", "b")
UNFINISHED = 3600.0
"""Seconds after which a temporary file belongs to no living attempt."""

Tensors = dict[str, Tensor]


@dataclass
class Point:
    """What a job needs to go on: tensors that change, tensors that do not, and plain data."""

    data: dict[str, Any]
    tensors: Tensors
    kept: dict[str, Tensors] = field(default_factory=dict)


class ResumePoints:
    """The resume points of one job, in its own folder (which need not exist yet)."""

    def __init__(self, folder: Path, address: str) -> None:
        self.folder = folder
        self.address = address

    def save(self, point: Point) -> None:
        """Write ``point`` into the older slot; the other stays as it is until this one counts."""
        self.folder.mkdir(parents=True, exist_ok=True)
        newest = self._manifests()[:1]
        slot = SLOTS[0] if not newest or newest[0]["slot"] == SLOTS[1] else SLOTS[1]
        # From here on this slot is not whole.
        self._manifest(slot).unlink(missing_ok=True)
        known = newest[0]["kept"] if newest else {}
        kept = {
            name: known[name] if self._there(known.get(name)) else self._write(name, tensors)
            for name, tensors in point.kept.items()
        }
        manifest = {
            "format": FORMAT,
            "address": self.address,
            "slot": slot,
            "number": newest[0]["number"] + 1 if newest else 0,
            "tensors": self._write(f"slot-{slot}", point.tensors),
            "kept": kept,
            "data": point.data,
        }
        # A flipped bit may leave JSON that is JSON still, with another step or loss in it.
        _write_whole(self._manifest(slot), _text({**manifest, "sha256": _own_hash(manifest)}))
        self._sweep()

    def load(self) -> Point | None:
        """The newest point that is whole, or None."""
        self._sweep_unfinished()
        for manifest in self._manifests():
            tensors = self._read(manifest["tensors"])
            kept = {name: self._read(entry) for name, entry in manifest["kept"].items()}
            found = {name: item for name, item in kept.items() if item is not None}
            if tensors is not None and len(found) == len(kept):
                return Point(manifest["data"], tensors, found)
            # Else the next save would take the damaged slot for the newest and spare it.
            self._manifest(manifest["slot"]).unlink(missing_ok=True)
        return None

    def remove(self) -> None:
        """Delete the points: for the job that has finished."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _manifest(self, slot: str) -> Path:
        return self.folder / f"slot-{slot}.json"

    def _manifests(self) -> list[dict[str, Any]]:
        """The whole manifests of this job, newest first."""
        found = []
        for slot in SLOTS:
            try:
                manifest = json.loads(self._manifest(slot).read_bytes())
            except (FileNotFoundError, ValueError):
                continue
            whole = isinstance(manifest, dict) and manifest.pop("sha256", "") == _own_hash(
                manifest
            )
            if whole and (manifest["format"], manifest["address"]) == (FORMAT, self.address):
                found.append(manifest)
        return sorted(found, key=lambda manifest: -manifest["number"])

    def _there(self, entry: dict[str, Any] | None) -> bool:
        """Whether a kept file still has its size; `load` compares its hash as well."""
        path = self.folder / entry["file"] if entry else None
        return bool(path and entry and path.exists() and path.stat().st_size == entry["size"])

    def _write(self, name: str, tensors: Mapping[str, Tensor]) -> dict[str, Any]:
        path = self.folder / f"{name}.safetensors"
        temporary = path.with_suffix(f".{os.getpid()}.tmp")
        try:
            save_file(dict(tensors), temporary)
            size, digest = temporary.stat().st_size, _hash(temporary)
            _replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)  # half a point on a full disk helps nobody
            raise
        return {"file": path.name, "size": size, "sha256": digest}

    def _read(self, entry: dict[str, Any]) -> Tensors | None:
        path = self.folder / entry["file"]
        try:
            return load_file(path) if _hash(path) == entry["sha256"] else None
        except (FileNotFoundError, SafetensorError):
            return None

    def _sweep_unfinished(self) -> None:
        """Delete what killed attempts were writing; a living one writes for minutes at most."""
        unfinished = [*self.folder.glob("*.tmp")]
        if not unfinished:
            return
        # By the clock that dates the files: that of a file server may differ from ours by hours.
        with suppress(OSError), NamedTemporaryFile(dir=self.folder, suffix=".tmp") as new:
            now = Path(new.name).stat().st_mtime
            for path in unfinished:
                if path.stat().st_mtime < now - UNFINISHED:
                    path.unlink()

    def _sweep(self) -> None:
        """Delete kept files that no slot names any more."""
        named = {f"slot-{slot}.safetensors" for slot in SLOTS}
        for manifest in self._manifests():
            named |= {entry["file"] for entry in manifest["kept"].values()}
        for path in self.folder.glob("*.safetensors"):
            if path.name not in named:
                path.unlink(missing_ok=True)


def _text(manifest: Mapping[str, Any]) -> bytes:
    return json.dumps(manifest, sort_keys=True).encode()


def _own_hash(manifest: Mapping[str, Any]) -> str:
    return hashlib.sha256(_text(manifest)).hexdigest()


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write_whole(path: Path, data: bytes) -> None:
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    temporary.write_bytes(data)
    _replace(temporary, path)


def _replace(temporary: Path, path: Path) -> None:
    """Move a file into place once its bytes are on the disk: a reader sees all of it or none."""
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    temporary.replace(path)
