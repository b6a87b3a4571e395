from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pytest

from analysis.world import World, study
from sweeper import Store
from sweeper.analysis import crossed
from sweeper.errors import StoreError
from sweeper.tasks.card import Card, shipped_cards

COUNT = 200
HELP = {"none": 0.0, "supersense": 0.08, "more": 0.0}


def right(row: str, target: str, seed: int, language: str) -> list[bool]:
    """Examples are hard or easy in all languages; supersense helps; a run errs at random."""
    if target == "demo_retrieval" and row == "none":
        seed = 0  # one computation
    rng = np.random.default_rng(zlib.crc32(f"{row} {target} {seed} {language}".encode()))
    hardness = np.linspace(0, 1, COUNT)
    noise = rng.normal(0, 0.1, COUNT) + rng.normal(0, 0.01)
    return [bool(one) for one in hardness + noise < 0.6 + HELP[row]]


STUDY = study(
    targets={
        "topic": {"languages": ["qaa", "qab", "qac"]},
        "demo_retrieval": {"languages": ["qab"]},
    },
    spaces={}, seeds=[0, 1, 2, 3],
)  # fmt: skip


def difference(row: str, target: str, language: str, seeds: int = 4) -> np.ndarray:
    runs = [[right(one, target, seed, language) for seed in range(seeds)] for one in (row, "none")]
    return 100.0 * np.array(runs[0]) - 100.0 * np.array(runs[1])


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(
        World(tmp_path_factory.mktemp("store") / "s", STUDY).run(right=right).files.address
    )


def test_gains_are_paired_by_seed_and_example(store: Store) -> None:
    cell = store.transfer("gain").cells["supersense", "topic"]
    # Examples that bear the same ids in both languages are one example.
    both = (
        difference("supersense", "topic", "qab") + difference("supersense", "topic", "qac")
    ) / 2
    wanted = crossed.crossed([both])
    assert cell.value == pytest.approx(wanted.mean)
    assert cell.p == pytest.approx(wanted.p)
    assert cell.covers == "seeds and examples" and cell.n == 2 * COUNT
    assert cell.p_examples == pytest.approx(crossed.same_checkpoints([both]))
    assert cell.interval is not None
    low, high = cell.interval
    assert low < cell.value < high
    assert high - low == pytest.approx(2 * wanted.half_width(), rel=0.25)


def test_what_helps_has_stars_and_what_does_not_has_none(store: Store) -> None:
    matrix = store.transfer("gain")
    assert matrix.family == 4 and matrix.draws == 2000
    assert matrix.cells["supersense", "topic"].stars
    assert not matrix.cells["more", "topic"].stars
    for cell in matrix.cells.values():
        assert cell.p is not None and cell.p_holm is not None and cell.q is not None
        assert cell.p <= cell.q <= cell.p_holm <= min(1.0, 4 * cell.p)


def test_a_control_of_one_computation_has_no_luck_of_seeds(store: Store) -> None:
    none = store.transfer(draws=100).cells["none", "demo_retrieval"]
    assert none.deterministic and none.covers == "examples" and none.interval is not None
    gain = store.transfer("gain").cells["supersense", "demo_retrieval"]
    assert gain.covers == "seeds and examples"
    wanted = crossed.crossed([difference("supersense", "demo_retrieval", "qab")])
    assert gain.p == pytest.approx(wanted.p)


def test_fewer_than_three_seeds_have_no_stars_and_it_says_why(tmp_path: Path) -> None:
    two = STUDY.model_copy(update={"seeds": (0, 1)})
    World(tmp_path / "s", two).run(right=right)
    matrix = Store(tmp_path / "s").transfer("gain")
    cell = matrix.cells["supersense", "topic"]
    assert cell.p is None and not cell.stars and matrix.family == 0
    assert cell.untested == "2 seeds, and a test needs 3"
    assert cell.covers == "examples" and cell.interval is not None  # of these very checkpoints
    assert cell.p_examples is not None and cell.p_examples < 0.05


def test_a_metric_that_is_no_mean_over_examples_is_judged_over_seeds(tmp_path: Path) -> None:
    World(tmp_path / "s").run()
    cell = Store(tmp_path / "s").transfer("gain").cells["supersense", "tagging"]
    wanted = crossed.of_seeds([10.0, 12.0, 14.0])
    assert cell.covers == "seeds" and cell.p == pytest.approx(wanted.p)
    half = wanted.half_width()
    assert cell.interval == pytest.approx((12.0 - half, 12.0 + half))


