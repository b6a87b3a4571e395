"""The share of right answers, in percent (0..100)."""

from __future__ import annotations

from collections.abc import Sequence

from sweeper.errors import DataError


def accuracy(gold: Sequence[object], predicted: Sequence[object]) -> float:
    """The percentage of equal entries.

    Raises:
        DataError: the lists differ in length or are empty.
    """
    if len(gold) != len(predicted) or not gold:
        raise DataError(
            "A metric compares two lists of one length, not empty; "
            f"they have {len(gold)} and {len(predicted)} entries. Score all examples of the unit."
        )
    same = sum(right == given for right, given in zip(gold, predicted, strict=True))
    return 100.0 * same / len(gold)


def choices(scores: Sequence[Sequence[float]]) -> list[int]:
    """Per question the number of the choice with the highest score; of equal ones the first.

    Raises:
        DataError: a question has no choice, or a score is not a number.
    """
    found = []
    for number, row in enumerate(scores):
        if not row or any(score != score for score in row):
            raise DataError(
                f"Every question needs a score per choice; number {number} has {list(row)}. Score "
                "the unit again."
            )
        found.append(max(range(len(row)), key=row.__getitem__))
    return found
