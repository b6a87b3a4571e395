"""Word by word and span by span: the metrics of tagging, in percent (0..100)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sweeper.errors import DataError
from sweeper.tasks.metrics.accuracy import accuracy

Span = tuple[str, int, int]


def token_accuracy(gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> float:
    """The percentage of words with the right tag, over all sentences."""
    _check_parallel(gold, predicted)
    return accuracy(
        [tag for tags in gold for tag in tags], [tag for tags in predicted for tag in tags]
    )


def entity_f1(
    gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]
) -> dict[str, float]:
    """Micro-averaged ``f1``, ``precision``, ``recall`` of spans, as seqeval 1.2.2's default mode.

    This is the conlleval reading of tags, lenient about ill-formed sequences, and not strict IOB2.
    Tags without a prefix, such as UPOS, are scored as that version scores them, oddities included,
    since that is how XTREME's UDPOS numbers came about; see `spans`. Nothing to find and nothing
    found gives 0, as there.

    Raises:
        DataError: the sentences differ in number or length.
    """
    _check_parallel(gold, predicted)
    right, given = set(spans(gold)), set(spans(predicted))
    hits = len(right & given)
    precision = 100.0 * hits / len(given) if given else 0.0
    recall = 100.0 * hits / len(right) if right else 0.0
    both = precision + recall
    f1 = 2 * precision * recall / both if both else 0.0
    return {"f1": f1, "precision": precision, "recall": recall}


def spans(sentences: Sequence[Sequence[str]]) -> Iterator[Span]:
    """(type, first, last) of every span; positions count through all sentences, one gap between.

    A tag's first character is its mark (B, I, E, S, O; any other acts much as I); what follows,
    less all up to the first hyphen, is its type, "_" when nothing follows. Hence CCONJ and SCONJ
    are both of type CONJ. X is of type "_", like O, and so starts no span after an O; a span that
    ends there all the same reaches back to where the last one started, even in another sentence.
    (That is why sentences cannot be taken one by one.)
    """
    before, kind_before, start, position = "O", "", 0, 0
    for sentence in sentences:
        for tag in (*sentence, "O"):
            mark, kind = tag[0], tag[1:].split("-", maxsplit=1)[-1] or "_"
            changed = kind != kind_before
            if _ends(before, mark, changed):
                yield kind_before, start, position - 1
            if _starts(before, mark, changed):
                start = position
            before, kind_before = mark, kind
            position += 1


def _ends(before: str, mark: str, changed: bool) -> bool:
    """Whether a span ends between two neighbours with these marks."""
    if before in "ES" or (before in "BI" and mark in "BSO"):
        return True
    return before not in "O." and changed


def _starts(before: str, mark: str, changed: bool) -> bool:
    """Whether a span starts at ``mark``."""
    if mark in "BS" or (before in "ESO" and mark in "EI"):
        return True
    return mark not in "O." and changed


def _check_parallel(gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> None:
    if [len(tags) for tags in gold] != [len(tags) for tags in predicted]:
        raise DataError(
            "A tagging metric needs one predicted tag per word; the sentences differ in number or "
            f"length ({len(gold)} and {len(predicted)} sentences). Score all words of the unit."
        )
