"""A made-up world in five related languages, in which intermediate-task transfer is real.

The demo and the benchmark need data that can be made anywhere in a second, and an outcome that is
known beforehand: tagging nouns with fine classes (``supersense``) must help tagging them with
coarse ones (``tagging``) and finding translations (``demo_retrieval``) in languages never trained
on; telling odd from even sentence lengths (``surface``) must not. So:

* 150 nouns in 5 coarse classes of 3 fine ones each; 60 verbs in 6 frames, a frame being the coarse
  classes of subject and object (a person's meal is food); 20 adjectives. Verbs and adjectives lean
  to certain classes, so that text alone says something about every noun.
* 6 particles, which mean nothing and which every language sprinkles at random and spells its own
  way. They tell a masked language model which language it reads; training that ignores them brings
  the languages together, hence the gain in retrieval.
* ``qaa`` is the source. A language at distance d keeps a word with probability 1 - d, shifts some
  consonants with d/2 (which leaves a word without them as it is) and has a word of its own with
  d/2; the same words change in every farther language. Only the farthest, ``qae``, puts the verb
  last and the adjective after the noun: a nearer one that did so would upset the order.

A sentence is first said in concepts, and belongs by them to one part of all data (``_part``):
no two tasks, and no two splits of a task, share a sentence.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from itertools import chain, islice
from typing import NamedTuple, TypeVar

from sweeper.errors import DataError, suggest

GENERATOR_VERSION: int = 1
"""Part of every address made from these rows: raise it when any row changes."""

LANGUAGES = ("qaa", "qab", "qac", "qad", "qae")
SOURCE = LANGUAGES[0]

_DISTANCE = dict(zip(LANGUAGES, (0.0, 0.2, 0.4, 0.6, 0.8), strict=True))
_VERB_FINAL = "qae"

_FINE = {
    "person": ("healer", "ruler", "maker"),
    "animal": ("bird", "fish", "beast"),
    "food": ("fruit", "grain", "drink"),
    "tool": ("blade", "vessel", "rope"),
    "place": ("house", "water", "field"),
}
_COARSE = {fine: coarse for coarse, fines in _FINE.items() for fine in fines}

_FRAMES = {
    "meal": ("person", "food"),
    "graze": ("animal", "food"),
    "craft": ("person", "tool"),
    "travel": ("person", "place"),
    "roam": ("animal", "place"),
    "herd": ("person", "animal"),
}

SUPERSENSE_LABELS = ("O", *(f"B-{fine}" for fine in _COARSE))
TAGGING_LABELS = ("O", *(f"B-{coarse}" for coarse in _FINE))
SURFACE_LABELS = ("odd", "even")
TOPIC_LABELS = tuple(_FRAMES)

_PARTICLES = tuple(f"particle.{i}" for i in range(6))
_NOUNS = {fine: tuple(f"{fine}.{i}" for i in range(10)) for fine in _COARSE}
_VERBS = {topic: tuple(f"{topic}.{i}" for i in range(10)) for topic in _FRAMES}
_ADJECTIVES = {coarse: tuple(f"{coarse}-like.{i}" for i in range(4)) for coarse in _FINE}

_LEANING = 0.6
"""How often a verb or an adjective goes with the class it leans to rather than with any."""
_PARTICLE_RATE = 0.7
"""How often a phrase or a verb has a particle. Below .5 the languages look so alike that the base
model finds most translations already, and nothing is left to gain."""

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
    verb: str
    subject: Phrase
    thing: Phrase
    place: Phrase | None

    def concepts(self) -> list[str]:
        """The verb, the nouns and the adjectives, in an order that identifies the sentence."""
        phrases = (self.subject, self.thing, self.place or ())
        return [self.verb, *(concept for phrase in phrases for concept in phrase if concept)]


Row = dict[str, object]
_T = TypeVar("_T")


def _random(seed: str) -> random.Random:
    """Seeded by text: the same everywhere, unlike anything that goes through ``hash``."""
    return random.Random(seed)  # noqa: S311 - words, not secrets


def _pick(rng: random.Random, options: Sequence[_T]) -> _T:
    """One option. Only ``Random.random`` is promised to stay the same across Python versions."""
    return options[int(rng.random() * len(options))]


# ---- the lexicon -----------------------------------------------------------------------------


def _coin(rng: random.Random, concept: str, taken: set[str]) -> str:
    """A word not taken yet: one syllable for a particle, two or three for the others."""
    while True:
        syllables = 1 if concept in _PARTICLES else _pick(rng, (2, 2, 3))
        word = "".join(_pick(rng, _CONSONANTS) + _pick(rng, _VOWELS) for _ in range(syllables))
        if word not in taken:
            taken.add(word)
            return word


@cache
def _source_lexicon() -> dict[str, str]:
    rng, taken = _random(f"lexicon/{SOURCE}"), set[str]()
    concepts = chain(_PARTICLES, *_NOUNS.values(), *_VERBS.values(), *_ADJECTIVES.values())
    return {concept: _coin(rng, concept, taken) for concept in concepts}


@cache
def lexicon(language: str) -> dict[str, str]:
    """Concept -> word, one to one. A word means the same thing wherever it is inherited."""
    source, distance = _source_lexicon(), _DISTANCE[language]
    if language == SOURCE:
        return source
    rng, taken = _random(f"lexicon/{language}"), set(source.values())
    words: dict[str, str] = {}
    for concept, inherited in source.items():
        # the fate of a concept is the same in all languages, so that changes nest
        fate = 0.0 if concept in _PARTICLES else _random(f"fate/{concept}").random()
        shifted = inherited.translate(_SHIFTS[language])
        if fate >= distance:
            words[concept] = inherited
        elif fate >= distance / 2 and (shifted == inherited or shifted not in taken):
            words[concept] = shifted
            taken.add(shifted)
        else:
            words[concept] = _coin(rng, concept, taken)
    return words


# ---- sentences -------------------------------------------------------------------------------


def _phrase(rng: random.Random, coarse: str, leaning: int) -> Phrase:
    """A noun of the coarse class, rather of its fine class number ``leaning`` modulo 3."""
    fines = _FINE[coarse]
    fine = fines[leaning % 3] if rng.random() < _LEANING else _pick(rng, fines)
    adjective = None
    if rng.random() < 0.4:
        likeness = coarse if rng.random() < _LEANING else _pick(rng, tuple(_FINE))
        adjective = _pick(rng, _ADJECTIVES[likeness])
    return Phrase(adjective, _pick(rng, _NOUNS[fine]))


def _sentence(rng: random.Random) -> Sentence:
    topic = _pick(rng, TOPIC_LABELS)
    number = _pick(rng, range(len(_VERBS[topic])))
    subject, thing = _FRAMES[topic]
    return Sentence(
        topic=topic,
        verb=_VERBS[topic][number],
        subject=_phrase(rng, subject, number),
        thing=_phrase(rng, thing, number // 3),
        place=_phrase(rng, "place", _pick(rng, range(3))) if rng.random() < 0.3 else None,
    )


def _order(sentence: Sentence, language: str) -> list[str]:
    """The concepts in the language's word order, with particles of its own choice."""
    final = language == _VERB_FINAL
    rng = _random(f"particles/{language}/{' '.join(sentence.concepts())}")

    def particle() -> str | None:
        return _pick(rng, _PARTICLES) if rng.random() < _PARTICLE_RATE else None

    def lay(phrase: Phrase | None) -> list[str | None]:
        if phrase is None:
            return []
        order = (phrase.noun, phrase.adjective) if final else phrase
        return [particle(), *order]

    subject, thing, place = lay(sentence.subject), lay(sentence.thing), lay(sentence.place)
    verb = [sentence.verb, particle()]
    parts = (subject, place, thing, verb) if final else (subject, verb, thing, place)
    return [concept for part in parts for concept in part if concept]


