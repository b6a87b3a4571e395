from __future__ import annotations

from pathlib import Path

import pytest

from analysis.world import World, known_score, study
from sweeper import Store
from sweeper.errors import StoreError


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(World(tmp_path_factory.mktemp("store") / "tiny").run().files.address)


def test_the_best_row_seed_and_trial_are_chosen_by_dev_score(store: Store) -> None:
    best = store.best("tagging")
    assert (best.intermediate, best.seed, best.epoch) == ("supersense", 1, 3)
    assert (best.dev_score, best.dev_loss) == (83.0, 0.5)
    assert best.selection == "tagging/dev/qaa"
    assert best.parameters["learning_rate"] == 3e-3
    assert best.scores == {
        code: known_score("supersense", "tagging", 1, code) for code in ("qaa", "qab", "qac")
    }
    assert best.why == (
        "supersense has the highest mean dev score of the rows: 81.67 (f1 on tagging/dev/qaa, "
        "over 3 seeds), before more 76.67, none 71.67. Of its seeds, seed 1 with 83.00 before "
        "seed 0 81.00, seed 2 81.00. Trial 1, epoch 3 won among 2 trials before trial 0, "
        "epoch 3, with 82.00."
    )


def test_the_path_is_the_winners_checkpoint(store: Store) -> None:
    best = store.best("tagging")
    _, progress = store.progress()
    commit = progress.addressing.commit("tune/supersense>tagging/seed=1/trial=1")
    assert commit is not None
    assert best.path == f"{store.files.address}/{commit.folder}/epoch=3"


def test_target_languages_choose_nothing(store: Store) -> None:
    narrowed = store.best("tagging", language="qac")
    assert narrowed.path == store.best("tagging").path
    assert list(narrowed.scores) == ["qac"]


def test_a_named_row_is_taken_and_its_overlap_told(store: Store) -> None:
    best = store.best("tagging", intermediate="more")
    assert (best.intermediate, best.dev_score) == ("more", 78.0)
    assert best.why.startswith("more was asked for; its mean dev score is 76.67")
    assert best.why.endswith("Note: same data as the training task.")


@pytest.mark.parametrize(
    ("dev", "row", "seed", "trial"),
    [
        # Equal values: the lower dev loss wins, here of row, seed and trial alike.
        (lambda r, s, t: (50.0, 0.9 - 0.1 * (r == "more") - 0.1 * s - t / 100, 3), "more", 2, 1),
        # Equal losses too: the earlier epoch, then the lower learning rate, then the lower seed.
        (lambda r, s, t: (50.0, 0.5, 3 - (s == 1)), "none", 1, 0),
        (lambda r, s, t: (50.0, 0.5, 3), "none", 0, 0),
    ],
)
def test_ties_are_decided_by_loss_epoch_and_learning_rate(
    tmp_path: Path, dev: object, row: str, seed: int, trial: int
) -> None:
    World(tmp_path / "s").run(dev=dev)  # type: ignore[arg-type]
    best = Store(tmp_path / "s").best("tagging")
    assert (best.intermediate, best.seed) == (row, seed)
    assert best.parameters["learning_rate"] == [1e-3, 3e-3][trial]
    assert "tie" in best.why


def test_retrieval_selects_nothing_and_says_so(store: Store) -> None:
    best = store.best("demo_retrieval")
    assert (best.intermediate, best.seed, best.selection) == ("none", 0, None)
    assert best.dev_score is best.dev_loss is best.epoch is None
    assert best.scores == {"qab": 20.0}
    assert best.parameters == {"layer": 14 / 24, "pooling": "mean"}
    assert "no selection split" in best.why and "rows and seeds are not ranked" in best.why
    _, progress = store.progress()
    base = progress.addressing.commit("train/base")
    assert base is not None and best.path == f"{store.files.address}/{base.folder}/checkpoint"
    named = store.best("demo_retrieval", intermediate="supersense")
    assert named.scores == {"qab": 26.0} and "supersense was asked for" in named.why


def test_rows_with_fewer_seeds_done_are_left_out_and_counted(tmp_path: Path) -> None:
    World(tmp_path / "s").run(leave=lambda key: key.startswith("tune/supersense>tagging/seed=2"))
    best = Store(tmp_path / "s").best("tagging")
    assert best.intermediate == "more"
    assert "1 of 3 rows have fewer seeds done and were left out" in best.why


def test_nothing_selected_yet_says_what_lacks_and_what_to_do(tmp_path: Path) -> None:
    World(tmp_path / "s").run(leave=lambda key: key.endswith("trial=1"))
    store = Store(tmp_path / "s")
    with pytest.raises(StoreError) as error:
        store.best("tagging")
    assert "Nothing is selected yet for tagging: 9 of 18 trainings are done" in str(error.value)
    assert "sweeper run" in str(error.value)
    with pytest.raises(StoreError, match="of the row 'more': 3 of 6"):
        store.best("tagging", intermediate="more")


def test_a_winner_is_known_before_it_is_scored(tmp_path: Path) -> None:
    World(tmp_path / "s").run(leave=lambda key: key.startswith("score"))
    assert Store(tmp_path / "s").best("tagging").scores == {}


def test_a_checkpoint_that_another_study_dropped_is_an_error(tmp_path: Path) -> None:
    world = World(tmp_path / "s", study(name="one")).run()
    commit = world.progress.addressing.commit("tune/supersense>tagging/seed=1/trial=1")
    assert commit is not None
    world.progress.commits.drop(commit.address)
    with pytest.raises(StoreError, match="was deleted when another study"):
        Store(tmp_path / "s").best("tagging")


def test_an_unknown_target_is_an_error(store: Store) -> None:
    with pytest.raises(StoreError, match="Did you mean 'tagging'"):
        store.best("taging")
