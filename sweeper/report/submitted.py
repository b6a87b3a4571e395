"""Scoring a folder of predictions in XTREME's layout, whoever made it, against the data files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sweeper.analysis.aggregates import Averages, averages
from sweeper.errors import DataError, suggest
from sweeper.report import layout
from sweeper.report.layout import Found
from sweeper.report.rankings import Rankings
from sweeper.report.scorers import SCORERS, Scorer
from sweeper.resolving import source_of
from sweeper.tasks import kinds, readers, sources
from sweeper.tasks.card import Card
from sweeper.tasks.kinds.base import Row
from sweeper.tasks.metrics.aggregate import Benchmark


@dataclass(frozen=True)
class FileScore:
    """What one file scored: metric -> percent, over ``n`` examples, and notes on its content."""

    task: str
    split: str
    language: str
    metrics: Mapping[str, float]
    main: str
    n: int
    limit: int | None = None
    notes: tuple[str, ...] = ()


@dataclass
class FolderScores:
    """The scores of a folder, one per file."""

    folder: Path
    files: list[FileScore] = field(default_factory=list)

    def rows(self) -> list[dict[str, Any]]:
        """A row per file and metric."""
        return [
            {
                "task": one.task,
                "split": one.split,
                "language": one.language,
                "metric": metric,
                "value": value,
                "n": one.n,
                "main": metric == one.main,
                "notes": "; ".join(one.notes),
            }
            for one in self.files
            for metric, value in one.metrics.items()
        ]

    def averages(self, of: Benchmark) -> Averages:
        """A benchmark's averages of the test files."""
        tested = [row for row in self.rows() if row["split"] in ("test", "test_r")]
        named = ((row["task"], row["language"], row["metric"], row["value"]) for row in tested)
        return averages(named, of)


def score_folder(
    folder: Path, cards: Mapping[str, Card], root: Path | None, *, limits: bool = True
) -> FolderScores:
    """Score every file of predictions in a folder.

    Args:
        folder: Has a folder per task.
        cards: The tasks.
        root: The folder of the data files; None: the hub.
        limits: Whether to score against the first examples alone where `predictions.json` says
            that a study with limits made the predictions.

    Raises:
        DataError: a file is of no known task, or does not fit the data; it names file and line.
    """
    data = _Data(root, _told_limits(folder) if limits else {})
    scorers = {**SCORERS, "answer_retrieval": Rankings(data.rows).score}
    made = FolderScores(folder)
    for found in layout.files_in(folder):
        if found.task not in cards:
            raise DataError(
                f"{found.path}: the folder must be named after a task; {found.path.parent.name!r} "
                f"is none.{suggest(found.path.parent.name, cards)}"
            )
        made.files.append(_score(found, cards[found.task], data, scorers))
    return made


@dataclass(frozen=True)
class _Data:
    """The data files, and of how many first examples predictions were made."""

    root: Path | None
    limits: Mapping[tuple[str, str], int]

    def rows(self, card: Card, split: str, code: str) -> list[Row]:
        """The rows of a task's split in a language."""
        where = source_of(card, self.root)
        found = sources.resolve(card, split, [code], source=where, root=self.root)[code]
        limit = self.limits.get((card.name, split))
        return readers.read(card, split, code, found, self.root, limit)


def _told_limits(folder: Path) -> dict[tuple[str, str], int]:
    path = folder / layout.MANIFEST
    if not path.is_file():
        return {}
    try:
        targets = json.loads(path.read_text(encoding="utf-8"))["targets"]
        return {
            (task, split): int(limit)
            for task, said in targets.items()
            for split, limit in said["limits"].items()
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        raise DataError(
            f"{path} is not as `sweeper export predictions` writes it. Take it away, or export "
            "again."
        ) from None


def _score(found: Found, card: Card, data: _Data, scorers: Mapping[str, Scorer]) -> FileScore:
    if card.kind not in scorers:
        raise DataError(f"{found.path}: the layout has no files for {card.kind} tasks.")
    split, code = found.split_of(card), found.language
    values, n, notes = scorers[card.kind](found, card, data.rows(card, split, code))
    main = kinds.get(card.kind).metric
    main = main if main in values else next(iter(values))
    limit = data.limits.get((card.name, split))
    return FileScore(card.name, split, code, values, main, n, limit, notes)