def _say(sentence: Sentence, language: str) -> list[str]:
    words = lexicon(language)
    return [words[concept] for concept in _order(sentence, language)]


# ---- rows: each task is a way to turn a sentence into a row ------------------------------------


def _text(sentence: Sentence, language: str) -> Row:
    return {"text": " ".join(_say(sentence, language))}


def _retrieval(sentence: Sentence, language: str) -> Row:
    return {**_text(sentence, language), "pair": " ".join(_say(sentence, SOURCE))}


def _surface(sentence: Sentence, language: str) -> Row:
    odd = len(_order(sentence, language)) % 2
    return {**_text(sentence, language), "label": "odd" if odd else "even"}


def _topic(sentence: Sentence, language: str) -> Row:
    return {**_text(sentence, language), "label": sentence.topic}


def _tagged(sentence: Sentence, language: str, names: dict[str, str]) -> Row:
    """Every noun has the tag of its fine class, every other word ``O``."""
    fines = [concept.split(".")[0] for concept in _order(sentence, language)]
    tags = [f"B-{names[fine]}" if fine in names else "O" for fine in fines]
    return {"tokens": _say(sentence, language), "tags": tags}


def _supersense(sentence: Sentence, language: str) -> Row:
    return _tagged(sentence, language, {fine: fine for fine in _COARSE})


def _tagging(sentence: Sentence, language: str) -> Row:
    return _tagged(sentence, language, _COARSE)


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
    rng = _random(seed)
    seen: set[Sentence] = set()
    while True:
        sentence = _sentence(rng)
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
