"""Scoring a folder of predictions in XTREME's layout, whoever made it, against the data files."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from sweeper.analysis.aggregates import Averages, averages
from sweeper.errors import DataError, suggest
from sweeper.report import layout
from sweeper.report.layout import Found
from sweeper.report.rankings import Rankings
from sweeper.tasks import kinds, metrics, readers, sources
from sweeper.tasks.card import Card
from sweeper.tasks.kinds.base import Row
from sweeper.tasks.metrics import mining, qa
from sweeper.tasks.metrics.aggregate import Benchmark
from sweeper.tasks.presence import source_of


@dataclass(frozen=True)
class FileScore:
    """What one file scored: metric -> percent, over ``n`` examples."""

    task: str
    split: str
    language: str
    metrics: Mapping[str, float]
    main: str
    n: int
    limit: int | None = None
    left_out: int = 0
    """How many broken rows of the data are left out, as the study had it."""


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
            that a study with limits made the predictions. (Where it says that the study left
            broken rows out, they are left out here.)

    Raises:
        DataError: a file is of no known task, or does not fit the data; it names file and line.
    """
    told, keep_going = _told(folder)
    data = _Data(root, told if limits else {}, keep_going)
    scorers = {**_SCORERS, "answer_retrieval": Rankings(data.rows).score}
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
    """The data files, and of which of their rows predictions were made."""

    root: Path | None
    limits: Mapping[tuple[str, str], int]
    keep_going: bool

    def rows(self, card: Card, split: str, code: str) -> list[Row]:
        """The rows of a task's split in a language."""
        return self.read(card, split, code)[0]

    def read(self, card: Card, split: str, code: str) -> tuple[list[Row], int]:
        """The rows of a task's split in a language, and how many broken ones are left out."""
        where = source_of(card, self.root)
        found = sources.resolve(card, split, [code], source=where, root=self.root)[code]
        limit = self.limits.get((card.name, split))
        skipped: list[str] | None = [] if self.keep_going else None
        rows = readers.read(card, split, code, found, self.root, limit, skipped)
        return rows, len(skipped or ())


def _told(folder: Path) -> tuple[dict[tuple[str, str], int], bool]:
    """The limits of the study that made the predictions, and whether it left broken rows out."""
    path = folder / layout.MANIFEST
    if not path.is_file():
        return {}, False
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        limits = {
            (task, split): int(limit)
            for task, said in told["targets"].items()
            for split, limit in said["limits"].items()
        }
        return limits, told["keep_going"]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise DataError(
            f"{path} is not as `sweeper export predictions` writes it. Take it away, or export "
            "again."
        ) from None


Scores: TypeAlias = tuple[dict[str, float], int]
Scorer: TypeAlias = Callable[[Found, Card, Sequence[Row]], Scores]


def _score(found: Found, card: Card, data: _Data, scorers: Mapping[str, Scorer]) -> FileScore:
    if card.kind not in scorers:
        raise DataError(f"{found.path}: the layout has no files for {card.kind} tasks.")
    split, code = found.split_of(card), found.language
    rows, left_out = data.read(card, split, code)
    values, n = scorers[card.kind](found, card, rows)
    main = kinds.get(card.kind).metric
    main = main if main in values else next(iter(values))
    limit = data.limits.get((card.name, split))
    return FileScore(card.name, split, code, values, main, n, limit, left_out)


def _labels(found: Found, card: Card, rows: Sequence[Row]) -> Scores:
    given = layout.labels_of(found.path)
    _check_count(found, len(given), len(rows), "lines")
    known = {label: label for label in card.labels}
    known |= {raw: label for label, raw in layout.raw_labels(card).items()}
    for number, label in enumerate(given, 1):
        if label not in known:
            raise DataError(
                f"{found.path}:{number}: a line must be a label of {card.name}, it is {label!r}."
                f"{suggest(label, known)}"
            )
    gold = [row["label"] for row in rows]
    return {"accuracy": metrics.accuracy(gold, [known[label] for label in given])}, len(gold)


