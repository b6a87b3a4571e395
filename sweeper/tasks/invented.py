"""Five invented, related languages, and what can be said in them.

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
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import cache
from itertools import chain
from typing import NamedTuple, TypeVar

LANGUAGES = ("qaa", "qab", "qac", "qad", "qae")
SOURCE = LANGUAGES[0]

_DISTANCE = dict(zip(LANGUAGES, (0.0, 0.2, 0.4, 0.6, 0.8), strict=True))
_VERB_FINAL = "qae"

FINE = {
    "person": ("healer", "ruler", "maker"),
    "animal": ("bird", "fish", "beast"),
    "food": ("fruit", "grain", "drink"),
    "tool": ("blade", "vessel", "rope"),
    "place": ("house", "water", "field"),
}
"""Coarse class -> its fine ones."""
COARSE = {fine: coarse for coarse, fines in FINE.items() for fine in fines}

FRAMES = {
    "meal": ("person", "food"),
    "graze": ("animal", "food"),
    "craft": ("person", "tool"),
    "travel": ("person", "place"),
    "roam": ("animal", "place"),
    "herd": ("person", "animal"),
}
"""Topic -> the coarse classes of its verbs' subject and object."""
TOPICS = tuple(FRAMES)

_PARTICLES = tuple(f"particle.{i}" for i in range(6))
_NOUNS = {fine: tuple(f"{fine}.{i}" for i in range(10)) for fine in COARSE}
_VERBS = {topic: tuple(f"{topic}.{i}" for i in range(10)) for topic in FRAMES}
_ADJECTIVES = {coarse: tuple(f"{coarse}-like.{i}" for i in range(4)) for coarse in FINE}

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


_T = TypeVar("_T")


def seeded(seed: str) -> random.Random:
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
    rng, taken = seeded(f"lexicon/{SOURCE}"), set[str]()
    concepts = chain(_PARTICLES, *_NOUNS.values(), *_VERBS.values(), *_ADJECTIVES.values())
    return {concept: _coin(rng, concept, taken) for concept in concepts}


@cache
def lexicon(language: str) -> dict[str, str]:
    """Concept -> word, one to one. A word means the same thing wherever it is inherited."""
    source, distance = _source_lexicon(), _DISTANCE[language]
    if language == SOURCE:
        return source
    rng, taken = seeded(f"lexicon/{language}"), set(source.values())
    words: dict[str, str] = {}
    for concept, inherited in source.items():
        # the fate of a concept is the same in all languages, so that changes nest
        fate = 0.0 if concept in _PARTICLES else seeded(f"fate/{concept}").random()
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
    fines = FINE[coarse]
    fine = fines[leaning % 3] if rng.random() < _LEANING else _pick(rng, fines)
    adjective = None
    if rng.random() < 0.4:
        likeness = coarse if rng.random() < _LEANING else _pick(rng, tuple(FINE))
        adjective = _pick(rng, _ADJECTIVES[likeness])
    return Phrase(adjective, _pick(rng, _NOUNS[fine]))


def invent(rng: random.Random) -> Sentence:
    """A sentence, in concepts."""
    topic = _pick(rng, TOPICS)
    number = _pick(rng, range(len(_VERBS[topic])))
    subject, thing = FRAMES[topic]
    return Sentence(
        topic=topic,
        verb=_VERBS[topic][number],
        subject=_phrase(rng, subject, number),
        thing=_phrase(rng, thing, number // 3),
        place=_phrase(rng, "place", _pick(rng, range(3))) if rng.random() < 0.3 else None,
    )


def order(sentence: Sentence, language: str) -> list[str]:
    """The concepts in the language's word order, with particles of its own choice."""
    final = language == _VERB_FINAL
    rng = seeded(f"particles/{language}/{' '.join(sentence.concepts())}")

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


def say(sentence: Sentence, language: str) -> list[str]:
    """The words of the sentence."""
    words = lexicon(language)
    return [words[concept] for concept in order(sentence, language)]
