"""What was committed to a bucket, on this node's disk: checked against its marker, and kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from sweeper.errors import DamageError, StoreError
from sweeper.store import nodecache
from sweeper.store.folder import Stored, file_digest, sync_file
from sweeper.store.services import NoSuchRange

if TYPE_CHECKING:
    from sweeper.store.bucket import Bucket


class Fetched:
    """The committed files of a bucket that this node has (see `sweeper.store.nodecache`).

    Attributes:
        root: Where they are kept; set once it is known which store the bucket is.
    """

    def __init__(self, bucket: Bucket) -> None:
        self.root = Path()
        self._bucket = bucket

    def local(self, relative: str) -> Path:
        """A committed file or folder on this node's disk: fetched if it is not there yet."""
        kept = self.root / relative.replace("/", "+")
        if not nodecache.used(kept):
            with nodecache.alone(kept):
                if not nodecache.used(kept):
                    self._keep(relative, kept)
        return kept

    def _keep(self, relative: str, kept: Path) -> None:
        """Fetch a committed file or folder, check it against its marker, and keep it."""
        draft = self._bucket.draft()
        try:
            with nodecache.explained(draft):
                marker, files = self._vouched(relative)
                nodecache.make_room(sum(one.size for one in files))
                for one in files:
                    place = Path(f"{draft}{one.name[len(relative) :]}")
                    self._fetch_checked(marker, one, place)
                nodecache.keep(draft, kept)
        finally:
            nodecache.away(draft)

    def _fetch_checked(self, marker: str, one: Stored, place: Path) -> None:
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._bucket.fetch(one.name, one.size, place)
        except (FileNotFoundError, NoSuchRange):
            raise self._damaged(marker, one.name, "is gone or too short") from None
        if file_digest(place) != one.sha256:
            raise self._damaged(marker, one.name, "has another SHA-256")
        sync_file(place)

    def _vouched(self, relative: str) -> tuple[str, list[Stored]]:
        """An attempt's marker, and what it says of the files at and below a name."""
        _, address, attempt, *_ = [*relative.split("/"), "", ""]
        for name in self._bucket.listed(f"commits/{address}."):
            try:
                marker = json.loads(self._bucket.content(name) or b"")
                found = [
                    Stored(file, said["size"], said["sha256"])
                    for file, said in marker["files"].items()
                    if file == relative or file.startswith(f"{relative}/")
                ]
                mine = marker["attempt"] == attempt
            except (ValueError, KeyError, TypeError, AttributeError):
                told = f"The marker {self._bucket.where(name)} is damaged."
                raise DamageError(name.removeprefix("commits/"), told) from None
            if found and mine:
                return name.removeprefix("commits/"), found
        raise StoreError(
            f"Only what a marker in {self._bucket.where('commits')} names can be fetched, and "
            f"none names {self._bucket.where(relative)}. Restore the marker, or start the run "
            "again: it makes anew what it lacks."
        )

    def _damaged(self, marker: str, name: str, how: str) -> DamageError:
        return DamageError(
            marker,
            f"{self._bucket.where(name)} must be what was committed, and {how}. It is made again; "
            "`sweeper store verify` looks for more.",
        )
