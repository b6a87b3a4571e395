"""Where a task's rows come from, pinned down: file hashes, a hub commit, a generator's version.

A resolution is plain JSON. It is made once and recorded; `identity` is the part of it that decides
what the rows are, and goes into addresses.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

from sweeper.errors import DataError
from sweeper.tasks import hub
from sweeper.tasks.card import (
    Card,
    HubParts,
    HubSource,
    LocalParts,
    LocalSource,
    SyntheticSource,
    fill,
)
from sweeper.tasks.presence import no_file, no_folder, no_split

Resolution = dict[str, Any]

_BLOCK = 1 << 20


def resolve(
    card: Card, split: str, languages: Iterable[str], *, source: str, root: Path | None
) -> dict[str, Resolution]:
    """Per language, what the rows of a split are made of.

    A resolution is one of::

        {"source": "local", "language", "files": [{"path" (below root), "size", "mtime_ns",
         "sha256", "part" (where the source has parts)}, ...]}
        {"source": "hub", "language", "dataset", "config", "split" (the hub's),
         "revision" (a commit), "asked" (the card's revision)}
        {"source": "hub", "language", "split", "parts": {name: the same as above}}
        {"source": "synthetic", "language", "split", "generator", "version"}

    Args:
        card: the task.
        split: one of its splits.
        languages: languages of that split.
        source: ``local``, ``hub`` or ``synthetic``.
        root: the data folder; needed for ``local`` only.

    Raises:
        StudyError: the card has no such source, split or language.
        AbsentError: a file is not in the data folder, or none is given.
        DataError: a file cannot be read, or the hub cannot be asked.
    """
    found = card.source(source)
    codes = tuple(languages)
    for code in codes:
        card.split(split, code)
    if isinstance(found, SyntheticSource):
        return {code: _synthetic(found, split, code) for code in codes}
    if split not in found.told():
        raise no_split(card, split, source)
    if isinstance(found, LocalSource | LocalParts):
        read: dict[str, dict[str, Any]] = {}  # a file that holds all languages is hashed once
        return {code: _local(card, found, split, code, root, read) for code in codes}
    try:
        revisions = {part: hub.revision(member) for part, member in found.members(split)}
    except DataError as error:
        raise DataError(
            f"The split {split!r} of the task {card.name!r} comes from the hub. {error}"
        ) from None
    return {code: _hubs(found, split, code, revisions) for code in codes}


def identity(resolution: Resolution) -> dict[str, Any]:
    """What decides the content of the rows: no path, no time; equal files are equal.

    The language is part of it, since one file or hub config may hold the rows of several.
    """
    left_out = ("files", "asked", "parts")
    told = {key: value for key, value in resolution.items() if key not in left_out}
    if resolution["source"] == "local":
        told["sha256"] = [file["sha256"] for file in resolution["files"]]
        parts = [file["part"] for file in resolution["files"] if "part" in file]
        told |= {"parts": parts} if parts else {}
    elif "parts" in resolution:
        told["parts"] = {name: identity(part) for name, part in resolution["parts"].items()}
    return told


def fresh(resolution: Resolution, root: Path | None) -> bool:
    """Whether local files still have the size and time that were recorded (others always do)."""
    if resolution["source"] != "local":
        return True
    return root is not None and all(_untouched(file, root) for file in resolution["files"])


def matches(
    resolution: Resolution, card: Card, split: str, code: str, root: Path | None = None
) -> bool:
    """Whether a recorded resolution is of the files, dataset or generator that the card names.

    With ``root`` a new file that a pattern with * matches is noticed too.
    """
    found = card.source(resolution["source"])
    if isinstance(found, SyntheticSource):
        return resolution == _synthetic(found, split, code)
    if split not in found.told():
        return False
    if isinstance(found, LocalSource | LocalParts):
        return _same_files(resolution, found, split, code, root)
    # A commit once looked up is kept, unless the card asks for another revision now.
    known = resolution.get("parts", {"": resolution})
    revisions = {part: one.get("revision", "") for part, one in known.items()}
    named = {part for part, _ in found.members(split)}
    return named == set(known) and resolution == _hubs(found, split, code, revisions)


def _same_files(
    resolution: Resolution,
    source: LocalSource | LocalParts,
    split: str,
    code: str,
    root: Path | None,
) -> bool:
    left = [(file.get("part", ""), file["path"]) for file in resolution["files"]]
    for part, member in source.members(split):
        for pattern in member.patterns(split):
            wanted = fill(pattern, code)
            mine = [place for place in left if place == (part, wanted)]
            if "*" in wanted:
                mine = [(p, f) for p, f in left if p == part and PurePosixPath(f).match(wanted)]
                if root is not None and [f for _, f in mine] != _expanded(root, wanted):
                    return False
            if not mine:
                return False
            left = [place for place in left if place not in mine]
    return not left


def check_unchanged(resolution: Resolution, root: Path | None, part: str = "") -> list[Path]:
    """The files of (a part of) a local resolution, of which the content is the recorded one.

    Size and time are compared first. A copy on another machine has another time, so then the
    content decides. Raises `DataError` for a file that is missing or has changed.
    """
    paths = []
    for file in resolution["files"]:
        if file.get("part", "") != part:
            continue
        path = _root(root) / file["path"]
        if not path.is_file():
            raise DataError(
                f"The data file {path} was there when the study was planned, and is gone. "
                "Put it back, or run again with the right data folder."
            )
        if not _untouched(file, _root(root)) and _fingerprint(path)["sha256"] != file["sha256"]:
            raise DataError(
                f"A data file must not change while a study runs; {path} has changed since it "
                "was planned. Run again: what depends on the file is then computed anew."
            )
        paths.append(path)
    return paths


def _untouched(file: dict[str, Any], root: Path) -> bool:
    try:
        found = (root / file["path"]).stat()
    except OSError:
        return False
    return (found.st_size, found.st_mtime_ns) == (file["size"], file["mtime_ns"])


def _root(root: Path | None) -> Path:
    if root is None:
        raise DataError(
            "Local data needs a data folder; none is given. Set SWEEPER_DATA, or `data:` in the "
            "study."
        )
    return root


def _local(
    card: Card,
    source: LocalSource | LocalParts,
    split: str,
    code: str,
    root: Path | None,
    read: dict[str, dict[str, Any]],
) -> Resolution:
    """The files of a language; ``read`` are the fingerprints known by now, and gets the others."""
    if root is None:
        raise no_folder(card)
    files = []
    for part, member in source.members(split):
        for pattern in member.patterns(split):
            for relative in _found(card, split, code, root, fill(pattern, code)):
                named = {"part": part} if part else {}
                if relative not in read:
                    read[relative] = _fingerprint(root / relative)
                files.append({"path": relative, **read[relative], **named})
    return {"source": "local", "language": code, "files": files}


def _found(card: Card, split: str, code: str, root: Path, wanted: str) -> list[str]:
    """The paths below the data folder that are wanted; `AbsentError` if there is none."""
    found = _expanded(root, wanted) if "*" in wanted else [wanted]
    if not found or not all((root / path).is_file() for path in found):
        raise no_file(card, split, code, (root / wanted).absolute())
    return found


def _expanded(root: Path, wanted: str) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.glob(wanted))


def _fingerprint(path: Path) -> dict[str, Any]:
    """Size, time and SHA-256 of a file; `DataError` if it changes meanwhile."""
    try:
        before = path.stat()
        digest = hashlib.sha256()
        with path.open("rb") as stream:
            while block := stream.read(_BLOCK):
                digest.update(block)
        after = path.stat()
    except OSError as error:
        raise DataError(
            f"A data file must be readable; {path} is not: {error.strerror}. Mend the file."
        ) from None
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise DataError(
            f"A data file must not change while it is read; {path} does. Wait until it is written."
        )
    return {
        "size": after.st_size,
        "mtime_ns": after.st_mtime_ns,
        "sha256": digest.hexdigest(),
    }


def _hubs(
    source: HubSource | HubParts, split: str, code: str, revisions: dict[str, str]
) -> Resolution:
    found = {p: _hub(one, split, code, revisions[p]) for p, one in source.members(split)}
    if isinstance(source, HubSource):
        return found[""]
    return {"source": "hub", "language": code, "split": split, "parts": found}


def _hub(source: HubSource, split: str, code: str, revision: str) -> Resolution:
    return {
        "source": "hub",
        "language": code,
        "dataset": source.dataset,
        "config": None if source.config is None else fill(source.config, code),
        "split": source.splits[split],
        "revision": revision,
        "asked": source.revision,
    }


def _synthetic(source: SyntheticSource, split: str, code: str) -> Resolution:
    from sweeper.tasks import synthetic

    return {
        "source": "synthetic",
        "language": code,
        "split": split,
        "generator": source.generator,
        "version": synthetic.GENERATOR_VERSION,
    }
