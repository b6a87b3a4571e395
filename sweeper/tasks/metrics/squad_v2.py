"""SQuAD v2.0: some questions have no answer, and a threshold decides when to give none.

After the official script: its search over thresholds is reproduced with its two peculiarities,
that it can stop between questions of one probability, and that it counts a question without an
answer as lost when any answer is given, whatever its words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sweeper.errors import DataError
from sweeper.tasks.metrics import qa


class Best(NamedTuple):
    """The highest score in percent over all thresholds, and the threshold that gave it."""

    score: float
    threshold: float


class Answers:
    """The answers to a set of questions, scored once and then thresholded at will.

    Args:
        gold: question id -> right answers, none if the question has no answer.
        predicted: question id -> the answer given, "" for none.
        no_answer: question id -> how sure the model is that there is none; any real number,
            compared with thresholds only. Questions without one are not scored.

    Raises:
        DataError: a question without a prediction or a number, or no question at all.
    """

    def __init__(
        self,
        gold: Mapping[str, Sequence[str]],
        predicted: Mapping[str, str],
        no_answer: Mapping[str, float],
    ) -> None:
        for name in gold:
            if name not in predicted or name not in no_answer:
                raise DataError(
                    'SQuAD v2.0 needs an answer (or "") and a no-answer score per question; the '
                    f"question {name!r} lacks one. Score all questions of the unit."
                )
        if not gold:
            raise DataError("Scoring answers needs at least one question; there is none.")
        self._sure = {name: float(no_answer[name]) for name in gold}
        self._given = {name: predicted[name] for name in gold}
        self._answerable = {name for name, right in gold.items() if right}
        self.pairs = {name: _compare(predicted[name], right) for name, right in gold.items()}

    def at(self, threshold: float) -> dict[str, float]:
        """``exact`` and ``f1``, also over the questions with and without answer alone.

        The answer of a question whose no-answer score is above the threshold becomes "". Shares of
        an empty group are left out.
        """
        pairs = {
            name: _blank(name in self._answerable) if self._sure[name] > threshold else pair
            for name, pair in self.pairs.items()
        }
        found = _means("", list(pairs.values()))
        found |= _means("HasAns_", [p for name, p in pairs.items() if name in self._answerable])
        found |= _means("NoAns_", [p for name, p in pairs.items() if name not in self._answerable])
        return found

    def best_exact(self) -> Best:
        """The best exact match over all thresholds."""
        return self._best(0)

    def best_f1(self) -> Best:
        """The best F1 over all thresholds."""
        return self._best(1)

    def _best(self, index: int) -> Best:
        score = best = float(len(self.pairs) - len(self._answerable))
        threshold = 0.0
        # Stable, so that equal scores stay in the order of the questions.
        for name in sorted(self.pairs, key=self._sure.__getitem__):
            if name in self._answerable:
                score += self.pairs[name][index]
            elif self._given[name]:
                score -= 1.0
            if score > best:
                best, threshold = score, self._sure[name]
        return Best(100.0 * best / len(self.pairs), threshold)


def _compare(answer: str, golds: Sequence[str]) -> tuple[float, float]:
    """(exact match, F1), 0..1; gold answers that are nothing but articles and marks do not count.

    Unlike SQuAD v1.1's, this F1 of two answers without words is 1.
    """
    given = qa.squad(answer)
    right = [words for words in map(qa.squad, golds) if words] or [[]]
    exact = max(float(given == one) for one in right)
    f1 = max(qa.overlap(given, one) if given and one else float(given == one) for one in right)
    return exact, f1


def _blank(answerable: bool) -> tuple[float, float]:
    """The scores of giving no answer."""
    return (0.0, 0.0) if answerable else (1.0, 1.0)


def _means(prefix: str, pairs: Sequence[tuple[float, float]]) -> dict[str, float]:
    if not pairs:
        return {}
    exact, f1 = (100.0 * sum(values) / len(pairs) for values in zip(*pairs, strict=True))
    return {f"{prefix}exact": exact, f"{prefix}f1": f1, f"{prefix}total": len(pairs)}
