"""Translations found among two sets of sentences by the ratio margin (Artetxe and Schwenk 2019).

``margin(x, y) = cos(x, y) / ((m(x) + m(y)) / 2)``, where m is the mean similarity of a sentence to
its k nearest on the other side. As LASER and XTREME do it, whose BUCC and xSIM scores these are.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from sweeper.errors import DataError
from sweeper.tasks.metrics.neighbours import (
    CANDIDATES,
    QUERIES,
    Backend,
    Floats,
    Ints,
    Neighbours,
    Vectors,
    multiply,
    nearest,
)

NEIGHBOURS = 4
"""How many neighbours a margin looks at, in LASER as in XTREME."""

Pair = tuple[str, str]


class Mined(NamedTuple):
    """Pairs of rows, best first; every row is in one pair at most.

    Attributes:
        source: rows of the one side, shape (pairs,).
        target: rows of the other, shape (pairs,).
        margin: their margins, shape (pairs,).
    """

    source: Ints
    target: Ints
    margin: Floats


def margins(forward: Neighbours, backward: Neighbours) -> Floats:
    """The ratio margin of every query and each of its neighbours, shape (queries, k).

    ``forward`` are the neighbours of the queries among the candidates, ``backward`` those of the
    candidates among the queries.
    """
    mine = forward.similarity.mean(axis=1)
    theirs = backward.similarity.mean(axis=1)
    ratio: Floats = forward.similarity / ((mine[:, None] + theirs[forward.number]) / 2)
    return ratio


def mine(
    source: Vectors,
    target: Vectors,
    *,
    k: int = NEIGHBOURS,
    backend: Backend = multiply,
    block: tuple[int, int] = (QUERIES, CANDIDATES),
) -> Mined:
    """The pairs that both sides propose, greedily by margin: the best of every row is a proposal.

    ``source`` and ``target`` are vectors of length 1, each sentence once. The work is two blocked
    matrix products; see `nearest` for ``backend`` and ``block``.

    Raises:
        DataError: a side is empty.
    """
    if not len(source) or not len(target):
        raise DataError(
            f"Mining needs sentences on both sides; there are {len(source)} and {len(target)}."
        )
    forward = nearest(source, target, k, backend=backend, block=block)
    backward = nearest(target, source, k, backend=backend, block=block)
    return paired(forward, backward)


def paired(forward: Neighbours, backward: Neighbours) -> Mined:
    """The greedy pairs of two sides whose nearest neighbours are known."""
    import numpy as np

    out, back = margins(forward, backward), margins(backward, forward)
    ours, theirs = np.arange(len(out)), np.arange(len(back))
    source = np.concatenate([ours, backward.number[theirs, back.argmax(axis=1)]])
    target = np.concatenate([forward.number[ours, out.argmax(axis=1)], theirs])
    margin = np.concatenate([out.max(axis=1), back.max(axis=1)])
    used = np.zeros(len(ours), bool), np.zeros(len(theirs), bool)
    kept = []
    for number in np.argsort(-margin, kind="stable"):
        one, other = source[number], target[number]
        if not used[0][one] and not used[1][other]:
            used[0][one] = used[1][other] = True
            kept.append(number)
    chosen = np.array(kept, np.int64)
    return Mined(source[chosen], target[chosen], margin[chosen])


# ---- BUCC -------------------------------------------------------------------------------------


def once(sentences: Sequence[str]) -> list[int]:
    """The row of every distinct sentence's first occurrence, in order."""
    first: dict[str, int] = {}
    for row, sentence in enumerate(sentences):
        first.setdefault(sentence, row)
    return list(first.values())


def names(ids: Sequence[str], sentences: Sequence[str]) -> dict[str, str]:
    """Sentence -> id, for those that occur once: the others have no id, as in XTREME."""
    seen: dict[str, str] = {}
    twice: set[str] = set()
    for name, sentence in zip(ids, sentences, strict=True):
        if sentence in seen:
            twice.add(sentence)
        seen[sentence] = name
    return {sentence: name for sentence, name in seen.items() if sentence not in twice}


def best_threshold(candidates: Mapping[Pair, float], gold: Collection[Pair]) -> float:
    """The margin above which F1 is highest: midway between the last pair taken and the next.

    At the end of the list there is no next, and the last margin itself is the threshold (where
    XTREME's code fails). Without any right pair it is 0, as there: every pair is extracted.

    Raises:
        DataError: there is no gold pair.
    """
    _check_gold(gold)
    order = sorted(candidates.items(), key=lambda item: -item[1])
    right = set(gold)
    hits, best, threshold = 0, 0.0, 0.0
    for taken, (pair, margin) in enumerate(order, 1):
        hits += pair in right
        f1 = 2 * hits / (taken + len(right))
        if f1 > best:
            following = order[taken][1] if taken < len(order) else margin
            best, threshold = f1, (margin + following) / 2
    return threshold


def extracted(candidates: Mapping[Pair, float], threshold: float) -> list[Pair]:
    """The pairs whose margin is at least ``threshold``, best first."""
    order = sorted(candidates.items(), key=lambda item: -item[1])
    return [pair for pair, margin in order if margin >= threshold]


def pair_f1(gold: Collection[Pair], found: Collection[Pair]) -> dict[str, float]:
    """``f1``, ``precision`` and ``recall`` of a set of pairs; `DataError` without gold pairs."""
    _check_gold(gold)
    right, given = set(gold), set(found)
    hits = len(right & given)
    precision = 100.0 * hits / len(given) if given else 0.0
    recall = 100.0 * hits / len(right)
    f1 = 2 * precision * recall / (precision + recall) if hits else 0.0
    return {"f1": f1, "precision": precision, "recall": recall}


def _check_gold(gold: Collection[Pair]) -> None:
    if not gold:
        raise DataError("Scoring mined pairs needs at least one gold pair; there is none.")


# ---- xSIM -------------------------------------------------------------------------------------


def likeliest(forward: Neighbours, backward: Neighbours) -> Ints:
    """Per query the best of its neighbours by margin, shape (queries,); see `margins`.

    How often that is not the query's translation is LASER's xSIM error rate.
    """
    import numpy as np

    best: Ints = forward.number[
        np.arange(len(forward.number)), margins(forward, backward).argmax(axis=1)
    ]
    return best
