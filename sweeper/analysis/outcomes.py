"""What each example adds to a score, so that a score is a mean over examples.

An accuracy is the mean of right and wrong. A metric that is a ratio of sums, such as the F1 of
spans, is taken apart by its linear approximation at the value itself (the infinitesimal jackknife;
B. Efron, 1982, "The Jackknife, the Bootstrap and Other Resampling Plans"), whose mean is the value
exactly. Whatever is not found to have the stored value as its mean is not used.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from sweeper.analysis.spans import span_counts

Vector: TypeAlias = NDArray[np.float64]

Parts: TypeAlias = "dict[str, NDArray[Any]]"
"""Metric ("" is any) -> a number per example, or two rows: hits, and all of both sides."""

COLUMNS = ("id", "correct", "score")
"""What every kind is judged by; see `columns`."""

_TEXTS = ("token_classification", "bitext_mining")


def columns(kind: str) -> list[str]:
    """The columns of `examples` that are read for a kind of task."""
    texts = ["gold", "predicted"] if kind in _TEXTS else ["gold"]
    return ["unit", "split", "language", *COLUMNS, *texts]


class Rows:
    """Rows of `examples` of several units, taken apart together: units are many and may be small.

    Args:
        kind: Of the task.
        rows: With `columns`.
    """

    def __init__(self, kind: str, rows: pa.Table) -> None:
        self.kind = kind
        self._rows = rows
        self._makers = _BY_KIND.get(kind, (_right, _scored))
        self._whole: dict[str, Parts] = {}

    def outcomes(self, metric: str, value: float, start: int, stop: int) -> Vector | None:
        """What each example of a unit adds, in the unit of the value; None if that is not known.

        Args:
            metric: The metric of the value.
            value: What the store has of the whole unit.
            start: Its first row.
            stop: The row after its last.
        """
        for make in self._makers:
            if make.__name__ not in self._whole:
                self._whole[make.__name__] = make(self._rows)
            found = _put_together(self._whole[make.__name__], metric, value, slice(start, stop))
            if found is not None:
                return found
        if _spans in self._makers:
            # In odd tags a span of one unit can reach back into the one before.
            alone = _spans(self._rows.slice(start, stop - start))
            return _put_together(alone, metric, value, slice(None))
        return None


def majority(kind: str, metric: str, gold: pa.Array) -> float:
    """What a constant answer scores at best, in percent; 0 where that is not plain to see."""
    if metric != "accuracy" or kind not in ("classification", "multiple_choice"):
        return 0.0
    counts = pc.value_counts(gold).field("counts").to_pylist()
    return 100.0 * max(map(int, counts)) / float(len(gold))


def _right(rows: pa.Table) -> Parts:
    return {"accuracy": _numbers(rows["correct"].cast(pa.uint8()), 100.0)}


def _scored(rows: pa.Table) -> Parts:
    return {"": _numbers(rows["score"])}


def _answered(rows: pa.Table) -> Parts:
    exact, score = _numbers(rows["correct"].cast(pa.uint8()), 100.0), _numbers(rows["score"])
    return {"mean_em_f1": (exact + score) / 2, "exact_match": exact, "f1": score}


def _spans(rows: pa.Table) -> Parts:
    """F1 of spans: those that were found, and all of both sides, by the sentence they end in."""
    return {"f1": np.stack(span_counts(rows["gold"], rows["predicted"]))}


def _pairs(rows: pa.Table) -> Parts:
    """F1 of mined pairs: a sentence has a partner, and was given one, or not."""
    there = [pc.not_equal(rows[side], "").to_numpy() for side in ("gold", "predicted")]
    right = pc.fill_null(rows["correct"], False).to_numpy() & there[0] & there[1]
    return {"f1": np.stack([right, there[0].astype(int) + there[1]])}


def _numbers(column: pa.ChunkedArray, times: float = 1.0) -> Vector:
    """As floats, NaN where null."""
    found: Vector = column.cast(pa.float64()).to_numpy() * times
    return found


def _put_together(parts: Parts, metric: str, value: float, place: slice) -> Vector | None:
    """What each example adds, if its mean is the value.

    A number per example is that itself, hits and both sides are an F1 of 200 * hits / both.
    """
    whole = parts.get(metric, parts.get(""))
    if whole is None:
        return None
    made: Vector = whole[..., place]
    if whole.ndim == 2:
        hits, both = made
        mean = float(both.mean()) or 1.0
        made = value + (200.0 * hits - value * both) / mean
    return made if math.isclose(made.mean(), value, rel_tol=1e-6, abs_tol=1e-6) else None


Maker: TypeAlias = Callable[[pa.Table], Parts]

_BY_KIND: Mapping[str, tuple[Maker, ...]] = {
    "span_extraction": (_answered,),
    "token_classification": (_spans, _scored),
    "bitext_mining": (_pairs,),
    "masked_lm": (),
}
