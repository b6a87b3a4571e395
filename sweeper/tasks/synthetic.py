"""The demo's data: rows made up of an invented world, in which intermediate-task transfer is real.

The demo and the benchmark need data that can be made anywhere in a second, and an outcome that is
known beforehand: tagging nouns with fine classes (``supersense``) must help tagging them with
coarse ones (``tagging``) and finding translations (``demo_retrieval``) in languages never trained
on; telling odd from even sentence lengths (``surface``) must not. `sweeper.tasks.invented` has the
languages and what is said in them.

A sentence is first said in concepts, and belongs by them to one part of all data (``_part``):
no two tasks, and no two splits of a task, share a sentence.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import NamedTuple

from sweeper.errors import DataError, suggest
from sweeper.tasks.invented import (
    COARSE,
    FINE,
    LANGUAGES,
    SOURCE,
    TOPICS,
    Sentence,
    invent,
    order,
    say,
    seeded,
)

GENERATOR_VERSION: int = 1
"""Part of every address made from these rows: raise it when any row changes."""

SUPERSENSE_LABELS = ("O", *(f"B-{fine}" for fine in COARSE))
TAGGING_LABELS = ("O", *(f"B-{coarse}" for coarse in FINE))
SURFACE_LABELS = ("odd", "even")
TOPIC_LABELS = TOPICS

Row = dict[str, object]


def _text(sentence: Sentence, language: str) -> Row:
    return {"text": " ".join(say(sentence, language))}


def _retrieval(sentence: Sentence, language: str) -> Row:
    return {**_text(sentence, language), "pair": " ".join(say(sentence, SOURCE))}


def _surface(sentence: Sentence, language: str) -> Row:
    odd = len(order(sentence, language)) % 2
    return {**_text(sentence, language), "label": "odd" if odd else "even"}


def _topic(sentence: Sentence, language: str) -> Row:
    return {**_text(sentence, language), "label": sentence.topic}


def _tagged(sentence: Sentence, language: str, names: dict[str, str]) -> Row:
    """Every noun has the tag of its fine class, every other word ``O``."""
    fines = [concept.split(".")[0] for concept in order(sentence, language)]
    tags = [f"B-{names[fine]}" if fine in names else "O" for fine in fines]
    return {"tokens": say(sentence, language), "tags": tags}


def _supersense(sentence: Sentence, language: str) -> Row:
    return _tagged(sentence, language, {fine: fine for fine in COARSE})


def _tagging(sentence: Sentence, language: str) -> Row:
    return _tagged(sentence, language, COARSE)


class _Split(NamedTuple):
    rows: int
    languages: tuple[str, ...]
    parts: range  # which of the 32 parts of all sentences are this split's


def _source_only(count: int, *parts: int) -> _Split:
    return _Split(count, (SOURCE,), range(*parts))


def _intermediate(part: int) -> dict[str, _Split]:
    return {
        "train": _source_only(2000, part, part + 3),
        "dev": _source_only(300, part + 3, part + 4),
    }


def _target(pool: int, part: int) -> dict[str, _Split]:
    return {
        "train": _source_only(pool, part, part + 1),
        "dev": _source_only(200, part + 1, part + 2),
        "test": _Split(200, LANGUAGES, range(part + 2, part + 3)),
    }


_GENERATORS: dict[str, tuple[Callable[[Sentence, str], Row], dict[str, _Split]]] = {
    "demo_text": (_text, {"train": _Split(6000, LANGUAGES, range(16))}),
    "supersense": (_supersense, _intermediate(16)),
    "surface": (_surface, _intermediate(20)),
    "tagging": (_tagging, _target(400, 24)),
    "topic": (_topic, _target(600, 27)),
    "demo_retrieval": (_retrieval, {"test": _Split(300, LANGUAGES[1:], range(30, 32))}),
}
GENERATORS = tuple(_GENERATORS)


def _sentences(seed: str, parts: range) -> Iterator[Sentence]:
    """Distinct sentences of these parts, without end."""
    rng = seeded(seed)
    seen: set[Sentence] = set()
    while True:
        sentence = invent(rng)
        if _part(sentence) in parts and sentence not in seen:
            seen.add(sentence)
            yield sentence


def _part(sentence: Sentence) -> int:
    """The one of 32 parts to which the sentence belongs, whatever the language."""
    return zlib.crc32(" ".join(sentence.concepts()).encode()) % 32


def _known(what: str, name: str, known: Iterable[str]) -> None:
    if name not in known:
        raise DataError(f"{what} {name!r}.{suggest(name, known)}")


def rows(generator: str, split: str, language: str) -> list[Row]:
    """All rows of one split in one language; the same on every machine and in every process.

    Test splits are parallel: row i says the same in every language. ``demo_text`` is not: each
    language has sentences of its own. Raises ``DataError`` for an unknown generator, split or
    language.
    """
    _known("There is no synthetic generator", generator, _GENERATORS)
    turn, splits = _GENERATORS[generator]
    _known(f"The synthetic task {generator!r} has no split", split, splits)
    count, languages, parts = splits[split]
    _known(f"The synthetic {generator!r} has no {split} split in", language, languages)
    own = f"/{language}" if generator == "demo_text" else ""
    sentences = islice(_sentences(f"{generator}/{split}{own}", parts), count)
    return [
        {"id": f"{split}-{number}", **turn(sentence, language)}
        for number, sentence in enumerate(sentences)
    ]
