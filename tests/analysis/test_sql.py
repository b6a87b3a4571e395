from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from analysis.world import World, study
from sweeper import Store
from sweeper.errors import StoreError


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(World(tmp_path_factory.mktemp("store") / "tiny").run().files.address)


def test_scores_and_examples_are_those_of_the_queries(store: Store) -> None:
    for name, known in (("scores", store.scores(metric="all")), ("examples", store.examples())):
        found = store.sql(f"SELECT * FROM {name}")
        assert list(found.columns) == list(known.columns)
        order = ["target", "intermediate", "seed", "language", *(["metric"] * (name == "scores"))]
        both = [one.sort_values(order, ignore_index=True) for one in (found, known)]
        pd.testing.assert_frame_equal(*both, check_dtype=False)


def test_gain_is_paired_with_the_control(store: Store) -> None:
    found = store.sql(
        "SELECT avg(gain) AS gain FROM gain WHERE zero_shot AND target = 'tagging' "
        "AND intermediate = 'supersense'"
    )
    assert found["gain"][0] == pytest.approx(12.0)
    # The control of every seed is one row of the store, for retrieval.
    seeds = store.sql("SELECT DISTINCT seed FROM gain WHERE target = 'demo_retrieval'")
    assert sorted(seeds["seed"]) == [0, 1, 2]


def test_trials_winners_and_languages(store: Store) -> None:
    assert store.sql("SELECT count(*) AS n FROM trials")["n"][0] == len(store.trials())
    best = store.sql("SELECT intermediate, seed FROM best WHERE target = 'tagging'")
    known = store.best("tagging")
    assert list(best.iloc[0]) == [known.intermediate, known.seed]
    joined = store.sql(
        "SELECT DISTINCT family FROM scores JOIN languages ON code = language WHERE seed = 0"
    )
    assert list(joined["family"]) == ["Synthetic"]


def test_studies_are_side_by_side_unless_one_is_named(tmp_path: Path) -> None:
    World(tmp_path / "s").run()
    World(tmp_path / "s", study(name="other", seeds=[0])).run()
    store = Store(tmp_path / "s")
    counts = (
        "SELECT study, count(DISTINCT seed) AS seeds FROM scores GROUP BY study ORDER BY study"
    )
    assert store.sql(counts).to_numpy().tolist() == [["other", 1], ["tiny", 3]]
    assert list(store.sql(counts, study="tiny")["study"]) == ["tiny"]


def test_a_store_without_rows_has_empty_views(tmp_path: Path) -> None:
    World(tmp_path / "s")
    for name in ("scores", "examples", "trials", "gain"):
        assert not len(Store(tmp_path / "s").sql(f"SELECT * FROM {name}"))


def test_large_answers_come_as_arrow(store: Store) -> None:
    found = store.sql_arrow("SELECT id, correct FROM examples")
    assert found.num_rows == len(store.examples())


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("SELECT * FROM score", "The views are scores, trials"),
        ("SELECT nothing FROM scores", "nothing"),
        ("SELECT", "selection list. The views are scores, trials"),
        ("", "must be a SELECT. The views are scores, trials"),
        (";", "must be a SELECT"),
        ("SELECT * FROM read_csv('/etc/hostname')", "file system operations are disabled"),
        ("SELECT * FROM views", "does not exist"),  # a Python variable where it is asked
        ("SET enable_external_access = true; SELECT 1", "DuckDB does not take"),
    ],
)
def test_a_query_sees_the_views_and_nothing_else(store: Store, query: str, said: str) -> None:
    with pytest.raises(StoreError) as error:
        store.sql(query)
    assert said in str(error.value)
