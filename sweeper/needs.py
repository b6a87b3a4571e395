"""The data that a plan reads: from where, how many rows, and which files are not there.

Nothing is opened or hashed, and the hub is not asked: `plan` tells it in no time.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sweeper.errors import AbsentError, DataError
from sweeper.graph import Plan
from sweeper.study import Study
from sweeper.tasks.card import Card
from sweeper.tasks.presence import missing_files, no_file, no_folder, no_split, source_of


@dataclass(frozen=True)
class Need:
    """What a plan reads of a task.

    ``parts`` maps splits to languages. ``rows`` are those that the card knows of, within the
    study's limits, and ``counted`` says whether it knows of all. ``absence`` says what is missing
    and what to do; ``missing`` are the paths, none if there is no data folder at all.
    """

    card: Card
    source: str
    parts: Mapping[str, tuple[str, ...]]
    rows: int
    counted: bool
    missing: tuple[Path, ...] = ()
    absence: AbsentError | None = None


def data_root(study: Study) -> Path | None:
    """The folder of the local files; None means the hub.

    A study's `data` says (relative to its file), else the environment variable SWEEPER_DATA.
    """
    said = study.data or os.environ.get("SWEEPER_DATA") or "hub"
    if said == "hub":
        return None
    base = study.folder if study.data else Path()
    return (base / Path(said).expanduser()).resolve()


def missing_folder(study: Study) -> DataError | None:
    """What is to be said of a data folder that is named and not there."""
    root = data_root(study)
    if root is None or root.is_dir():
        return None
    named = study.where("data") if study.data else "SWEEPER_DATA"
    return DataError(
        f"{named}: the data folder must be there, or `hub` be said; there is no folder {root}. "
        "Mend the path."
    )


def needs(planned: Plan) -> list[Need]:
    """What a plan reads, task by task."""
    root = data_root(planned.study)
    found: dict[str, dict[str, tuple[str, ...]]] = {}
    for task, split, codes in planned.data():
        found.setdefault(task, {})[split] = codes
    return [_need(planned, planned.cards[task], parts, root) for task, parts in found.items()]


def _need(
    planned: Plan, card: Card, parts: Mapping[str, tuple[str, ...]], root: Path | None
) -> Need:
    source = source_of(card, root)
    units = [(split, code) for split, codes in parts.items() for code in codes]
    counts = [_rows(planned, card, *unit) for unit in units]
    rows, counted = sum(count or 0 for count in counts), None not in counts
    missing: dict[Path, tuple[str, str]] = {}
    if source == "local" and root is not None:
        # A file may hold several languages.
        missing = {path: unit for unit in units for path in missing_files(card, *unit, root)}
    absence = _absence(card, source, parts, root, missing)
    return Need(card, source, parts, rows, counted, tuple(missing), absence)


def _absence(
    card: Card,
    source: str,
    splits: Iterable[str],
    root: Path | None,
    missing: Mapping[Path, tuple[str, str]],
) -> AbsentError | None:
    if source == "local" and root is None:
        return no_folder(card)
    for path, unit in missing.items():
        return no_file(card, *unit, path, len(missing) - 1)
    if source == "synthetic":
        return None
    told = card.source(source).told()  # type: ignore[union-attr]
    return next((no_split(card, split, source) for split in splits if split not in told), None)


def _rows(planned: Plan, card: Card, split: str, code: str) -> int | None:
    """How many rows of a unit are read, if the card knows."""
    count, most = card.splits[split].rows_in(code), planned.limit(card.name, split)
    return count if count is None or most is None else min(count, most)
