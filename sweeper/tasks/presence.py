"""Which of a task's files are in the data folder, and so where its rows come from."""

from __future__ import annotations

from pathlib import Path

from sweeper.errors import AbsentError
from sweeper.tasks.card import Card, fill


def source_of(card: Card, root: Path | None) -> str:
    """Where a task's rows come from: made by code, the local files, or the hub.

    Of a task with both, the local files where the folder has any of them, else the hub: so one
    study can have the tasks that are not on the hub (BUCC, CCG) from files and others from there.
    """
    if "synthetic" in card.sources:
        return "synthetic"
    if "hub" not in card.sources:
        return "local"
    return "local" if root is not None and _has_any_file(card, root) else "hub"


def _has_any_file(card: Card, root: Path) -> bool:
    local = card.sources.get("local")
    return local is not None and any(
        has_files(card, split, code, root)
        for split in local.told()
        for code in card.splits[split].languages
    )


def has_files(card: Card, split: str, code: str, root: Path) -> bool:
    """Whether a task's local files for a split and language are all in the folder."""
    local = card.sources.get("local")
    told = local is not None and split in local.told()
    return told and not missing_files(card, split, code, root)


def missing_files(card: Card, split: str, code: str, root: Path) -> list[Path]:
    """The paths (or patterns with *) that a split in a language needs and the folder lacks."""
    local = card.sources.get("local")
    if local is None or split not in local.told():
        return []
    paths = [fill(pattern, code) for pattern in local.patterns(split)]
    return [
        (root / path).absolute()
        for path in paths
        if not (any(root.glob(path)) if "*" in path else (root / path).is_file())
    ]


def no_split(card: Card, split: str, source: str) -> AbsentError:
    """What is to be said of a split that a task's source does not have."""
    return AbsentError(
        f"The task {card.name!r} has no {source} data for its split {split!r}. Add the split "
        f"to `sources: {source}:` in its card, or use another source."
    )


def no_folder(card: Card) -> AbsentError:
    """What is to be said of a task that is read from files where no data folder is given."""
    return AbsentError(
        f"The task {card.name!r} is read from files, and no data folder is given. "
        f"Set SWEEPER_DATA or the study's `data:` to the folder.{how_to_get(card)}"
    )


def no_file(card: Card, split: str, code: str, path: Path, more: int = 0) -> AbsentError:
    """What is to be said of a file that is not there, and of ``more`` that the task lacks too."""
    several = len(card.split(split).languages) > 1
    others = f", and {more} more of its files {'is' if more == 1 else 'are'} missing"
    return AbsentError(
        f"The task {card.name!r} needs a file for its split {split!r} in the language "
        f"{code!r}; there is no {path}{others if more else ''}. Put it there, or set SWEEPER_DATA "
        "or the study's `data:` to the folder that holds it"
        f"{', or leave the language out' if several else ''}.{how_to_get(card)}"
    )


def how_to_get(card: Card) -> str:
    """What a card says of where its files are had, as a sentence that follows another."""
    return f" {card.how_to_get.strip()}" if card.how_to_get else ""
