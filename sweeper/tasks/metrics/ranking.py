"""How high the right candidates stand in a ranking, in percent (0..100)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from sweeper.errors import DataError

CUTOFF = 20
"""How far down XTREME-R looks, for LAReQA and Mewsli-X alike."""


def average_precision(ranked: Sequence[object], right: Collection[object], k: int) -> float:
    """AP@k (0..1): hits so far / rank, summed over hits, over the number of right ones up to k.

    A candidate that comes again is no second hit, as in XTREME's utils_lareqa.py.
    """
    if not right:
        raise DataError("A ranking is scored against at least one right candidate; there is none.")
    hits, total = set[object](), 0.0
    for rank, candidate in enumerate(ranked[:k], 1):
        if candidate in right and candidate not in hits:
            hits.add(candidate)
            total += len(hits) / rank
    return total / min(len(right), k)


def reciprocal_rank(ranked: Sequence[object], right: Collection[object], k: int) -> float:
    """1 / rank of the first right candidate among the first k, else 0."""
    for rank, candidate in enumerate(ranked[:k], 1):
        if candidate in right:
            return 1.0 / rank
    return 0.0


def mean_average_precision(
    rankings: Sequence[Sequence[object]], right: Sequence[Collection[object]], k: int = CUTOFF
) -> float:
    """mAP@k over questions, in percent.

    Raises:
        DataError: the lists differ in length or are empty, or a question has no right candidate.
    """
    _check(rankings, right)
    pairs = zip(rankings, right, strict=True)
    return 100.0 * sum(average_precision(*pair, k) for pair in pairs) / len(right)


def mean_reciprocal_rank(
    rankings: Sequence[Sequence[object]], right: Sequence[Collection[object]], k: int = CUTOFF
) -> float:
    """MRR@k over questions, in percent.

    Raises:
        DataError: the lists differ in length or are empty.
    """
    _check(rankings, right)
    pairs = zip(rankings, right, strict=True)
    return 100.0 * sum(reciprocal_rank(*pair, k) for pair in pairs) / len(right)


def mewsli_x(
    gold: Mapping[str, Collection[str]], rankings: Mapping[str, Sequence[str]], k: int = CUTOFF
) -> float:
    """Mewsli-X's "map@20", which is the mean reciprocal rank of the one right entity, in percent.

    A mention without a ranking scores 0; rankings of unknown mentions are passed over. Space
    around a gold id does not count, as in the official script.
    """
    right = [{name.strip() for name in names} for names in gold.values()]
    return mean_reciprocal_rank([rankings.get(name, ()) for name in gold], right, k)


def _check(rankings: Sequence[object], right: Sequence[object]) -> None:
    if len(rankings) != len(right) or not right:
        raise DataError(
            f"Scoring rankings needs one per question, and a question; there are {len(rankings)} "
            f"and {len(right)}. Score all questions of the unit."
        )
