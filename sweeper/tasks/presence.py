"""Which of a task's files are in the data folder, and so where its rows come from."""

from __future__ import annotations

from pathlib import Path

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
