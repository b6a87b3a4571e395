"""What each example adds to a score, so that a score is a mean over examples.

An accuracy is the mean of right and wrong. A metric that is a ratio of sums, such as the F1 of
spans, is taken apart by its linear approximation at the value itself (the infinitesimal jackknife;
B. Efron, 1982, "The Jackknife, the Bootstrap and Other Resampling Plans"), whose mean is the value
exactly. Whatever is not found to have the stored value as its mean is not used.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from sweeper.analysis.spans import span_counts

Vector = NDArray[np.float64]

COLUMNS = ("id", "correct", "score")
"""What every kind is judged by; see `columns`."""

_TEXTS = ("token_classification", "bitext_mining")


def columns(kind: str) -> list[str]:
    """The columns of `examples` that are read for a kind of task."""
    texts = ["gold", "predicted"] if kind in _TEXTS else ["gold"]
    return ["unit", "split", "language", *COLUMNS, *texts]


def outcomes(kind: str, metric: str, value: float, rows: pa.Table) -> Vector | None:
    """What each example of a unit adds, in the unit of the value; None if that is not known.

    Args:
        kind: Of the task.
        metric: The metric of the value.
        value: What the store has of the whole unit.
        rows: Its rows of `examples`, with `columns`.
    """
    if not rows.num_rows:
        return None
    makers = _BY_KIND.get(kind, (_right, _scored))
    for make in makers:
        found = make(metric, value, rows)
        if found is not None and math.isclose(found.mean(), value, rel_tol=1e-6, abs_tol=1e-6):
            return found
    return None


def majority(kind: str, metric: str, rows: pa.Table) -> float:
    """What a constant answer scores at best, in percent; 0 where that is not plain to see."""
    if metric != "accuracy" or kind not in ("classification", "multiple_choice"):
        return 0.0
    counts = pc.value_counts(rows["gold"].combine_chunks())
    return 100.0 * max(map(int, counts.field("counts").to_pylist())) / float(rows.num_rows)


def _numbers(column: pa.ChunkedArray) -> Vector | None:
    """As floats; None if any is null."""
    if column.null_count:
        return None
    found: Vector = column.cast(pa.float64()).to_numpy()
    return found


def _right(metric: str, value: float, rows: pa.Table) -> Vector | None:
    if metric != "accuracy":
        return None
    right = _numbers(rows["correct"].cast(pa.uint8()))
    return None if right is None else 100.0 * right


def _scored(metric: str, value: float, rows: pa.Table) -> Vector | None:
    return _numbers(rows["score"])


def _answered(metric: str, value: float, rows: pa.Table) -> Vector | None:
    exact = _numbers(rows["correct"].cast(pa.uint8()))
    score = _numbers(rows["score"])
    if exact is None or score is None:
        return None
    made = {"mean_em_f1": (100.0 * exact + score) / 2, "exact_match": 100.0 * exact, "f1": score}
    return made.get(metric)


def _spans(metric: str, value: float, rows: pa.Table) -> Vector | None:
    """F1 of spans: those that were found, and all of both sides, by the sentence they end in."""
    if metric != "f1":
        return None
    hits, both = span_counts(rows["gold"], rows["predicted"])
    return _ratio(value, hits, both)


def _pairs(metric: str, value: float, rows: pa.Table) -> Vector | None:
    """F1 of mined pairs: a sentence has a partner, and was given one, or not."""
    if metric != "f1":
        return None
    there = [pc.not_equal(rows[side], "").to_numpy() for side in ("gold", "predicted")]
    right = pc.fill_null(rows["correct"], False).to_numpy() & there[0] & there[1]
    return _ratio(value, right.astype(int), there[0].astype(int) + there[1])


def _ratio(value: float, hits: NDArray[np.int64], both: NDArray[np.int64]) -> Vector | None:
    """The F1 200 * hits / both, in percent, taken apart."""
    mean = float(np.mean(both))
    if not mean:
        return np.zeros(len(both))
    made: Vector = (
        value + (200.0 * np.asarray(hits, float) - value * np.asarray(both, float)) / mean
    )
    return made


_BY_KIND: Mapping[str, tuple[Callable[[str, float, pa.Table], Vector | None], ...]] = {
    "span_extraction": (_answered,),
    "token_classification": (_spans, _scored),
    "bitext_mining": (_pairs,),
    "masked_lm": (),
}
