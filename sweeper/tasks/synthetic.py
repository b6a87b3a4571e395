"""A made-up world in five related languages, in which intermediate-task transfer is real.

The demo and the benchmark need data that can be generated anywhere in a second, and an outcome that
is known beforehand: tagging words with fine classes (``supersense``) must help tagging them with
coarse ones (``tagging``) in languages never trained on, and telling odd from even sentence lengths
(``surface``) must not. So:

* 150 nouns in 5 coarse classes of 3 fine ones each; 60 verbs in 6 frames, a frame being the coarse
  classes of subject and object ("person eats food"); 20 adjectives; 4 function words. Verbs and
  adjectives lean to certain fine classes, so that text alone says something about every noun.
* ``qaa`` is the source. A language at distance d keeps a word with probability 1 - d, shifts its
  consonants with d/2 and has a word of its own with d/2. A word that one language has lost is lost
  in every farther one. Only the farthest language, ``qae``, puts the verb last and the adjective
  after the noun: doing so in a nearer one would upset the order of the distances.

Every sentence of the source language belongs to exactly one part of the data (see ``_part``), hence
no two tasks, and no two splits of a task, share a sentence.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Iterator
from functools import cache
from typing import NamedTuple

from sweeper.errors import DataError, suggest

GENERATOR_VERSION: int = 1
"""Part of every address made from these rows: raise it when any row changes."""

LANGUAGES = ("qaa", "qab", "qac", "qad", "qae")
SOURCE = LANGUAGES[0]

_DISTANCE = dict(zip(LANGUAGES, (0.0, 0.2, 0.4, 0.6, 0.8), strict=True))
_VERB_FINAL = frozenset({"qae"})

_FINE = {
    "person": ("healer", "ruler", "maker"),
    "animal": ("bird", "fish", "beast"),
    "food": ("fruit", "grain", "drink"),
    "tool": ("blade", "vessel", "rope"),
    "place": ("house", "water", "field"),
}
"""Coarse class -> its fine classes: the labels of ``tagging`` and of ``supersense``."""

_FRAMES = {
    "meal": ("person", "food"),
    "graze": ("animal", "food"),
    "craft": ("person", "tool"),
    "travel": ("person", "place"),
    "roam": ("animal", "place"),
    "herd": ("person", "animal"),
}
"""Label of ``topic`` -> coarse classes of subject and object."""

TAGGING_LABELS = ("O", *(f"B-{coarse}" for coarse in _FINE))
SUPERSENSE_LABELS = ("O", *(f"B-{fine}" for fines in _FINE.values() for fine in fines))
SURFACE_LABELS = ("odd", "even")
TOPIC_LABELS = tuple(_FRAMES)

_NOUNS_PER_FINE = 10
_VERBS_PER_FRAME = 10
_ADJECTIVES_PER_COARSE = 4
_LEANING = 0.6
"""How often a verb or an adjective goes with the class it leans to rather than with any."""

_CONSONANTS = "bdfgklmnprstvz"
_VOWELS = "aeiou"
_SHIFTS = {
    "qab": str.maketrans("ptks", "bdgz"),
    "qac": str.maketrans("ptks", "fzgv"),
    "qad": str.maketrans("bdmr", "vtnl"),
    "qae": str.maketrans("gfnl", "kvmr"),
}


class Phrase(NamedTuple):
    """A noun and perhaps an adjective: concepts, not words of any language."""

    adjective: str | None
    noun: str


class Sentence(NamedTuple):
    """What is said, before a language says it."""

    topic: str
    subject: Phrase
    verb: str
    object: Phrase
    place: Phrase | None


# ---- the lexicon -----------------------------------------------------------------------------


def _nouns(fine: str) -> list[str]:
    return [f"{fine}.{i}" for i in range(_NOUNS_PER_FINE)]


def _verbs(topic: str) -> list[str]:
    return [f"{topic}.{i}" for i in range(_VERBS_PER_FRAME)]


def _adjectives(coarse: str) -> list[str]:
    return [f"{coarse}-like.{i}" for i in range(_ADJECTIVES_PER_COARSE)]


_PARTICLES = tuple(f"particle.{i}" for i in range(6))
_PARTICLE_RATE = 0.6


def _concepts() -> list[str]:
    """All concepts, in an order that never changes."""
    nouns = [noun for fines in _FINE.values() for fine in fines for noun in _nouns(fine)]
    verbs = [verb for topic in _FRAMES for verb in _verbs(topic)]
    adjectives = [word for coarse in _FINE for word in _adjectives(coarse)]
    return [*_PARTICLES, *nouns, *verbs, *adjectives]


def _coin(rng: random.Random, concept: str, taken: set[str]) -> str:
    """A new word: one syllable for a function word, two or three for the others."""
    while True:
        syllables = 1 if concept in _PARTICLES else rng.choice((2, 2, 3))
        word = "".join(rng.choice(_CONSONANTS) + rng.choice(_VOWELS) for _ in range(syllables))
        if word not in taken:
            taken.add(word)
            return word


@cache
def lexicon(language: str) -> dict[str, str]:
    """Concept -> word, one to one."""
    if language == SOURCE:
        rng, taken = random.Random("lexicon/qaa"), set[str]()
        return {concept: _coin(rng, concept, taken) for concept in _concepts()}
    distance, source = _DISTANCE[language], lexicon(SOURCE)
    rng = random.Random(f"lexicon/{language}")
    words: dict[str, str] = {}
    taken = set(source.values())
    for concept, inherited in source.items():
        fate = random.Random(f"fate/{concept}").random()  # the same in all languages: losses nest
        if concept in _PARTICLES:
            fate = 0.0
        if fate >= distance:
            words[concept] = inherited
            continue
        shifted = inherited.translate(_SHIFTS[language])
        if fate >= distance / 2 and (shifted == inherited or shifted not in taken):
            words[concept] = shifted
            taken.add(shifted)
        else:
            words[concept] = _coin(rng, concept, taken)
    return words


# ---- sentences -------------------------------------------------------------------------------


def _noun(rng: random.Random, coarse: str, leaning: int) -> str:
    """A noun of the class, rather of the fine class that the verb leans to."""
    fines = _FINE[coarse]
    fine = fines[leaning % 3] if rng.random() < _LEANING else rng.choice(fines)
    return rng.choice(_nouns(fine))


def _phrase(rng: random.Random, coarse: str, leaning: int) -> Phrase:
    """A noun phrase about the coarse class."""
    adjective = None
    if rng.random() < 0.4:
        about = coarse if rng.random() < _LEANING else rng.choice(tuple(_FINE))
        adjective = rng.choice(_adjectives(about))
    return Phrase(adjective, _noun(rng, coarse, leaning))


def _sentence(rng: random.Random) -> Sentence:
    topic = rng.choice(TOPIC_LABELS)
    number = rng.randrange(_VERBS_PER_FRAME)
    subject, thing = _FRAMES[topic]
    place = _phrase(rng, "place", rng.randrange(3)) if rng.random() < 0.3 else None
    return Sentence(
        topic,
        _phrase(rng, subject, number),
        _verbs(topic)[number],
        _phrase(rng, thing, number // 3),
        place,
    )


def _concepts_of(sentence: Sentence) -> list[str]:
    phrases = [p for p in (sentence.subject, sentence.object, sentence.place) if p]
    return [sentence.verb, *(concept for phrase in phrases for concept in phrase if concept)]


@cache
def _order(sentence: Sentence, language: str) -> list[str]:
    """The sentence's concepts in the language's word order, with particles of its own choice."""
    final = language in _VERB_FINAL
    rng = random.Random(f"particles/{language}/{_concepts_of(sentence)}")

    def lay(phrase: Phrase | None) -> list[str]:
        if phrase is None:
            return []
        words = [phrase.noun, phrase.adjective] if final else [phrase.adjective, phrase.noun]
        particle = rng.choice(_PARTICLES) if rng.random() < _PARTICLE_RATE else None
        return [concept for concept in (particle, *words) if concept]

    subject, thing, place = map(lay, (sentence.subject, sentence.object, sentence.place))
    verb = [sentence.verb]
    if rng.random() < _PARTICLE_RATE:
        verb.append(rng.choice(_PARTICLES))
    if final:
        return [*subject, *place, *thing, *verb]
    return [*subject, *verb, *thing, *place]


def _say(sentence: Sentence, language: str) -> list[str]:
    words = lexicon(language)
    return [words[concept] for concept in _order(sentence, language)]


# ---- tasks: each is a way to turn one sentence into one row ------------------------------------


def _tags(sentence: Sentence, language: str, label: Callable[[str], str]) -> list[str]:
    nouns = {phrase.noun for phrase in (sentence.subject, sentence.object, sentence.place) if phrase}
    return [label(c) if c in nouns else "O" for c in _order(sentence, language)]


_COARSE = {fine: coarse for coarse, fines in _FINE.items() for fine in fines}


def _text_row(sentence: Sentence, language: str) -> dict[str, object]:
    return {"text": " ".join(_say(sentence, language))}


def _supersense_row(sentence: Sentence, language: str) -> dict[str, object]:
    tags = _tags(sentence, language, lambda noun: f"B-{noun.split('.')[0]}")
    return {"tokens": _say(sentence, language), "tags": tags}


def _tagging_row(sentence: Sentence, language: str) -> dict[str, object]:
    tags = _tags(sentence, language, lambda noun: f"B-{_COARSE[noun.split('.')[0]]}")
    return {"tokens": _say(sentence, language), "tags": tags}


def _surface_row(sentence: Sentence, language: str) -> dict[str, object]:
    words = _say(sentence, language)
    return {"text": " ".join(words), "label": SURFACE_LABELS[1 - len(words) % 2]}


def _topic_row(sentence: Sentence, language: str) -> dict[str, object]:
    return {**_text_row(sentence, language), "label": sentence.topic}


def _retrieval_row(sentence: Sentence, language: str) -> dict[str, object]:
    return {**_text_row(sentence, language), "pair": " ".join(_say(sentence, SOURCE))}


class _Split(NamedTuple):
    rows: int
    languages: tuple[str, ...]
    part: range  # which of the 32 parts of all sentences are this split's


class _Generator(NamedTuple):
    row: Callable[[Sentence, str], dict[str, object]]
    splits: dict[str, _Split]


_ONLY = (SOURCE,)
_GENERATORS = {
    "demo_text": _Generator(_text_row, {"train": _Split(6000, LANGUAGES, range(16))}),
    "supersense": _Generator(
        _supersense_row,
        {"train": _Split(2000, _ONLY, range(16, 19)), "dev": _Split(300, _ONLY, range(19, 20))},
    ),
    "surface": _Generator(
        _surface_row,
        {"train": _Split(2000, _ONLY, range(20, 23)), "dev": _Split(300, _ONLY, range(23, 24))},
    ),
    "tagging": _Generator(
        _tagging_row,
        {
            "train": _Split(400, _ONLY, range(24, 25)),
            "dev": _Split(200, _ONLY, range(25, 26)),
            "test": _Split(200, LANGUAGES, range(26, 27)),
        },
    ),
    "topic": _Generator(
        _topic_row,
        {
            "train": _Split(600, _ONLY, range(27, 28)),
            "dev": _Split(200, _ONLY, range(28, 29)),
            "test": _Split(200, LANGUAGES, range(29, 30)),
        },
    ),
    "demo_retrieval": _Generator(
        _retrieval_row, {"test": _Split(300, LANGUAGES[1:], range(30, 32))}
    ),
}
GENERATORS = tuple(_GENERATORS)


def _part(sentence: Sentence) -> int:
    """The one of 32 parts to which the sentence belongs, by its source wording alone."""
    return zlib.crc32(" ".join(_concepts_of(sentence)).encode()) % 32


def _sentences(seed: str, part: range) -> Iterator[Sentence]:
    """Distinct sentences of the part, without end."""
    rng = random.Random(seed)
    seen: set[str] = set()
    while True:
        sentence = _sentence(rng)
        wording = " ".join(_concepts_of(sentence))
        if _part(sentence) in part and wording not in seen:
            seen.add(wording)
            yield sentence


def _find(generator: str, split: str, language: str) -> tuple[_Generator, _Split]:
    if generator not in _GENERATORS:
        raise DataError(
            f"No synthetic generator is called {generator!r}.{suggest(generator, _GENERATORS)}"
        )
    found = _GENERATORS[generator]
    if split not in found.splits:
        raise DataError(
            f"The synthetic task {generator!r} has no split {split!r}."
            f"{suggest(split, found.splits)}"
        )
    chosen = found.splits[split]
    if language not in chosen.languages:
        raise DataError(
            f"The split {split!r} of the synthetic task {generator!r} has no language "
            f"{language!r}.{suggest(language, chosen.languages)}"
        )
    return found, chosen


def rows(generator: str, split: str, language: str) -> list[dict[str, object]]:
    """All rows of one split in one language; the same on every machine and in every process.

    Test splits are parallel: row i says the same in every language. ``demo_text`` is not: each
    language has sentences of its own. Raises ``DataError`` for an unknown generator, split or
    language.
    """
    found, chosen = _find(generator, split, language)
    own = f"/{language}" if generator == "demo_text" else ""
    sentences = _sentences(f"{generator}/{split}{own}", chosen.part)
    return [
        {"id": f"{split}-{number}", **found.row(sentence, language)}
        for number, sentence in zip(range(chosen.rows), sentences, strict=False)
    ]
