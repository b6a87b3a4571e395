"""Mining: files of vectors, neighbours with ties, the same pairs as by brute force."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from sweeper.errors import DataError
from sweeper.tasks.metrics import mining, neighbours
from sweeper.training import vectors
from sweeper.training.batches import Features
from sweeper.training.vectors import Sides, Vectors, backend, best

CPU = torch.device("cpu")


def unit(sides: list[int]) -> pa.Table:
    return pa.table(
        {
            "input_ids": pa.array([[0, 2]] * len(sides), pa.list_(pa.int32())),
            "example": pa.array(range(len(sides)), pa.int32()),
            "side": pa.array(sides, pa.int8()),
        }
    )


def directions(rows: int, size: int = 6, seed: int = 0) -> Any:
    drawn = np.random.default_rng(seed).standard_normal((rows, size)).astype(np.float32)
    return neighbours.normalised(drawn)


def test_vectors_are_read_as_they_were_put() -> None:
    whole = directions(9)
    held = Vectors(6)
    held.put(np.array([7, 0, 4, 8]), whole[[7, 0, 4, 8]])
    held.put(np.array([1, 2, 3, 5, 6]), whole[[1, 2, 3, 5, 6]])
    view = held.view(2, 8)
    assert len(view) == 6
    np.testing.assert_array_equal(view[1:99], whole[3:8])
    assert view[6:9].shape == (0, 6)
    with pytest.raises(EOFError, match="8 to 10"):
        held.read(8, 10)
    held.close()


def test_sides_of_units_are_ranges_and_outputs_go_back_to_their_rows() -> None:
    layout = [[0, 1, 0], [1, 1, 0, 1], [0]]
    whole = directions(8)
    sides = Sides(Features([unit(one) for one in layout]), 6, CPU)
    for rows in ([5, 0, 7], [1, 2, 3, 4, 6]):
        sides.put(np.array(rows), whole[rows])
    np.testing.assert_array_equal(sides.all(1)[:], whole[[1, 3, 4, 6]])
    units = list(sides.units())
    start = 0
    for one, flags in zip(units, layout, strict=True):
        assert one.example.tolist() == list(range(len(flags)))
        for side in (0, 1):
            mine = [start + row for row, flag in enumerate(flags) if flag == side]
            np.testing.assert_array_equal(one.vectors[side][:], whole[mine])
        start += len(flags)
    assert units[1].outputs({1: ["a", "b", "c"]}) == ["a", "b", None, "c"]
    sides.close()


@pytest.mark.parametrize("k", [1, 3, 7])
def test_of_equal_ones_the_first_are_taken(k: int) -> None:
    similar = torch.from_numpy(np.random.default_rng(1).integers(0, 4, (50, 7))).float()
    order = np.argsort(-similar.numpy(), axis=1, kind="stable")[:, :k]
    values, numbers = best(similar.clone(), k)
    assert numbers.tolist() == order.tolist()
    assert values.tolist() == np.take_along_axis(similar.numpy(), order, 1).tolist()


@pytest.mark.parametrize("block", [(4, 5), (100, 100), (7, 3)])
def test_mining_equals_brute_force(block: tuple[int, int], monkeypatch: Any) -> None:
    monkeypatch.setitem(vectors.BLOCKS, "cpu", block)
    source, target = directions(31), directions(23, seed=1)
    sides = Sides(Features([unit([0] * 31 + [1] * 23)]), 6, CPU)
    sides.put(np.arange(54), np.concatenate([source, target]))
    (one,) = sides.units()
    found = sides.mine(*one.vectors, 4)
    similar = source @ target.T
    ours, theirs = (np.sort(s, axis=1)[:, -4:].mean(1) for s in (similar, similar.T))
    margin = similar / ((ours[:, None] + theirs[None, :]) / 2)
    # A margin looks at the four nearest, so only those can be paired.
    near = np.zeros(similar.shape, bool)
    np.put_along_axis(near, np.argsort(-similar, 1)[:, :4], True, 1)
    back = np.zeros(similar.T.shape, bool)
    np.put_along_axis(back, np.argsort(-similar.T, 1)[:, :4], True, 1)
    proposals = {
        (row, int(np.where(near[row], margin[row], -9).argmax())) for row in range(31)
    } | {(int(np.where(back[col], margin[:, col], -9).argmax()), col) for col in range(23)}
    expected, used = [], (set[int](), set[int]())
    for row, col in sorted(proposals, key=lambda pair: -margin[pair]):
        if row not in used[0] and col not in used[1]:
            expected.append((row, col))
            used[0].add(row)
            used[1].add(col)
    assert list(zip(found.source.tolist(), found.target.tolist(), strict=True)) == expected
    np.testing.assert_allclose(found.margin, [margin[pair] for pair in expected], rtol=1e-5)
    plain = mining.mine(source, target)
    np.testing.assert_array_equal(found.source, plain.source)
    sides.close()


def test_nearest_of_known_vectors_in_blocks() -> None:
    candidates = np.eye(5, dtype=np.float32)[[3, 1, 4, 1, 0]]
    queries = np.eye(5, dtype=np.float32)[[0, 1, 3, 4]] + np.float32(0.1)
    for block in ((2, 2), (9, 9)):
        found = neighbours.nearest(queries, candidates, 1, backend=backend(CPU), block=block)
        assert found.number[:, 0].tolist() == [4, 1, 0, 2]  # 1 stands twice: the first


def test_no_candidates_is_an_error_with_words() -> None:
    sides = Sides(Features([unit([0, 0])]), 6, CPU)
    sides.put(np.arange(2), directions(2))
    (one,) = sides.units()
    with pytest.raises(DataError, match="there are none"):
        sides.nearest(one.vectors[0], one.vectors[1], 1)
    assert len(sides.nearest(one.vectors[1], one.vectors[0], 1).number) == 0
    sides.close()
