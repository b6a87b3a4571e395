from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
import pytest

from analysis.world import World, study
from sweeper import Store
from sweeper.errors import StoreError


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(World(tmp_path_factory.mktemp("store") / "tiny").run().files.address)


def test_scores_are_means_over_zero_shot_languages_then_seeds(store: Store) -> None:
    matrix = store.transfer()
    assert matrix.values.loc["none", "tagging"] == 46.0  # (50 + 40) / 2, + mean of 0, 1, 2
    assert matrix.values.loc["supersense", "tagging"] == 58.0
    assert matrix.languages == {"tagging": ("qab", "qac"), "demo_retrieval": ("qab",)}
    assert list(matrix.values.index) == ["none", "supersense", "more"]
    assert list(matrix.values.columns) == ["tagging", "demo_retrieval"]
    assert (matrix.state == "done").all(axis=None) and matrix.complete
    assert (matrix.n_seeds == 3).all(axis=None)


def test_the_standard_error_is_over_seeds(store: Store) -> None:
    error = store.transfer().standard_error
    assert error.loc["none", "tagging"] == pytest.approx(1 / math.sqrt(3))
    assert error.loc["supersense", "tagging"] == pytest.approx(3 / math.sqrt(3))


def test_gains_are_paired_by_seed(store: Store) -> None:
    gain = store.transfer("gain")
    assert list(gain.rows) == ["supersense", "more"]
    assert gain.values.loc["supersense", "tagging"] == 12.0
    assert gain.standard_error.loc["supersense", "tagging"] == pytest.approx(2 / math.sqrt(3))
    # `more` is one point below none in every seed: the pairs do not vary.
    assert gain.values.loc["more", "tagging"] == -1.0
    assert gain.standard_error.loc["more", "tagging"] == 0.0


def test_a_cell_that_is_one_computation_has_no_standard_error_but_its_gains_have(
    store: Store,
) -> None:
    scores, gains = store.transfer(), store.transfer("gain")
    assert math.isnan(scores.standard_error.loc["none", "demo_retrieval"])
    assert scores.cells["none", "demo_retrieval"].deterministic
    assert not scores.cells["none", "tagging"].deterministic
    assert gains.values.loc["supersense", "demo_retrieval"] == 7.0  # 26, 27, 28 against 20
    assert gains.standard_error.loc["supersense", "demo_retrieval"] == pytest.approx(3**-0.5)


def test_by_language_has_the_trained_one_too(store: Store) -> None:
    matrix = store.transfer(by="language")
    assert list(matrix.values.columns) == [
        ("tagging", "qaa"),
        ("tagging", "qab"),
        ("tagging", "qac"),
        ("demo_retrieval", "qab"),
    ]
    assert matrix.values.loc["none", ("tagging", "qac")] == 41.0
    assert [column.zero_shot for column in matrix.columns] == [False, True, True, True]


def test_overlaps_are_flagged_and_rules_told(store: Store) -> None:
    matrix = store.transfer()
    assert matrix.overlap.loc["more", "tagging"] == "same data as the training task"
    assert matrix.overlap.loc["supersense", "tagging"] == ""
    assert matrix.selection["tagging"] == "trial and epoch with the highest f1 on tagging/dev/qaa"
    assert "nothing is trained" in matrix.selection["demo_retrieval"]


def test_the_best_rows_of_a_column_share_ties(store: Store, tmp_path: Path) -> None:
    matrix = store.transfer()
    assert matrix.best_rows(matrix.columns[0]) == {"supersense"}
    World(tmp_path / "s").run(lambda *_: 50.0)
    tied = Store(tmp_path / "s").transfer()
    assert tied.best_rows(tied.columns[0]) == {"none", "supersense", "more"}