def _tags(found: Found, card: Card, rows: Sequence[Row]) -> Scores:
    given = layout.tags_of(found.path)
    _check_count(found, len(given), len(rows), "sentences")
    for (line, tags), row in zip(given, rows, strict=True):
        if len(tags) != len(row["tags"]):
            raise DataError(
                f"{found.path}:{line}: a sentence must have a tag per word; this one has "
                f"{len(tags)} tags, and its sentence (id {row['id']}) {len(row['tags'])} words. "
                "Predict every word, also of long sentences."
            )
    gold, predicted = [row["tags"] for row in rows], [tags for _, tags in given]
    scores = {
        **metrics.entity_f1(gold, predicted),
        "accuracy": metrics.token_accuracy(gold, predicted),
    }
    return scores, len(gold)


def _answers(found: Found, card: Card, rows: Sequence[Row]) -> Scores:
    """A question without an answer scores 0, as in the official scripts."""
    names = layout.own_ids(card, [row["id"] for row in rows])
    texts = ([answer["text"] for answer in row["answers"]] for row in rows)
    gold = dict(zip(names, texts, strict=True))
    known = layout.answered(found, gold)
    for name, text in known.items():
        if not isinstance(text, str):
            raise DataError(f"{found.path}: an answer must be a text; that of {name!r} is none.")
    if card.scorer == "squad_v2":
        from sweeper.tasks.metrics.squad_v2 import Answers

        said = {name: known.get(name, "") for name in gold}
        plain = Answers(gold, said, dict.fromkeys(gold, 0.0)).at(0.0)
        exact, f1 = plain["exact"], plain["f1"]
        return {"exact_match": exact, "f1": f1, "mean_em_f1": (exact + f1) / 2}, len(gold)
    words = qa.mlqa(found.language) if card.scorer == "mlqa" else qa.squad
    return qa.answers(gold, known, words), len(gold)


def _retrieved(found: Found, card: Card, rows: Sequence[Row]) -> Scores:
    """Line n is of the n-th English sentence in the order of the text."""
    given = [line.strip("[]") for line in layout.labels_of(found.path)]  # XTREME's driver: [12]
    _check_count(found, len(given), len(rows), "lines")
    queries = sorted(rows, key=lambda row: str(row["pair"]))
    names = [row["id"] for row in rows]
    for number, line in enumerate(given, 1):
        if not line.isdecimal() or int(line) >= len(names):
            raise DataError(
                f"{found.path}:{number}: a line must be the number of a foreign sentence, from 0 "
                f"to {len(names) - 1}; it is {line!r}. Write the line numbers of the data."
            )
    gold = [row["id"] for row in queries]
    return {"accuracy": metrics.accuracy(gold, [names[int(line)] for line in given])}, len(gold)


def _mined(found: Found, card: Card, rows: Sequence[Row]) -> Scores:
    pairs = []
    for number, line in enumerate(layout.labels_of(found.path), 1):
        one, tab, other = line.partition("\t")
        if not tab:
            raise DataError(
                f"{found.path}:{number}: a line must have a foreign and an English id with a tab "
                f"between them, it is {line!r}."
            )
        pairs.append((one, other))
    gold = [(row["id"], row["partner"]) for row in rows if row["side"] == 0 and row["partner"]]
    return mining.pair_f1(gold, pairs), len(gold)


def _check_count(found: Found, given: int, wanted: int, what: str) -> None:
    if given != wanted:
        raise DataError(
            f"{found.path}: the file must have as many {what} as the data, {wanted}; it has "
            f"{given}. Predict every example, in the order of the data."
        )


_SCORERS: dict[str, Scorer] = {
    "classification": _labels,
    "multiple_choice": _labels,
    "token_classification": _tags,
    "span_extraction": _answers,
    "sentence_retrieval": _retrieved,
    "bitext_mining": _mined,
}
