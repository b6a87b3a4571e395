"""Files of text: a sentence per line, alone, parallel or with ids; a word per line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeper.errors import DataError
from sweeper.tasks.formats.base import Record, bad, decoded, fault, lines, load_json

if TYPE_CHECKING:
    from sweeper.tasks.card import LocalSource


def parse_lines(paths: Sequence[Path], source: LocalSource, language: str) -> Iterator[Record]:
    """One text per line; blank lines are passed over."""
    for number, line, _ in decoded(paths[0]):
        if isinstance(line, DataError):
            yield bad(paths[0], number, line)
        elif line.strip():
            yield Record(str(paths[0]), number, {"text": line})


def parse_parallel(paths: Sequence[Path], source: LocalSource, language: str) -> Iterator[Record]:
    """Two files of one sentence per line; line n of one translates line n of the other."""
    foreign, pivot = paths
    ours, theirs = lines(foreign), lines(pivot)
    number = 0
    while True:
        one, other = next(ours, None), next(theirs, None)
        if one is None and other is None:
            return
        if one is None or other is None:
            raise _unequal(foreign, pivot, number, ours, theirs, short_is_foreign=one is None)
        number = one[0]
        yield Record(str(foreign), number, {"text": one[1], "pair": other[1]})


def _unequal(
    foreign: Path,
    pivot: Path,
    number: int,
    ours: Iterator[Any],
    theirs: Iterator[Any],
    *,
    short_is_foreign: bool,
) -> DataError:
    short, long = (foreign, pivot) if short_is_foreign else (pivot, foreign)
    more = number + 1 + sum(1 for _ in (theirs if short_is_foreign else ours))
    return fault(
        long,
        number + 1,
        f"parallel files must have equally many lines; this one has {more} and {short} has "
        f"{number}",
        "Get both files again",
    )


def parse_conll(paths: Sequence[Path], source: LocalSource, language: str) -> Iterator[Record]:
    """A token and its tag per line, separated by a tab; a blank line ends a sentence."""
    path = paths[0]
    at_token = _column(source.columns.get("tokens", 0))
    at_tag = _column(source.columns.get("tags", 1))
    prefix = f"{language}:" if source.language_prefix else ""
    tokens: list[str] = []
    tags: list[str] = []
    start = 0
    for number, line, _ in lines(path):
        if not line.strip():
            if tokens:
                yield Record(str(path), start, {"tokens": tokens, "tags": tags}, step=1)
            tokens, tags = [], []
            continue
        cells = line.split("\t")
        if len(cells) <= max(at_token, at_tag) or not cells[at_token] or not cells[at_tag]:
            raise fault(
                path,
                number,
                f"a line must have a token and a tag with a tab between them, it is {line!r}",
                "Mend the line (XTREME's own download leaves the tags out of its test files)",
            )
        if not tokens:
            start = number
        tokens.append(cells[at_token].removeprefix(prefix) or cells[at_token])
        tags.append(cells[at_tag])
    if tokens:
        yield Record(str(path), start, {"tokens": tokens, "tags": tags}, step=1)


def _column(given: str | int | tuple[str, ...]) -> int:
    if not isinstance(given, int):
        raise DataError(
            f"Columns of the format 'conll' are positions from 0; the card says {given!r}. "
            "Write a number in the card's `columns:`."
        )
    return given


# ---- BUCC -------------------------------------------------------------------------------------


def parse_bucc(paths: Sequence[Path], source: LocalSource, language: str) -> Iterator[Record]:
    """BUCC's three files: foreign and English sentences, and the pairs that translate each other.

    Each line has two parts with a tab between them: id and sentence, or two ids.
    """
    foreign, english, gold = paths
    known: list[set[str]] = []
    partners: list[dict[str, tuple[int, str]]] = [{}, {}]
    for number, first, second in _pairs_of(gold, "two ids"):
        for side, (mine, other) in enumerate(((first, second), (second, first))):
            if mine in partners[side]:
                raise fault(gold, number, f"{mine!r} must be in one pair only", "Mend the file")
            partners[side][mine] = (number, other)
    for side, path in enumerate((foreign, english)):
        seen: set[str] = set()
        for number, name, sentence in _pairs_of(path, "an id and a sentence"):
            if name in seen:
                raise fault(path, number, f"ids must be unique; {name!r} is not", "Mend the file")
            seen.add(name)
            partner = partners[side].get(name, (0, ""))[1]
            values = {"id": name, "text": sentence, "side": side, "partner": partner}
            yield Record(str(path), number, values)
        known.append(seen)
    for side, path in enumerate((foreign, english)):
        for name, (number, _) in partners[side].items():
            if name not in known[side]:
                raise fault(
                    gold, number, f"a pair must be of known sentences; {path} has no {name!r}",
                    "Get all three files again",
                )  # fmt: skip


def _pairs_of(path: Path, what: str) -> Iterator[tuple[int, str, str]]:
    for number, line, _ in lines(path):
        if not line.strip():
            continue
        first, tab, second = line.partition("\t")
        if not tab or not first or not second:
            broken = f"a line must have {what} with a tab between them, it is {line[:80]!r}"
            raise fault(path, number, broken, "Mend the line")
        yield number, first.strip(), second.strip() if what == "two ids" else second


# ---- sentences with numbered tags -------------------------------------------------------------


def parse_numbered_tags(
    paths: Sequence[Path], source: LocalSource, language: str
) -> Iterator[Record]:
    """A sentence per line: words, a tab, tags, with spaces between; a JSON file numbers the tags.

    A label is the tag's number. That is jiant's form of CCGbank.
    """
    path, numbering = paths
    numbers = load_json(numbering)
    if not isinstance(numbers, dict):
        raise fault(numbering, 1, "the file must map tags to numbers", "Mend the file")
    for number, line, _ in lines(path):
        if not line.strip():
            continue
        words, _, said = line.partition("\t")
        tags = said.split()
        for tag in tags:
            if tag not in numbers:
                raise fault(
                    path,
                    number,
                    f"a tag must be in {numbering}; {tag!r} is not",
                    "Mend one of them",
                )
        values = {"tokens": words.split(), "tags": [str(numbers[tag]) for tag in tags]}
        yield Record(str(path), number, values)
