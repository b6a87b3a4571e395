"""The layout in which XTREME takes predictions: ``<task>/<split>-<language>.<ending>``.

What a file holds depends on the kind, as XTREME's evaluate.py reads it (google-research/xtreme
838c13b): a label per line; a tag per line and an empty line after a sentence; for retrieval the
foreign sentence's line number, from 0, per English sentence in the order of their text; mined
pairs of ids with a tab between; a JSON line ``{"label": number}`` per choice (jsonl); and as JSON
``{question id: answer}``, or ``{mention id: [entity id, ...]}``, the best first. The last is
LAReQA's layout here too, for which evaluate.py has none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sweeper.analysis.aggregates import NAMES
from sweeper.errors import DataError, StoreError, suggest
from sweeper.tasks.card import Card, LocalSource, SyntheticSource

MANIFEST = "predictions.json"
"""What was exported from where; evaluate.py passes over it."""

TASKS = {theirs: ours for ours, theirs in NAMES.items()}

ADDED = {"test_r": "test", "dev_r": "dev"}
"""Splits with the languages that XTREME-R adds have the file names of the others."""

ENDINGS = {
    "classification": "tsv",
    "multiple_choice": "jsonl",
    "token_classification": "tsv",
    "sentence_retrieval": "tsv",
    "bitext_mining": "tsv",
    "span_extraction": "json",
    "answer_retrieval": "json",
}
"""The kinds that the layout has files for, and what the names of these end in."""

_FILE = re.compile(rf"([a-z0-9_]+)-([a-z]{{2,3}})\.({'|'.join(set(ENDINGS.values()))})")


def folder_of(task: str) -> str:
    """The name of a task's folder."""
    return NAMES.get(task, task)


def file_of(card: Card, split: str, language: str) -> str:
    """The path of a unit's file below the folder of predictions."""
    name = f"{ADDED.get(split, split)}-{language}.{ENDINGS[card.kind]}"
    return f"{folder_of(card.name)}/{name}"


def why_not(card: Card) -> str | None:
    """Why the predictions of a task cannot be written, if so."""
    if card.kind in ENDINGS:
        return None
    return f"the layout has no files for tasks of the kind {card.kind}"


def own_ids(card: Card, names: Iterable[str]) -> list[str]:
    """Rows' ids as the task's files have them: without the part of the source that they are of.

    Where a split has several parts, whose ids it tells apart, the name of a part stays.
    """
    alone, together = set[str](), set[str]()
    for place in card.sources:
        source = card.source(place)
        if not isinstance(source, SyntheticSource):
            for split in source.told():
                parts = [part for part, _ in source.members(split)]
                (alone if len(parts) == 1 else together).update(parts)
    alone -= together
    split_up = ((name, *name.partition(":")) for name in names)
    return [own if colon and part in alone else name
            for name, part, colon, own in split_up]  # fmt: skip


def raw_labels(card: Card) -> dict[str, str]:
    """Label -> what the card's files have in its place (PAWS-X: 1), which is what is exported."""
    source: Any = card.sources.get("local")
    if not isinstance(source, LocalSource) or not isinstance(source.labels, dict):
        return {}
    found = {label: raw for raw, label in source.labels.items()}
    return found if len(found) == len(source.labels) else {}


# ---- writing ----------------------------------------------------------------------------------


def written(card: Card, ids: Sequence[str], predicted: Sequence[Any]) -> str:
    """The content of a unit's file.

    Args:
        card: The task.
        ids: The examples' ids, in the store's order.
        predicted: What the store has as predicted (of answer retrieval the ranking), in the same
            order.

    Raises:
        StoreError: retrieval by ids that are no line numbers.
    """
    if card.kind in ("span_extraction", "answer_retrieval"):
        if card.kind == "answer_retrieval":
            predicted = [own_ids(card, ranked) for ranked in predicted]
        return _json_of(dict(zip(own_ids(card, ids), predicted, strict=True)))
    if card.kind == "token_classification":
        return "".join("\n".join(tags.split(" ")) + "\n\n" for tags in predicted)
    if card.kind == "bitext_mining":
        pairs = zip(ids, predicted, strict=True)
        return "".join(f"{one}\t{other}\n" for one, other in pairs if other)
    if card.kind == "sentence_retrieval":
        for name in predicted:
            if not name.isdecimal():
                raise StoreError(
                    f"The layout wants line numbers of foreign sentences; {card.name} has ids of "
                    f"its own, such as {name!r}. Leave the `id` column out of its card."
                )
        return "".join(f"{name}\n" for name in predicted)
    raw = raw_labels(card)
    if card.kind == "multiple_choice":
        choices = (json_label(raw.get(label, label)) for label in predicted)
        return "".join(json.dumps({"label": choice}) + "\n" for choice in choices)
    return "".join(f"{raw.get(label, label)}\n" for label in predicted)


