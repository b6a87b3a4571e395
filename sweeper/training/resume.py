"""Resume points: where a job goes on after its worker or driver died.

Two slots are written in turn, so that one is whole at any time; a slot counts once its JSON,
written last, names the hash of its tensors and its own. Tensors that do not change (the best
epochs of a search) are kept beside the slots and written once. Nothing is a pickle.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from sweeper.store.folder import Draft, file_digest

FORMAT = 2
SLOTS = ("a", "b")

Tensors = dict[str, Tensor]


@dataclass
class Point:
    """What a job needs to go on: tensors that change, tensors that do not, and plain data."""

    data: dict[str, Any]
    tensors: Tensors
    kept: dict[str, Tensors] = field(default_factory=dict)


class PointFiles(Protocol):
    """What resume points need of `sweeper.store.files.StoreFiles`."""

    def content(self, relative: str) -> bytes | None:
        """What is in a small file; None if it is not there."""

    def writing(self, relative: str) -> AbstractContextManager[Draft]:
        """Write a file through a local path, whole."""

    def reading(self, relative: str) -> AbstractContextManager[Path]:
        """A local path of a file; FileNotFoundError if it is not there."""

    def sizes(self, folder: str) -> dict[str, int]:
        """The files in a folder and their bytes."""

    def delete(self, relative: str) -> None:
        """Delete a file, if it is there."""

    def remove(self, relative: str) -> None:
        """Delete a folder, if it is there."""

    def sweep_drafts(self, folder: str) -> None:
        """Delete what killed processes were writing."""


class ResumePoints:
    """The resume points of one job, in its own folder of the store (which need not exist yet)."""

    def __init__(self, files: PointFiles, address: str) -> None:
        self.files = files
        self.address = address
        self.folder = f"resume/{address}"

    def save(self, point: Point) -> None:
        """Write ``point`` into the older slot; the other stays as it is until this one counts."""
        newest = self._manifests()[:1]
        slot = SLOTS[0] if not newest or newest[0]["slot"] == SLOTS[1] else SLOTS[1]
        # From here on this slot is not whole.
        self.files.delete(self._manifest(slot))
        known = newest[0]["kept"] if newest else {}
        there = self.files.sizes(self.folder)
        kept = {
            name: known[name] if self._is_there(known.get(name), there) else self._write(name, one)
            for name, one in point.kept.items()
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
        with self.files.writing(self._manifest(slot)) as draft:
            draft.path.write_bytes(_text({**manifest, "sha256": _own_hash(manifest)}))
        self._sweep()

    def load(self) -> Point | None:
        """The newest point that is whole, or None."""
        self.files.sweep_drafts(self.folder)
        for manifest in self._manifests():
            tensors = self._read(manifest["tensors"])
            kept = {name: self._read(entry) for name, entry in manifest["kept"].items()}
            found = {name: item for name, item in kept.items() if item is not None}
            if tensors is not None and len(found) == len(kept):
                return Point(manifest["data"], tensors, found)
            # Else the next save would take the damaged slot for the newest and spare it.
            self.files.delete(self._manifest(manifest["slot"]))
        return None

    def remove(self) -> None:
        """Delete the points: for the job that has finished."""
        self.files.remove(self.folder)

    def _manifest(self, slot: str) -> str:
        return f"{self.folder}/slot-{slot}.json"

    def _manifests(self) -> list[dict[str, Any]]:
        """The whole manifests of this job, newest first."""
        found = []
        for slot in SLOTS:
            try:
                manifest = json.loads(self.files.content(self._manifest(slot)) or b"")
            except ValueError:
                continue
            whole = isinstance(manifest, dict) and manifest.pop("sha256", "") == _own_hash(
                manifest
            )
            if whole and (manifest["format"], manifest["address"]) == (FORMAT, self.address):
                found.append(manifest)
        return sorted(found, key=lambda manifest: -manifest["number"])

    def _is_there(self, entry: dict[str, Any] | None, there: Mapping[str, int]) -> bool:
        """Whether a kept file still has its size; `load` compares its hash as well."""
        return entry is not None and there.get(entry["file"]) == entry["size"]

    def _write(self, name: str, tensors: Mapping[str, Tensor]) -> dict[str, Any]:
        file = f"{name}.safetensors"
        with self.files.writing(f"{self.folder}/{file}") as draft:
            save_file(dict(tensors), draft.path)
        return {"file": file, "size": draft.stored.size, "sha256": draft.stored.sha256}

    def _read(self, entry: dict[str, Any]) -> Tensors | None:
        try:
            with self.files.reading(f"{self.folder}/{entry['file']}") as path:
                return load_file(path) if file_digest(path) == entry["sha256"] else None
        except (FileNotFoundError, SafetensorError):
            return None

    def _sweep(self) -> None:
        """Delete kept files that no slot names any more."""
        named = {f"slot-{slot}.safetensors" for slot in SLOTS}
        for manifest in self._manifests():
            named |= {entry["file"] for entry in manifest["kept"].values()}
        for name in self.files.sizes(self.folder):
            if name.endswith(".safetensors") and name not in named:
                self.files.delete(f"{self.folder}/{name}")


def _text(manifest: Mapping[str, Any]) -> bytes:
    return json.dumps(manifest, sort_keys=True).encode()


def _own_hash(manifest: Mapping[str, Any]) -> str:
    return hashlib.sha256(_text(manifest)).hexdigest()
