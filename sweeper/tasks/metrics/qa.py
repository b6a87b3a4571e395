"""Exact match and F1 of short answers, as the scripts of SQuAD v1.1 and of MLQA compute them.

An answer is normalised, compared with every gold answer, and gets the best of each metric on its
own. `SQUAD` normalises by English rules whatever the language, which is how XQuAD and TyDiQA are
scored; `mlqa` returns the rules of a language.
"""

from __future__ import annotations

import re
import string
import sys
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import TypeAlias

from sweeper.errors import DataError, suggest

Normaliser: TypeAlias = Callable[[str], list[str]]
"""An answer as the list of its words that count."""

ARTICLES = {
    "en": r"\b(a|an|the)\b",
    "es": r"\b(un|una|unos|unas|el|la|los|las)\b",
    "de": r"\b(ein|eine|einen|einem|eines|einer|der|die|das|den|dem|des)\b",
    "vi": r"\b(của|là|cái|chiếc|những)\b",
    # Every "al", inside words too: MLQA's own expression is meant otherwise, but does that.
    "ar": "ال",
    "hi": None,
    "zh": None,
}
"""What MLQA deletes as articles, per language."""

_ASCII_PUNCTUATION = {ord(character): None for character in string.punctuation}
_HAN = re.compile("[\u4e00-\u9fa5]")
"""The characters that MLQA takes for words of their own (the Unicode block is longer)."""


def squad(answer: str) -> list[str]:
    """The words of an answer by SQuAD's English rules: no case, punctuation or articles."""
    bare = answer.lower().translate(_ASCII_PUNCTUATION)
    return re.sub(r"\b(a|an|the)\b", " ", bare).split()


def mlqa(language: str) -> Normaliser:
    """MLQA's rules for the answers of ``language``; `DataError` for a language without any."""
    if language not in ARTICLES:
        raise DataError(
            f"MLQA's scorer has no rules for the language {language!r}."
            f"{suggest(language, ARTICLES)} Score other languages as `squad`."
        )
    pattern = ARTICLES[language]
    articles = re.compile(pattern) if pattern else None

    def words(answer: str) -> list[str]:
        bare = answer.lower().translate(_all_punctuation())
        if articles:
            bare = articles.sub(" ", bare)
        return _HAN.sub(r" \g<0> ", bare).split() if language == "zh" else bare.split()

    return words


@cache
def _all_punctuation() -> dict[int, None]:
    every = range(sys.maxunicode + 1)
    return _ASCII_PUNCTUATION | {
        code: None for code in every if unicodedata.category(chr(code)).startswith("P")
    }


def compare(
    answer: str, golds: Sequence[str], normalise: Normaliser = squad
) -> tuple[float, float]:
    """(exact match, F1) of an answer, both 0..1, each the best over the gold answers.

    Two answers without any word match exactly and have an F1 of 0, as in the official scripts.
    """
    given = normalise(answer)
    right = [normalise(gold) for gold in golds]
    exact = max((float(given == one) for one in right), default=0.0)
    return exact, max((overlap(given, one) for one in right), default=0.0)


def overlap(given: Sequence[str], right: Sequence[str]) -> float:
    """F1 (0..1) of two lists of words, as bags; 0 if they share none."""
    same = sum((Counter(given) & Counter(right)).values())
    if not same:
        return 0.0
    precision, recall = same / len(given), same / len(right)
    return 2 * precision * recall / (precision + recall)


def answers(
    gold: Mapping[str, Sequence[str]],
    predicted: Mapping[str, str],
    normalise: Normaliser = squad,
) -> dict[str, float]:
    """``exact_match``, ``f1`` and their mean ``mean_em_f1`` over all questions.

    Args:
        gold: question id -> its right answers.
        predicted: question id -> the answer given; a question without one scores 0.
        normalise: the words of an answer: `squad`, or `mlqa` of a language.

    Raises:
        DataError: there is no question.
    """
    return means(
        [
            compare(predicted[name], right, normalise) if name in predicted else (0.0, 0.0)
            for name, right in gold.items()
        ]
    )


def means(pairs: Sequence[tuple[float, float]]) -> dict[str, float]:
    """The same of questions that are compared already; `DataError` if there is none."""
    if not pairs:
        raise DataError("Scoring answers needs at least one question; there is none.")
    exact = 100.0 * sum(pair[0] for pair in pairs) / len(pairs)
    f1 = 100.0 * sum(pair[1] for pair in pairs) / len(pairs)
    return {"exact_match": exact, "f1": f1, "mean_em_f1": (exact + f1) / 2}