def json_label(label: str) -> str | int:
    """A choice as XCOPA's files have it: evaluate.py compares numbers with numbers."""
    return int(label) if label.isdecimal() else label


def _json_of(answers: Mapping[str, Any]) -> str:
    """A line per question."""
    lines = (f"{json.dumps(name)}: {json.dumps(said)}" for name, said in answers.items())
    return "{\n" + ",\n".join(lines) + "\n}\n"


# ---- reading ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Found:
    """A file of predictions: of which task, split (by its file name) and language."""

    path: Path
    task: str
    split: str
    language: str

    def split_of(self, card: Card) -> str:
        """The card's split that the file is of: the one that has the language."""
        names = [self.split, *(added for added, name in ADDED.items() if name == self.split)]
        for name in names:
            if name in card.splits and self.language in card.splits[name].languages:
                return name
        raise DataError(
            f"{self.path}: a file of predictions is of a split and language of its task; "
            f"{card.name} has no {self.split}/{self.language}. Rename the file or take it away."
        )


def files_in(folder: Path, cards: Mapping[str, Card]) -> tuple[list[Found], dict[Path, str]]:
    """The files of predictions in a folder, by task and name; and what else is there, and why not.

    Raises:
        DataError: there is no such folder, or nothing in it.
    """
    if not folder.is_dir():
        raise DataError(f"There is no folder of predictions {folder}. Give an existing folder.")
    found: list[Found] = []
    others: dict[Path, str] = {}
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.name.startswith("."):
            _look_into(path, cards, found, others)
        elif path.name != MANIFEST and path.suffix.removeprefix(".") in ENDINGS.values():
            others[path] = f"{path}: a file of predictions lies in a folder named after its task."
    if not found and not others:
        raise DataError(
            f"{folder} has no predictions. They lie in a folder per task, as files named like "
            "xnli/test-de.tsv and xquad/test-de.json."
        )
    return found, others


def _look_into(
    folder: Path, cards: Mapping[str, Card], found: list[Found], others: dict[Path, str]
) -> None:
    """Sort what is in a task's folder."""
    task = TASKS.get(folder.name, folder.name)
    paths = [path for path in sorted(folder.iterdir()) if not path.name.startswith(".")]
    if paths and task not in cards:
        others[folder] = (
            f"{folder}: the folder must be named after a task; {folder.name!r} is none."
            f"{suggest(folder.name, cards)}"
        )
    elif paths and (reason := why_not(cards[task])):
        others[folder] = f"{folder}: {reason}."
    else:
        ending = ENDINGS[cards[task].kind]
        for path in paths:
            named = _FILE.fullmatch(path.name)
            if named and named[3] == ending:
                found.append(Found(path, task, named[1], named[2]))
            else:
                others[path] = (
                    f"{path}: a file of predictions of {task} is named <split>-<language>."
                    f"{ending}, such as test-de.{ending}. Rename it or take it away."
                )


def lines_of(path: Path) -> list[str]:
    """The lines of a file, without the space around them, as evaluate.py takes them."""
    return [line.strip() for line in _text(path).split("\n")]


def labels_of(path: Path) -> list[str]:
    """One label per line; an empty last line is none."""
    found = lines_of(path)
    return found[:-1] if found and not found[-1] else found


def tags_of(path: Path) -> list[tuple[int, list[str]]]:
    """The sentences of a file: number of the first line, and the tags."""
    found: list[tuple[int, list[str]]] = []
    start, tags = 1, list[str]()
    for number, line in enumerate(lines_of(path), 1):
        if line:
            start = start if tags else number
            tags.append(line)
        elif tags:
            found.append((start, tags))
            tags = []
    return [*found, (start, tags)] if tags else found


def choices_of(path: Path) -> list[Any]:
    """The ``label`` of every line, a JSON object each."""
    found = []
    for number, line in enumerate(labels_of(path), 1):
        try:
            said = json.loads(line)
        except json.JSONDecodeError:
            said = None
        if not isinstance(said, dict) or not isinstance(said.get("label"), str | int | float):
            raise DataError(
                f'{path}:{number}: a line must be {{"label": NUMBER}}, it is {line!r}. Write it '
                "again."
            )
        found.append(said["label"])
    return found


def answers_of(path: Path) -> Mapping[str, Any]:
    """A JSON object by question."""
    try:
        found = json.loads(_text(path))
    except json.JSONDecodeError as error:
        raise DataError(
            f"{path}:{error.lineno}: the file must be a JSON object of answers by question; "
            f"{error.msg}. Write it again."
        ) from None
    if not isinstance(found, dict):
        raise DataError(
            f"{path}: the file must be a JSON object of answers by question, it is a "
            f"{type(found).__name__}. Write it again."
        )
    return found


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: the file must be UTF-8; {error.reason}. Save it so.") from None
    except OSError as error:
        raise DataError(f"{path} could not be read: {error.strerror}.") from None
