from __future__ import annotations

from pathlib import Path

import pytest

from analysis.world import World, known_score, study
from sweeper import Store
from sweeper.errors import StoreError


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("store") / "tiny").run()


@pytest.fixture(scope="module")
def store(done: World) -> Store:
    return Store(done.files.address)


def test_scores_have_a_row_per_row_target_seed_and_language(store: Store) -> None:
    found = store.scores()
    assert len(found) == 3 * 3 * 3 + 3 * 3
    key = ["intermediate", "target", "seed", "language"]
    assert not found[key].duplicated().any()
    for place, value in zip(
        found[key].itertuples(index=False, name=None), found["value"], strict=True
    ):
        assert value == known_score(*place)
    assert list(found["study"].unique()) == ["tiny"]


def test_scores_come_in_the_order_of_the_study(store: Store) -> None:
    found = store.scores()
    assert list(found["target"].unique()) == ["tagging", "demo_retrieval"]
    assert list(found["intermediate"].unique()) == ["none", "supersense", "more"]


def test_filters_take_one_name_or_several(store: Store) -> None:
    assert len(store.scores(target="tagging", intermediate="none", language="qab", seed=1)) == 1
    assert len(store.scores(target="tagging", language=["qab", "qac"], seed=[0, 2])) == 3 * 2 * 2
    assert set(store.scores(metric="all")["metric"]) == {"f1", "accuracy", "other"}
    assert set(store.scores(metric="other")["value"]) == {v / 2 for v in store.scores()["value"]}


@pytest.mark.parametrize(
    ("filters", "said"),
    [
        ({"target": "taging"}, "no target 'taging'. Did you mean 'tagging'?"),
        ({"intermediate": "super"}, "no intermediate 'super'. Did you mean 'supersense'?"),
        ({"language": "qad"}, "no language 'qad'."),
        ({"seed": 7}, "no seed 7. Known: 0, 1, 2."),
        ({"metric": "f2"}, "metric 'f2'. Did you mean 'f1'?"),
        ({"study": "tny"}, "no study 'tny'. Did you mean 'tiny'?"),
    ],
)
def test_an_unknown_name_is_an_error_with_a_guess(
    store: Store, filters: dict[str, str], said: str
) -> None:
    with pytest.raises(StoreError) as error:
        store.scores(**filters)
    assert said in str(error.value)


def test_retrieval_on_the_control_is_computed_once_and_counts_for_every_seed(
    done: World, store: Store
) -> None:
    scored = [key for key in done.ran if key.startswith("score/none>demo_retrieval")]
    assert scored == ["score/none>demo_retrieval/seed=0"]
    found = store.scores(target="demo_retrieval", intermediate="none")
    assert list(found["seed"]) == [0, 1, 2]
    assert found["unit"].nunique() == 1
    assert list(found["value"]) == [20.0] * 3


def test_zero_shot_and_overlap_come_from_the_plan(store: Store) -> None:
    found = store.scores(target="tagging", seed=0)
    assert set(found[found["zero_shot"]]["language"]) == {"qab", "qac"}
    flagged = found[found["overlap"] != ""]
    assert set(flagged["intermediate"]) == {"more"}
    assert set(flagged["overlap"]) == {"same data as the training task"}
    assert store.scores(target="demo_retrieval")["zero_shot"].all()


def test_examples_follow_the_cells_too(store: Store) -> None:
    found = store.examples(target="demo_retrieval", intermediate="none")
    assert list(found["seed"]) == [0, 1, 2]
    assert set(found["predicted"]) == {"b"}
    assert len(store.examples()) == len(store.scores())


def test_trials_are_every_attempt(done: World, store: Store) -> None:
    found = store.trials()
    assert sorted(found["job"]) == sorted(done.ran)
    assert len(store.trials(kind="tune")) == 3 * 3 * 2
    assert set(store.trials(kind="tune", seed=1)["trial"]) == {0, 1}


def test_trials_include_failed_attempts(tmp_path: Path) -> None:
    broken = "tune/supersense>tagging/seed=1/trial=0"
    World(tmp_path / "s").run(fail={broken})
    found = Store(tmp_path / "s").trials(status="failed")
    assert list(found["job"]) == [broken]


def test_studies_share_rows_and_keep_their_own_names(tmp_path: Path) -> None:
    """Another study calls the row otherwise, has fewer seeds, and one language more."""
    World(tmp_path / "s").run()
    other = study(
        name="other",
        intermediates={"helper": {"tasks": ["supersense"]}},
        targets={"tagging": {"languages": ["qac", "qad"]}},
        seeds=[1],
    )
    second = World(tmp_path / "s", other).run(
        lambda row, target, seed, code: -1.0, lambda *_: (0.0, 0.0, 1)
    )
    assert not [key for key in second.ran if key.startswith(("train", "tune"))]
    store = Store(tmp_path / "s")
    assert store.studies() == ["other", "tiny"]
    found = store.scores(study="other")
    assert set(found["intermediate"]) == {"none", "helper"}
    shared = found[(found["intermediate"] == "helper") & (found["language"] == "qac")]
    assert list(shared["value"]) == [known_score("supersense", "tagging", 1, "qac")]
    assert list(found[found["language"] == "qad"]["value"]) == [-1.0, -1.0]
    assert set(store.scores(study="tiny")["intermediate"]) == {"none", "supersense", "more"}
    with pytest.raises(StoreError, match="2 studies; name one"):
        store.scores()
    assert store.best("tagging", study="other").intermediate == "helper"
    assert len(store.trials(study="other", kind="tune")) == 2 * 2


def test_a_store_without_scores_gives_an_empty_table(tmp_path: Path) -> None:
    World(tmp_path / "s")
    store = Store(tmp_path / "s")
    found = store.scores()
    assert len(found) == 0 and {"intermediate", "value", "overlap"} <= set(found.columns)
    assert len(store.trials()) == len(store.examples()) == 0


def test_no_store_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="There is no store in"):
        Store(tmp_path / "nothing")


def test_progress_gives_the_plan_and_its_state(store: Store) -> None:
    planned, progress = store.progress()
    assert progress.left == set()
    assert planned.rows == ["none", "supersense", "more"]
