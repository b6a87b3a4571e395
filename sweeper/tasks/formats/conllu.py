"""Universal Dependencies' CoNLL-U, read as XTREME's download script does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from sweeper.tasks.formats.base import Record, fault, lines

if TYPE_CHECKING:
    from sweeper.tasks.card import LocalSource

_ORDER = (
    "VERB", "NOUN", "PROPN", "PRON", "ADJ", "NUM", "ADV", "INTJ", "AUX", "ADP", "DET", "PART",
    "CCONJ", "SCONJ", "X", "PUNCT",
)  # fmt: skip
"""Which of several equally high words gives a fused form its tag: the first of these."""

_ORDER_OF = {
    "es": ("VERB", "AUX", "PRON", "ADP", "DET"),
    "fr": ("VERB", "AUX", "PRON", "NOUN", "ADJ", "ADV", "ADP", "DET", "PART", "SCONJ", "CONJ"),
    "it": ("VERB", "AUX", "ADV", "PRON", "ADP", "DET", "INTJ"),
}
"""The languages with an order of their own; tags that it does not have come last."""


class _Word(NamedTuple):
    line: int
    form: str
    tag: str
    heads: frozenset[int]


def parse_conllu(paths: Sequence[Path], source: LocalSource, language: str) -> Iterator[Record]:
    """Sentences as ``tokens`` and ``tags``, and the line on which their first word stands.

    What is written as one word is one token ("del", not "di il"), with the tag of the word that
    has the fewest ancestors, enhanced dependencies included. A tag that is not given is X.
    Sentences whose words are withheld ("_") are left out. Zero-width non-joiners and spaces within
    a word, which Vietnamese has, are deleted.
    """
    path = paths[0]
    words: dict[int, _Word] = {}
    fused: dict[int, tuple[int, str, int]] = {}
    for number, line, _ in lines(path):
        if line.startswith("#"):
            continue
        if line.strip():
            _take(path, number, line, words, fused)
            continue
        yield from _sentence(path, language, words, fused)
        words, fused = {}, {}
    yield from _sentence(path, language, words, fused)


def _take(
    path: Path,
    number: int,
    line: str,
    words: dict[int, _Word],
    fused: dict[int, tuple[int, str, int]],
) -> None:
    """Put one line into ``words`` (by id) or ``fused`` (first id -> last id, form, line)."""
    cells = line.split("\t")
    if len(cells) != 10 or not cells[1]:
        raise fault(
            path, number, f"a word must have 10 columns, this has {len(cells)}", "Mend the line"
        )
    name = cells[0]
    if "." in name:  # a word that is understood, not written
        return
    try:
        if "-" in name:
            first, last = map(int, name.split("-"))
            fused[first] = (last, cells[1], number)
            return
        heads = {int(cells[6])} if cells[6] != "_" else set()
        identity = int(name)
    except ValueError:
        raise fault(
            path,
            number,
            f"a word's id and head must be numbers, they are {name!r} and {cells[6]!r}",
            "Mend the line",
        ) from None
    if identity != len(words) + 1:
        raise fault(
            path,
            number,
            f"the words of a sentence must be numbered from 1; {identity} follows {len(words)}",
            "Mend the line",
        )
    enhanced = (relation.split(":")[0] for relation in cells[8].split("|"))
    heads.update(int(head) for head in enhanced if head.isdecimal())
    tag = cells[3] if cells[3] != "_" else "X"
    words[identity] = _Word(number, cells[1], tag, frozenset(heads))


def _sentence(
    path: Path,
    language: str,
    words: dict[int, _Word],
    fused: dict[int, tuple[int, str, int]],
) -> Iterator[Record]:
    order = _ORDER_OF.get(language, _ORDER)
    tokens, tags = [], []
    identity = 1
    while identity <= len(words):
        last, form, line = fused.get(identity, (identity, words[identity].form, 0))
        if last > len(words):
            raise fault(
                path, line, f"a fused form ends at word {last}, the last one is {len(words)}",
                "Mend the line",
            )  # fmt: skip
        tokens.append(form.replace("\u200c", "").replace(" ", ""))
        tags.append(_highest(words, range(identity, last + 1), order).tag)
        identity = last + 1
    withheld = tokens.count("_")
    if tokens and not (withheld and withheld >= len(tokens) - 1):
        yield Record(str(path), words[1].line, {"tokens": tokens, "tags": tags})


def _highest(words: dict[int, _Word], span: range, order: Sequence[str]) -> _Word:
    """The word of the span with the fewest ancestors; of several, the first by ``order``."""
    if len(span) == 1:
        return words[span[0]]

    def rank(identity: int) -> tuple[int, int]:
        tag = words[identity].tag
        height = len(_ancestors(words, identity))
        return height, order.index(tag) if tag in order else len(order)

    return words[min(span, key=rank)]


def _ancestors(words: dict[int, _Word], identity: int) -> set[int]:
    """All that a word depends on; enhanced dependencies may go round in circles."""
    found: set[int] = set()
    open_ = [identity]
    while open_:
        word = words.get(open_.pop())
        new = word.heads - found if word else frozenset()
        found |= new
        open_ += new
    return found - {identity}
