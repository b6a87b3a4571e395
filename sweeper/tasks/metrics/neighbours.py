"""The nearest among many vectors, in blocks: memory does not grow with the product of the sizes.

Similarity is the dot product. Vectors are numpy arrays of shape (rows, dimensions), memory-mapped
ones too, or whatever the backend takes and slices by rows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from sweeper.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Floats: TypeAlias = "npt.NDArray[np.floating[Any]]"
Ints: TypeAlias = "npt.NDArray[np.int64]"
Vectors: TypeAlias = Any

Backend: TypeAlias = "Callable[[Vectors, Vectors, int], tuple[Floats, Ints]]"
"""(queries, candidates, k) -> (similarities, numbers), both of shape (queries, k) and numpy: per
query its k nearest candidates of this block, most similar first, of equal ones the first. Given
blocks have at least k candidates and are small enough to be multiplied at once."""

QUERIES, CANDIDATES = 2048, 8192
"""Rows of a block: its product has 64 MB in float32."""


class Neighbours(NamedTuple):
    """Per query its k nearest candidates, most similar first.

    Attributes:
        similarity: shape (queries, k).
        number: rows of the candidates, shape (queries, k).
    """

    similarity: Floats
    number: Ints


def normalised(vectors: Floats) -> Floats:
    """The vectors at length 1, in their own precision; a vector of zeros stays one."""
    import numpy as np

    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1)


def multiply(queries: Floats, candidates: Floats, k: int) -> tuple[Floats, Ints]:
    """The numpy backend."""
    import numpy as np

    similar = queries @ candidates.T
    rows = np.arange(len(queries))
    best = np.empty((len(queries), k), similar.dtype)
    number = np.empty((len(queries), k), np.int64)
    # For the few neighbours wanted, k passes of argmax are faster than a partial sort, and they
    # take the first of equal ones.
    for place in range(k):
        number[:, place] = similar.argmax(axis=1)
        best[:, place] = similar[rows, number[:, place]]
        similar[rows, number[:, place]] = -np.inf
    return best, number


def nearest(
    queries: Vectors,
    candidates: Vectors,
    k: int,
    *,
    backend: Backend = multiply,
    block: tuple[int, int] = (QUERIES, CANDIDATES),
) -> Neighbours:
    """The ``k`` nearest candidates of every query; all of them if there are fewer.

    Of equally similar candidates the first ones are taken, whatever the blocks.

    Args:
        queries: shape (queries, dimensions).
        candidates: shape (candidates, dimensions).
        k: how many neighbours.
        backend: multiplies two blocks and finds the best of each row.
        block: rows of queries and of candidates that are multiplied at once.

    Raises:
        DataError: there is no candidate.
    """
    import numpy as np

    if len(queries) and not len(candidates):
        raise DataError("Retrieval needs candidates to choose from, and there are none.")
    k = min(k, len(candidates))
    height, width = max(1, block[0]), max(k, block[1])
    similarity = np.empty((len(queries), k), np.float32)
    number = np.empty((len(queries), k), np.int64)
    for top in range(0, len(queries), height):
        rows = slice(top, top + height)
        kept: tuple[Floats, Ints] | None = None
        for left in _starts(len(candidates), width, k):
            found, at = backend(queries[rows], candidates[left : left + width], k)
            kept = _merged(kept, (found, at + left), k)
        if kept is not None:
            if kept[0].dtype != similarity.dtype:
                similarity = similarity.astype(kept[0].dtype)
            similarity[rows], number[rows] = kept
    return Neighbours(similarity, number)


def _starts(size: int, width: int, k: int) -> list[int]:
    """Where blocks of candidates begin; the last one reaches back to have k of them."""
    starts = list(range(0, size, width))
    if len(starts) > 1 and size - starts[-1] < k:
        starts[-1] = size - k
    return starts


def _merged(
    old: tuple[Floats, Ints] | None, new: tuple[Floats, Ints], k: int
) -> tuple[Floats, Ints]:
    """The k best of two lists per row; what is in both counts once."""
    import numpy as np

    if old is None:
        return new
    similarity = np.concatenate([old[0], new[0]], axis=1)
    number = np.concatenate([old[1], new[1]], axis=1)
    again = (new[1][:, :, None] == old[1][:, None, :]).any(axis=2)
    similarity[:, k:][again] = -np.inf
    order = np.argsort(-similarity, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(similarity, order, 1), np.take_along_axis(number, order, 1)
