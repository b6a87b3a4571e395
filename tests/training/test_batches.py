"""Rows, their order, draws, masks and schedules: known answers and determinism."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from sweeper.errors import DataError, ModelError
from sweeper.training import kinds
from sweeper.training.batches import (
    IGNORE,
    Features,
    Masker,
    by_length,
    draw,
    epoch_order,
)
from sweeper.training.schedule import Schedule, shares

from .conftest import NER, TRAINING, World, rows


def table(lengths: list[int], examples: list[int] | None = None, chunks: int = 1) -> pa.Table:
    ids = [[100 * row + place for place in range(n)] for row, n in enumerate(lengths)]
    whole = pa.table(
        {
            "input_ids": pa.array(ids, pa.list_(pa.int32())),
            "example": pa.array(examples or range(len(lengths)), pa.int32()),
            "label": pa.array([row % 3 for row in range(len(lengths))], pa.int32()),
            "labels": pa.array([[-i for i in one] for one in ids], pa.list_(pa.int32())),
        }
    )
    size = -(-len(lengths) // chunks)
    return pa.concat_tables([whole.slice(i * size, size) for i in range(chunks)])


@pytest.mark.parametrize("chunks", [1, 3])
def test_rows_of_several_units_and_chunks(chunks: int) -> None:
    features = Features([table([2, 3, 1], chunks=chunks), table([4, 1], chunks=min(chunks, 2))])
    assert features.lengths.tolist() == [2, 3, 1, 4, 1]
    assert features.example.tolist() == [0, 1, 2, 3, 4]
    picked = np.array([3, 1, 4])
    assert features.tokens(picked, 9).tolist() == [
        [0, 1, 2, 3],
        [100, 101, 102, 9],
        [100, 9, 9, 9],
    ]
    assert features.token_labels(picked)[1].tolist() == [-100, -101, -102, IGNORE]
    batch = kinds.get("classification").collate(features, picked, 9)
    assert (batch.labels.tolist(), batch.items) == ([0, 1, 1], 3)
    piece = batch.piece(1, 3)
    assert piece.ids.tolist() == [[100, 101, 102], [100, 9, 9]]
    assert piece.items == 3


def test_labels_must_match_subwords() -> None:
    one = table([2, 2])
    other = table([3, 1])
    broken = one.set_column(one.column_names.index("labels"), "labels", other["labels"])
    with pytest.raises(DataError, match="one label per subword"):
        Features([broken])


def test_long_sentences_are_drawn_with_all_their_windows(world: World) -> None:
    reference = world.unit(NER, "windows", rows(NER, 30), length=8)
    features = Features([world.table(reference).features])
    assert len(features) > 30
    chosen = draw(features, 10, rng=1)
    drawn = set(features.example[chosen])
    assert len(drawn) == 10
    assert chosen.tolist() == [
        row for row in range(len(features)) if features.example[row] in drawn
    ]


def test_draws_follow_their_seed_and_are_nested() -> None:
    features = Features([table([1] * 40)])
    assert draw(features, None, 1).tolist() == list(range(40))
    assert draw(features, 99, 1).tolist() == list(range(40))
    assert draw(features, 10, 1).tolist() == draw(features, 10, 1).tolist()
    assert draw(features, 10, 1).tolist() != draw(features, 10, 2).tolist()
    assert set(draw(features, 10, 1)) <= set(draw(features, 20, 1))


@pytest.mark.parametrize("group", [True, False])
def test_an_epoch_has_every_row_once(group: bool) -> None:
    lengths = [1 + (7 * row) % 31 for row in range(1003)]
    features = Features([table(lengths)])
    every = np.arange(1003)

    def order(rng: int, epoch: int) -> list[list[int]]:
        batches = epoch_order(features, every, 8, group=group, rng=rng, place=(0, epoch))
        return [batch.tolist() for batch in batches]

    first = order(1, 0)
    assert sorted(row for batch in first for row in batch) == list(range(1003))
    assert sorted({len(batch) for batch in first}) == [3, 8]
    assert first == order(1, 0)
    assert first != order(1, 1)
    assert first != order(2, 0)
    padded = sum(max(lengths[row] for row in batch) * len(batch) for batch in first)
    waste = padded / sum(lengths) - 1
    assert waste < 0.1 if group else waste > 0.5


def test_evaluation_batches_are_longest_first_and_bounded() -> None:
    lengths = np.array([3, 9, 1, 5, 5, 2, 30])
    batches = by_length(lengths, tokens=15)
    assert [batch.tolist() for batch in batches] == [[6], [1], [3, 4, 0], [5, 2]]
    assert {len(batch) for batch in by_length(lengths, tokens=1)} == {1}


def test_masking_follows_its_shares_and_spares_special_tokens(world: World) -> None:
    masker = Masker(world.tokenizer)
    draws = np.random.default_rng(0)
    words = [i for i in range(len(world.tokenizer)) if i not in world.tokenizer.all_special_ids]
    original = draws.choice(words, (200, 100))
    original[:, 0], original[:, -1] = 0, 2
    ids = original.copy()
    choice, word = draws.random((2, 200, 100))
    labels = masker(ids, choice, word, 0.15)
    chosen = labels != IGNORE
    assert not chosen[:, [0, -1]].any()
    assert np.array_equal(labels[chosen], original[chosen])
    assert np.array_equal(ids[~chosen], original[~chosen])
    assert chosen.mean() == pytest.approx(0.15 * 0.98, rel=0.05)
    masked = ids[chosen] == world.tokenizer.mask_token_id
    kept = ids[chosen] == original[chosen]
    assert masked.mean() == pytest.approx(0.8, abs=0.03)
    assert kept.mean() == pytest.approx(0.1 + 0.1 / len(words), abs=0.02)
    assert set(ids[chosen & (ids != world.tokenizer.mask_token_id)]) <= set(words)


def schedule(
    sizes: list[int], rng: int = 1, sampler: str = "proportional", **more: Any
) -> Schedule:
    settings = {**TRAINING, "batch": 10, **more}
    return Schedule(sizes, {"name": sampler, "temperature": 2.0}, settings, rng)


def test_epochs_and_steps() -> None:
    one = schedule([95], epochs=3)
    assert (one.per_epoch, one.steps, one.epochs) == (10, 30, 3)
    assert [one.place(step) for step in (0, 9, 10, 29)] == [
        (0, 0, 0),
        (0, 0, 9),
        (0, 1, 0),
        (0, 2, 9),
    ]
    assert [one.end(epoch) for epoch in range(3)] == [10, 20, 30]
    short = schedule([95], steps=13)
    assert (short.steps, short.epochs, short.end(1)) == (13, 2, 13)


def test_the_learning_rate_rises_and_falls_linearly() -> None:
    one = schedule([100], epochs=1, learning_rate=1.0, warmup=0.2)
    assert [round(one.rate(step), 4) for step in range(10)] == [
        *(0.5, 1.0, 1.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125)
    ]
    assert schedule([100], epochs=1, learning_rate=1.0, warmup=0.0).rate(0) == 1.0


def test_a_mixture_draws_in_proportion_and_takes_batches_in_turn() -> None:
    one = schedule([3000, 1000], epochs=10)
    places = [one.place(step) for step in range(one.steps)]
    share = sum(place.task for place in places) / len(places)
    assert share == pytest.approx(0.25, abs=0.03)
    for task, batches in enumerate(one.batches):
        turns = [place.epoch * batches + place.batch for place in places if place.task == task]
        assert turns == list(range(len(turns)))
    assert places == [schedule([3000, 1000], epochs=10).place(step) for step in range(one.steps)]
    longer = schedule([3000, 1000], epochs=20)
    assert places == [longer.place(step) for step in range(one.steps)]
    assert places != [schedule([3000, 1000], 2, epochs=10).place(s) for s in range(one.steps)]


def test_shares_of_the_samplers() -> None:
    assert shares([900, 100], {"name": "proportional"}) == pytest.approx([0.9, 0.1])
    assert shares([900, 100], {"name": "uniform"}) == [0.5, 0.5]
    assert shares([900, 100], {"name": "temperature", "temperature": 2}) == pytest.approx(
        [0.75, 0.25]
    )
    with pytest.raises(ModelError, match="Did you mean 'uniform'"):
        shares([1, 2], {"name": "unifrom"})
