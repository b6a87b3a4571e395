"""Vectors of two sides of sentences, in a file, and the neighbours among them.

Neither main memory nor the device's ever holds more than a block of the vectors and a block of
their products, however many sentences there are. What grows with them is what is found.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sweeper.tasks.metrics import mining, neighbours
from sweeper.training.batches import Features, Ints

Floats = npt.NDArray[np.float32]

BLOCKS = {"cpu": (neighbours.QUERIES, neighbours.CANDIDATES), "cuda": (16384, 16384)}
"""Queries and candidates that are multiplied at once: products of 64 MB, and of 1 GB on a GPU."""


class Vectors:
    """Vectors of ``size`` float32 numbers in a nameless file, which is gone when it is closed.

    The file lies in the system's folder for temporary files (``TMPDIR``). It is read and not
    mapped, so that it never counts as this process's memory.
    """

    def __init__(self, size: int) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115  (closed by `close`)
        self._size = size

    def put(self, places: Ints, vectors: Floats) -> None:
        """Write ``vectors``, shape (places, size), as the rows ``places``."""
        step = self._size * 4
        data = np.ascontiguousarray(vectors, np.float32).reshape(-1).view(np.uint8).data
        for number, place in enumerate(places.tolist()):
            _write(self._file.fileno(), data[number * step : (number + 1) * step], place * step)

    def view(self, start: int, stop: int) -> View:
        """The rows from ``start`` to ``stop``, which are read when they are sliced."""
        return View(self, start, stop)

    def read(self, start: int, stop: int) -> Floats:
        """A copy of the rows from ``start`` to ``stop``, shape (stop - start, size)."""
        found = np.empty((max(0, stop - start), self._size), np.float32)
        rest = found.reshape(-1).view(np.uint8).data
        at = start * self._size * 4
        while rest:
            count = os.preadv(self._file.fileno(), [rest], at)
            if not count:
                raise EOFError(f"There is no vector in the rows {start} to {stop}: put them first")
            rest, at = rest[count:], at + count
        return found

    def close(self) -> None:
        """Delete the file."""
        self._file.close()


@dataclass(frozen=True)
class View:
    """A range of rows as `sweeper.tasks.metrics.neighbours` wants it: a length, and slices."""

    vectors: Vectors
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start

    def __getitem__(self, rows: slice) -> Floats:
        start, stop, _ = rows.indices(len(self))
        return self.vectors.read(self.start + start, self.start + stop)


@dataclass(frozen=True)
class UnitSides:
    """One unit's sentences; the tuples have an entry per side.

    Attributes:
        vectors: those of a side, in the order of its features.
        rows: the feature rows of a side.
        example: the example number of every feature, as its table has it.
    """

    vectors: tuple[View, View]
    rows: tuple[Ints, Ints]
    example: Ints

    def outputs(self, values: Mapping[int, list[Any]]) -> list[Any]:
        """One output per feature: side -> ``values`` of its features, in order; else None."""
        found: list[Any] = [None] * len(self.example)
        for side, mine in values.items():
            for row, value in zip(self.rows[side].tolist(), mine, strict=True):
                found[row] = value
        return found


class Sides:
    """The vectors of some units, ordered by side, then by unit, so that both are ranges."""

    def __init__(self, features: Features, size: int, where: torch.device) -> None:
        self._features = features
        self._where = where
        self._side = features.column("side")
        order = np.argsort(self._side, kind="stable")
        self._place = np.empty(len(order), np.int64)
        self._place[order] = np.arange(len(order))
        self._vectors = Vectors(size)

    def put(self, rows: Ints, vectors: Floats) -> None:
        """Take the vectors of some feature rows (of all units as one sequence)."""
        self._vectors.put(self._place[rows], vectors)

    def units(self) -> Iterator[UnitSides]:
        """The units, in order."""
        starts = self._features.starts.tolist()
        for unit, (start, stop) in enumerate(pairwise(starts)):
            side = self._side[start:stop]
            rows = np.flatnonzero(side == 0), np.flatnonzero(side == 1)
            views = tuple(self._range(start + mine) for mine in rows)
            example = self._features.example[start:stop] - self._features.examples_before[unit]
            yield UnitSides((views[0], views[1]), rows, example)

    def all(self, side: int) -> View:
        """The vectors of one side of all units."""
        return self._range(np.flatnonzero(self._side == side))

    def nearest(self, queries: View, candidates: View, k: int) -> neighbours.Neighbours:
        """The ``k`` nearest candidates of every query, of equal ones the first."""
        device, block = backend(self._where), BLOCKS[self._where.type]
        return neighbours.nearest(queries, candidates, k, backend=device, block=block)

    def mine(self, source: View, target: View, k: int) -> mining.Mined:
        """The pairs of `sweeper.tasks.metrics.mining.mine`."""
        device, block = backend(self._where), BLOCKS[self._where.type]
        return mining.mine(source, target, k=k, backend=device, block=block)

    def close(self) -> None:
        """Delete the vectors."""
        self._vectors.close()

    def _range(self, rows: Ints) -> View:
        """Rows of one side and of consecutive units, which are a range of the file."""
        first = int(self._place[rows[0]]) if len(rows) else 0
        return self._vectors.view(first, first + len(rows))


def backend(where: torch.device) -> neighbours.Backend:
    """Products on ``where`` in float32, for `sweeper.tasks.metrics.neighbours`."""

    def multiply(queries: Floats, candidates: Floats, k: int) -> tuple[Floats, Ints]:
        with torch.inference_mode():
            one = torch.from_numpy(queries).to(where)
            other = torch.from_numpy(candidates).to(where)
            values, numbers = best(one @ other.T, k)
            return values.cpu().numpy(), numbers.cpu().numpy()

    return multiply


def best(similar: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The ``k`` largest of each row and their columns, largest first, of equal ones the first.

    ``similar`` is changed. `torch.topk` takes any of equal ones: rows where that matters, since
    the one after the last is equal to it, are done again.
    """
    values, numbers = similar.topk(min(k + 1, similar.shape[1]), dim=1)
    if values.shape[1] > k:
        tied = (values[:, k - 1] == values[:, k]).nonzero()[:, 0]
        values, numbers = values[:, :k].clone(), numbers[:, :k].clone()
        if len(tied):
            values[tied], numbers[tied] = _one_by_one(similar[tied], k)
    by_number = numbers.argsort(dim=1)
    values, numbers = values.gather(1, by_number), numbers.gather(1, by_number)
    order = values.argsort(dim=1, descending=True, stable=True)
    return values.gather(1, order), numbers.gather(1, order)


def _one_by_one(similar: Tensor, k: int) -> tuple[Tensor, Tensor]:
    values, numbers = [], []
    for _ in range(k):
        # argmax takes the first of equal ones.
        number = similar.argmax(1, keepdim=True)
        values.append(similar.gather(1, number))
        numbers.append(number)
        similar.scatter_(1, number, float("-inf"))
    return torch.cat(values, 1), torch.cat(numbers, 1)


def _write(file: int, data: memoryview, at: int) -> None:
    while data:
        count = os.pwrite(file, data, at)
        data, at = data[count:], at + count
