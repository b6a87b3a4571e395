"""Scores of a file of predictions in XTREME's layout, by the rules of XTREME's evaluate.py.

What its script passes over in silence is told here: an error for what cannot be meant, such as a
label that the task does not have, and a note for what only lowers the score.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from sweeper.errors import DataError, suggest
from sweeper.report import layout
from sweeper.report.layout import Found
from sweeper.tasks import metrics
from sweeper.tasks.card import Card
from sweeper.tasks.kinds.base import Row
from sweeper.tasks.metrics import mining, qa


class Scored(NamedTuple):
    """Metric -> percent, over how many examples, and what a reader should know of the file."""

    values: dict[str, float]
    n: int
    notes: tuple[str, ...] = ()


Scorer: TypeAlias = Callable[[Found, Card, Sequence[Row]], Scored]


# ---- labels and tags --------------------------------------------------------------------------


def _labels(found: Found, card: Card, rows: Sequence[Row]) -> Scored:
    given = layout.labels_of(found.path)
    _check_count(found, len(given), len(rows), "lines")
    known = {label: label for label in card.labels}
    known |= {raw: label for label, raw in layout.raw_labels(card).items()}
    what = f"a label of {card.name}"
    said = [_one_of(found, n, label, known, what) for n, label in enumerate(given, 1)]
    return _accuracy(rows, said)


def _choices(found: Found, card: Card, rows: Sequence[Row]) -> Scored:
    given = layout.choices_of(found.path)
    _check_count(found, len(given), len(rows), "lines")
    raw = layout.raw_labels(card)
    known = {layout.json_label(raw.get(label, label)): label for label in card.labels}
    for number, choice in enumerate(given, 1):
        if choice not in known:
            raise DataError(
                f"{found.path}:{number}: a line's label must be one of "
                f"{', '.join(map(json.dumps, known))}, it is {json.dumps(choice)}. Write the "
                "number of the choice as the data have it."
            )
    return _accuracy(rows, [known[choice] for choice in given])


def _accuracy(rows: Sequence[Row], said: Sequence[str]) -> Scored:
    gold = [row["label"] for row in rows]
    return Scored({"accuracy": metrics.accuracy(gold, said)}, len(gold))


def _tags(found: Found, card: Card, rows: Sequence[Row]) -> Scored:
    given = layout.tags_of(found.path)
    known = {label: label for label in card.labels}
    for line, tags in given:
        for number, tag in enumerate(tags, line):
            _one_of(found, number, tag, known, f"a tag of {card.name}")
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
    return Scored(scores, len(gold))


def _one_of(found: Found, number: int, said: str, known: Mapping[str, str], what: str) -> str:
    """What a line says, as the card calls it."""
    if said in known:
        return known[said]
    columns = said.split("\t")
    if len(columns) > 1:
        raise DataError(
            f"{found.path}:{number}: a line must be {what} alone; it has {len(columns)} columns, "
            f"{said!r}. Write that column only."
        )
    raise DataError(
        f"{found.path}:{number}: a line must be {what}, it is {said!r}.{suggest(said, known)}"
    )


# ---- answers ----------------------------------------------------------------------------------


def _answers(found: Found, card: Card, rows: Sequence[Row]) -> Scored:
    """A question without an answer scores 0, as in the official scripts."""
    names = layout.own_ids(card, [row["id"] for row in rows])
    texts = ([answer["text"] for answer in row["answers"]] for row in rows)
    gold = dict(zip(names, texts, strict=True))
    empty = "count as unanswerable" if card.scorer == "squad_v2" else "score 0"
    known, notes = answered(found, gold, empty=empty)
    for name, text in known.items():
        if not isinstance(text, str):
            raise DataError(f"{found.path}: an answer must be a text; that of {name!r} is none.")
    if card.scorer == "squad_v2":
        from sweeper.tasks.metrics.squad_v2 import Answers

        said = {name: known.get(name, "") for name in gold}
        plain = Answers(gold, said, dict.fromkeys(gold, 0.0)).at(0.0)
        exact, f1 = plain["exact"], plain["f1"]
        values = {"exact_match": exact, "f1": f1, "mean_em_f1": (exact + f1) / 2}
    else:
        words = qa.mlqa(found.language) if card.scorer == "mlqa" else qa.squad
        values = qa.answers(gold, known, words)
    return Scored(values, len(gold), notes)


def answered(
    found: Found, questions: Collection[str], said: str = "answer", empty: str = "score 0"
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """What a file says of the questions of the data, and notes on those that lack or are others.

    ``said`` is what the file has by question, ``empty`` what those without it do.

    Raises:
        DataError: the file has none of the questions.
    """
    given = layout.answers_of(found.path)
    if not given:
        raise DataError(
            f"{found.path}: the file must have the {said}s by question id; it has none. Write "
            "them, or take the file away."
        )
    known = {name: one for name, one in given.items() if name in questions}
    if not known:
        raise DataError(
            f"{found.path}: {said}s must be by question id; none of the {len(given)} ids is one "
            f"of {found.task}'s, such as {next(iter(questions))!r}. Write the ids of the data."
        )
    notes = []
    if lacking := len(questions) - len(known):
        notes.append(f"{lacking:,} of {len(questions):,} questions have no {said}, and {empty}")
    if others := len(given) - len(known):
        notes.append(f"{said}s to no question of the data, which do not count: {others:,}")
    return known, tuple(notes)


# ---- pairs ------------------------------------------------------------------------------------


def _retrieved(found: Found, card: Card, rows: Sequence[Row]) -> Scored:
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
    said = [names[int(line)] for line in given]
    return Scored({"accuracy": metrics.accuracy(gold, said)}, len(gold))


def _mined(found: Found, card: Card, rows: Sequence[Row]) -> Scored:
    """A pair with an id that the data lack counts as wrong, as in evaluate.py."""
    pairs = []
    for number, line in enumerate(layout.labels_of(found.path), 1):
        ids = line.split("\t")
        if len(ids) != 2:
            raise DataError(
                f"{found.path}:{number}: a line must have a foreign and an English id with a tab "
                f"between them and nothing else, it is {line!r}."
            )
        pairs.append((ids[0], ids[1]))
    gold = [(row["id"], row["partner"]) for row in rows if row["side"] == 0 and row["partner"]]
    return Scored(mining.pair_f1(gold, pairs), len(gold), _strangers(found, pairs, rows))


def _strangers(found: Found, pairs: Sequence[mining.Pair], rows: Sequence[Row]) -> tuple[str, ...]:
    """What to say of pairs whose ids are not the data's."""
    foreign, english = ({row["id"] for row in rows if row["side"] == side} for side in (0, 1))
    unknown = [(one, two) for one, two in pairs if one not in foreign or two not in english]
    if not pairs:
        return ("no pair at all",)
    if len(unknown) == len(pairs):
        raise DataError(
            f"{found.path}: a line must have a foreign and an English id of the data, such as "
            f"{next(iter(foreign))!r} and {next(iter(english))!r}; none of the {len(pairs):,} "
            f"does, the first is {pairs[0]!r}. Write the ids of the data, the foreign one first."
        )
    if not unknown:
        return ()
    first = " ".join(unknown[0])
    return (
        f"{len(unknown):,} of {len(pairs):,} pairs have an id that the data lack (the first: "
        f"{first}), and count as wrong",
    )


def _check_count(found: Found, given: int, wanted: int, what: str) -> None:
    if given != wanted:
        raise DataError(
            f"{found.path}: the file must have as many {what} as the data, {wanted}; it has "
            f"{given}. Predict every example, in the order of the data."
        )


SCORERS: dict[str, Scorer] = {
    "classification": _labels,
    "multiple_choice": _choices,
    "token_classification": _tags,
    "span_extraction": _answers,
    "sentence_retrieval": _retrieved,
    "bitext_mining": _mined,
}
"""By kind; answer retrieval, which needs the candidates, has `sweeper.report.rankings`."""