def test_a_seed_that_lacks_a_language_counts_for_nothing(tmp_path: Path) -> None:
    """Languages added later: a study over a store that has scored only some of them."""
    World(tmp_path / "s").run()
    wider = study(targets={"tagging": {"languages": ["qab", "qac", "qad"]}})
    World(tmp_path / "s", wider).run(
        leave=lambda key: "score/supersense" in key or key == "score/none>tagging/seed=2"
    )
    matrix = Store(tmp_path / "s").transfer()
    none, helped = matrix.cells["none", "tagging"], matrix.cells["supersense", "tagging"]
    assert none.state == "partial" and none.seeds == (0, 1)
    assert none.value == pytest.approx(40.5)  # (50 + 40 + 30) / 3, + mean of 0, 1
    assert helped.state == "partial" and helped.value is None and helped.seeds == ()
    assert matrix.cells["more", "tagging"].state == "done"
    gain = Store(tmp_path / "s").transfer("gain").cells["more", "tagging"]
    assert (gain.state, gain.seeds, gain.value) == ("partial", (0, 1), pytest.approx(-1.0))
    # Over languages that all rows have, everything can be compared.
    asked = Store(tmp_path / "s").transfer(target_languages={"tagging": ["qab", "qac"]})
    assert asked.complete and asked.values.loc["supersense", "tagging"] == 58.0


def test_states_of_cells_without_a_value(tmp_path: Path) -> None:
    World(tmp_path / "s").run(
        leave=lambda key: key.startswith("tune/none>"),
        fail={
            *(f"tune/supersense>tagging/seed={seed}/trial=0" for seed in range(3)),
            *(f"score/more>tagging/seed={seed}" for seed in range(3)),
        },
    )
    matrix = Store(tmp_path / "s").transfer()
    assert dict(matrix.state["tagging"]) == {
        "none": "not run",
        "supersense": "blocked",
        "more": "failed",
    }
    assert matrix.values["tagging"].isna().all()
    assert matrix.best_rows(matrix.columns[0]) == set()
    gains = Store(tmp_path / "s").transfer("gain")
    assert gains.cells["supersense", "demo_retrieval"].state == "done"


def test_one_seed_has_no_standard_error(tmp_path: Path) -> None:
    World(tmp_path / "s", study(seeds=[5])).run()
    matrix = Store(tmp_path / "s").transfer()
    assert matrix.values.loc["none", "tagging"] == 50.0
    assert matrix.standard_error.isna().all(axis=None)
    assert not matrix.cells["none", "demo_retrieval"].deterministic


def test_a_target_without_a_zero_shot_language_has_no_mean(tmp_path: Path) -> None:
    only = {"tagging": {"languages": ["qaa"], "splits": ["dev"]}}
    World(tmp_path / "s", study(targets=only, oracle=True)).run()
    store = Store(tmp_path / "s")
    assert store.matrix().isna().all(axis=None)
    by_language = store.transfer(by="language")
    assert by_language.values.loc["none", ("tagging", "qaa")] == 91.0
    assert by_language.overlap.loc["none", ("tagging", "qaa")] == "selected on"


def test_the_long_table_has_a_row_per_cell(store: Store) -> None:
    frame = store.transfer("gain").to_frame()
    assert len(frame) == 4
    row = frame.iloc[0]
    assert (row["intermediate"], row["target"], row["value"]) == ("supersense", "tagging", 12.0)
    assert row["languages"] == "qab qac" and row["kind"] == "gain"
    assert dict(zip(frame["intermediate"], frame["trained_on"], strict=True)) == {
        "supersense": "supersense", "more": "tagging",
    }  # fmt: skip
    assert isinstance(store.matrix(), pd.DataFrame)


def test_unknown_axes_values_targets_and_languages_are_errors(store: Store) -> None:
    with pytest.raises(StoreError, match="Did you mean 'gain'"):
        store.transfer("gains")
    with pytest.raises(StoreError, match="Known: category, family, language, script, task"):
        store.transfer(by="x")
    with pytest.raises(StoreError, match="Unknown target 'topic'"):
        store.transfer(target_languages={"topic": ["qab"]})
    with pytest.raises(StoreError, match="no language 'qad'"):
        store.transfer(target_languages={"tagging": ["qad"]})
