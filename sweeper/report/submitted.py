"""Scoring a folder of predictions in XTREME's layout, whoever made it, against the data files."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sweeper.analysis.aggregates import Averages, averages
from sweeper.errors import AbsentError, DataError
from sweeper.report import layout, manifest
from sweeper.report.layout import Found
from sweeper.report.manifest import Told
from sweeper.report.rankings import Rankings
from sweeper.report.scorers import SCORERS, Scorer
from sweeper.tasks import kinds, readers, sources
from sweeper.tasks.card import Card
from sweeper.tasks.kinds.base import Row
from sweeper.tasks.metrics.aggregate import Benchmark
from sweeper.tasks.presence import source_of


@dataclass(frozen=True)
class FileScore:
    """What one file scored: metric -> percent, over ``n`` examples, and notes on its content.

    ``file`` is its path below the folder.
    """

    file: str
    task: str
    split: str
    language: str
    metrics: Mapping[str, float]
    main: str
    n: int
    limit: int | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class LeftOut:
    """Files that were not scored, named as below their folder, and why (the first of them)."""

    files: tuple[str, ...]
    reason: str


@dataclass
class FolderScores:
    """The scores of a folder, one per file, and the files that have none.

    ``told`` is what `predictions.json` says of its targets, if there is one.
    """

    folder: Path
    told: Mapping[str, Told] = field(default_factory=dict)
    files: list[FileScore] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)

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
    """Score the files of predictions in a folder; what cannot be scored is left out, and said why.

    Args:
        folder: Has a folder per task.
        cards: The tasks.
        root: The folder of the data files; None: the hub.
        limits: Whether to score against the first examples alone where `predictions.json` says
            that a study with limits made the predictions. (Where it says that the study left
            broken rows out, they are left out here.)

    Raises:
        DataError: there is no such folder, nothing in it, or its `predictions.json` is broken.
    """
    made = FolderScores(folder, manifest.read(folder))
    first = {
        (task, split): limit
        for task, one in made.told.items()
        for split, limit in one.limits.items()
        if limits
    }
    data = _Data(root, first, [task for task, one in made.told.items() if one.keep_going])
    scorers = {**SCORERS, "answer_retrieval": Rankings(data.rows).score}
    files, others = layout.files_in(folder, cards)
    broken: dict[tuple[str, str], list[tuple[Path, str]]] = {
        ("", reason): [(path, reason)] for path, reason in others.items()
    }
    for found in files:
        try:
            made.files.append(_score(found, cards[found.task], data, scorers))
        except DataError as error:
            # Of data that are not there the reason is told once, and not for every language.
            group = "" if isinstance(error, AbsentError) else str(error)
            broken.setdefault((found.task, group), []).append((found.path, str(error)))
    for members in broken.values():
        names = tuple(str(path.relative_to(folder)) for path, _ in members)
        made.left_out.append(LeftOut(names, members[0][1]))
    return made


@dataclass(frozen=True)
class _Data:
    """The data files, and of which of their rows predictions were made.

    ``limits`` are by task and split; of the tasks in ``going`` broken rows are left out.
    """

    root: Path | None
    limits: Mapping[tuple[str, str], int]
    going: Collection[str]

    def rows(self, card: Card, split: str, code: str) -> list[Row]:
        """The rows of a task's split in a language."""
        return self.read(card, split, code)[0]

    def read(self, card: Card, split: str, code: str) -> tuple[list[Row], int]:
        """The rows of a task's split in a language, and how many broken ones are left out."""
        where = source_of(card, self.root)
        found = sources.resolve(card, split, [code], source=where, root=self.root)[code]
        limit = self.limits.get((card.name, split))
        skipped: list[str] | None = [] if card.name in self.going else None
        rows = readers.read(card, split, code, found, self.root, limit, skipped)
        return rows, len(skipped or ())


def _score(found: Found, card: Card, data: _Data, scorers: Mapping[str, Scorer]) -> FileScore:
    split, code = found.split_of(card), found.language
    rows, left_out = data.read(card, split, code)
    values, n, notes = scorers[card.kind](found, card, rows)
    if left_out:
        notes = (*notes, f"without {left_out:,} broken rows of the data, as the study had it")
    main = kinds.get(card.kind).main_metric(card)
    limit = data.limits.get((card.name, split))
    file = f"{found.path.parent.name}/{found.path.name}"
    return FileScore(file, card.name, split, code, values, main, n, limit, notes)
