from __future__ import annotations

from pathlib import Path
from typing import Any

import optuna
import pytest
from analysis.world import Dev, World, known_dev, known_score, study
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from report.checkpoints import Trained
from sweeper import Store
from sweeper.errors import StoreError
from sweeper.graph import Job
from sweeper.report.checkpoint import export_checkpoint
from sweeper.report.searches import export_searches

SPACE = {
    "search": {"learning_rate": {"low": 1e-4, "high": 1e-2, "log": True}, "batch": [8, 16]},
    "sampler": "random",
    "trials": 6,
    "pruning": {"rule": "median", "startup": 1},
}
RATES = [1e-3, 2e-3, 9e-3, 3e-3, 4e-3]
SEARCH = "none>tagging/seed=0"


class Searched(World):
    """A search with a trial in every state: its trial's number says which one."""

    def search(self) -> Searched:
        self.run(leave=lambda key: key.startswith("tune/"))
        search = self.plan.searches[SEARCH]
        for number, rate in enumerate(RATES):
            self.progress.asked(search, number, {"learning_rate": rate, "batch": 8})
        for number, key in enumerate(search.trials[:4]):
            assert self.progress.claim(key)
            if number == 1:
                self.progress.prune(key, [20.0, 21.0], "21.00 after epoch 2: too low")
            elif number == 3:
                self._fail(self.plan.jobs[key])
            else:
                self._do(self.plan.jobs[key], known_score, known_dev)
        return self

    def _outcome(self, job: Job, dev: Dev) -> dict[str, Any]:
        outcome = super()._outcome(job, dev)
        if job.trial == 2:
            told = {"status": "diverged", "message": "loss is nan", "selections": {}}
            return {**outcome, **told, "values": [10.0]}
        return {**outcome, "values": [30.0, 60.0, 70.0]} if job.kind == "tune" else outcome


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    of = study(targets={"tagging": None}, intermediates={"supersense": None}, seeds=[0],
               spaces={"tagging": SPACE})  # fmt: skip
    return Store(Searched(tmp_path_factory.mktemp("store") / "s", of).search().files.address)


@pytest.mark.parametrize("format", ["sqlite", "journal"])
def test_trials_have_their_true_states(store: Store, tmp_path: Path, format: str) -> None:
    path = tmp_path / "searches"
    path.write_text("an earlier export")
    assert export_searches(store.view(), path, format) == 2
    storage: Any = f"sqlite:///{path}"
    if format == "journal":
        storage = optuna.storages.JournalStorage(JournalFileBackend(str(path)))
    assert optuna.get_all_study_names(storage) == [SEARCH, "supersense>tagging/seed=0"]
    found = optuna.load_study(study_name=SEARCH, storage=storage)
    assert found.direction == optuna.study.StudyDirection.MAXIMIZE
    assert found.metric_names == ["f1 on tagging/dev/qaa"]
    assert {"intermediate": "none", "seed": 0, "sampler": "random"}.items() <= (
        found.user_attrs.items()
    )
    trials = found.trials
    assert [(t.number, t.state) for t in trials] == list(
        enumerate(
            [
                TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL, TrialState.FAIL,
                TrialState.RUNNING, TrialState.WAITING,
            ]
        )
    )  # fmt: skip
    assert [t.params.get("learning_rate") for t in trials] == [*RATES, None]
    values = {1: 30.0, 2: 60.0, 3: 70.0}
    assert (found.best_trial.number, trials[0].value, trials[0].intermediate_values) == (
        *(0, 70.0), values
    )  # fmt: skip
    assert trials[1].intermediate_values == {1: 20.0, 2: 21.0}
    assert trials[2].intermediate_values == {1: 10.0}
    assert [t.user_attrs.get("message", "") for t in trials[:4]] == [
        "", "21.00 after epoch 2: too low", "loss is nan", "a row has no label",
    ]  # fmt: skip
    assert trials[0].user_attrs["tagging/dev/qaa: epoch"] == 3
    assert trials[0].duration and trials[0].duration.total_seconds() == 1.0
    assert list(path.parent.iterdir()) == [path]


def test_the_chosen_trial_is_marked(tmp_path: Path) -> None:
    world = World(tmp_path / "s").run()
    export_searches(Store(world.files.address).view(), tmp_path / "s.db")
    storage = f"sqlite:///{tmp_path}/s.db"
    found = optuna.load_study(study_name="supersense>tagging/seed=1", storage=storage)
    chosen = [trial.user_attrs.get("chosen for") for trial in found.trials]
    assert chosen == [None, ["tagging"]] and found.best_trial.number == 1


def test_what_cannot_be_exported_is_said(store: Store, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"no folder .*/none\."):
        export_searches(store.view(), tmp_path / "none" / "s.db")
    with pytest.raises(StoreError, match="Known: journal, sqlite"):
        export_searches(store.view(), tmp_path / "s.db", "csv")
    of = study(targets={"demo_retrieval": {"languages": ["qab"]}}, spaces={})
    world = World(tmp_path / "store", of)
    with pytest.raises(StoreError, match="has no searches"):
        export_searches(Store(world.files.address).view(), tmp_path / "s.db")


def test_searches_of_stages_and_those_that_follow_are_there(tmp_path: Path) -> None:
    own = {"space": {"search": {"learning_rate": [1e-4, 2e-4]}}}
    grid = {"search": {"learning_rate": [1e-3, 3e-3]}, "tune_seeds": "first"}
    of = study(intermediates={"supersense": own}, targets={"tagging": None}, seeds=[0, 1],
               spaces={"tagging": grid})  # fmt: skip
    world = Trained(tmp_path / "s", of)
    world.run()
    view = Store(world.files.address).view()
    export_searches(view, tmp_path / "s.db")
    storage = f"sqlite:///{tmp_path}/s.db"
    found = {s.study_name: s for s in optuna.get_all_study_summaries(storage)}
    assert set(found) == set(view.plan.searches)
    assert found["supersense>tagging/seed=1"].user_attrs["follows"] == "supersense>tagging/seed=0"
    follower = optuna.load_study(study_name="supersense>tagging/seed=1", storage=storage)
    assert [t.state for t in follower.trials] == [TrialState.COMPLETE]
    stage = next(s for s in found.values() if s.user_attrs.get("stage"))
    assert stage.user_attrs["stage"] == "train/supersense/seed=0" and stage.n_trials == 2
    export_checkpoint(view, "tagging", tmp_path / "out", intermediate="supersense")
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert "by a search of its own: learning\\_rate. `train/supersense/" in card
    assert "| Fine noun classes (demo) (supersense) | dev | selection | qaa |" in card