def test_examples_are_paired_by_id_wherever_they_stand(tmp_path: Path) -> None:
    """A run whose examples were written in another order gives the same p-value."""
    world = World(tmp_path / "s", STUDY)
    plain = world._of

    def shuffled(row: dict) -> list[dict]:
        rows = list(plain(row))
        return rows[::-1] if row["seed"] == 2 else rows

    world._of = shuffled  # type: ignore[method-assign, assignment]
    world.run(right=right)
    found = Store(tmp_path / "s").transfer("gain").cells["supersense", "topic"]
    both = (
        difference("supersense", "topic", "qab") + difference("supersense", "topic", "qac")
    ) / 2
    assert found.p == pytest.approx(crossed.crossed([both]).p)


def test_collapsed_runs_are_flagged_and_counted(tmp_path: Path) -> None:
    """Half of the examples have the commonest label: right on no more is nothing learnt."""

    def collapse(row: str, target: str, seed: int, language: str) -> list[bool]:
        if (row, target, seed) == ("more", "topic", 1):
            return [number % 2 == 0 for number in range(COUNT)]
        return right(row, target, seed, language)

    World(tmp_path / "s", STUDY).run(right=collapse)
    store = Store(tmp_path / "s")
    scores = store.transfer(draws=100)
    assert scores.cells["more", "topic"].collapsed == (1,)
    assert scores.cells["more", "topic"].seeds == (0, 1, 2, 3)
    assert scores.cells["none", "topic"].collapsed == ()
    assert store.transfer("gain").cells["more", "topic"].collapsed == (1,)


def test_without_draws_no_examples_are_read(store: Store) -> None:
    matrix = store.transfer("gain", draws=0)
    assert matrix.draws == 0 and matrix.family == 0
    assert all(cell.interval is None and cell.p is None for cell in matrix.cells.values())
    assert matrix.values.equals(store.transfer("gain").values)


# ---- columns ----------------------------------------------------------------------------------


def test_groups_of_languages_and_categories_of_targets(store: Store) -> None:
    scores = {code: 100.0 * np.mean([right("none", "topic", s, code) for s in range(4)])
              for code in ("qab", "qac")}  # fmt: skip
    by_family = store.transfer(by="family")
    assert [column.name for column in by_family.columns] == [
        ("topic", "Synthetic"), ("demo_retrieval", "Synthetic"),
    ]  # fmt: skip
    mean = pytest.approx(np.mean(list(scores.values())))
    assert by_family.values.loc["none", ("topic", "Synthetic")] == mean
    assert store.transfer(by="script").columns[0].group == "Latin"
    by_category = store.transfer(by="category")
    assert list(by_category.values.columns) == ["classification", "retrieval"]
    assert by_category.values.loc["none", "classification"] == mean
    assert by_category.languages["classification"] == ("qab", "qac")


def test_a_category_is_the_mean_of_its_targets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cards = shipped_cards()
    second = cards["topic"].model_dump(mode="json") | {"name": "second", "training_task": "second"}
    cards["second"] = Card.model_validate(second)
    monkeypatch.setattr("sweeper.knowncards.shipped_cards", lambda: cards)
    both = study(
        targets={"topic": {"languages": ["qab"]}, "second": {"languages": ["qab"]}},
        intermediates={"supersense": None}, spaces={}, seeds=[0, 1, 2],
    )  # fmt: skip
    World(tmp_path / "s", both).run(right=right)
    matrix = Store(tmp_path / "s").transfer("gain", by="category")
    (column,) = matrix.columns
    assert [member.target for member in column.members] == ["topic", "second"]
    parts = [difference("supersense", name, "qab", 3) / 2 for name in ("topic", "second")]
    cell = matrix.cell("supersense", column)
    assert cell.value == pytest.approx(sum(part.mean() for part in parts))
    assert cell.p == pytest.approx(crossed.crossed(parts).p)


def test_means_over_other_languages_are_not_compared(store: Store) -> None:
    matrix = store.transfer()
    fewer = store.transfer(target_languages={"topic": ["qab"]})
    with pytest.raises(StoreError, match="over different languages.*topic/test: qab qac here"):
        matrix.minus(fewer)
    with pytest.raises(StoreError, match="scores by task, the other gains by task"):
        matrix.minus(store.transfer("gain"))
    assert (matrix.minus(store.transfer()) == 0.0).all(axis=None)
