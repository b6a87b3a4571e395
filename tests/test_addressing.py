"""Addresses: what changes them, what does not, how winners are picked, what workers are given."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers import (
    SCRATCH,
    addresses,
    base_only,
    commit_job,
    files_at,
    finish,
    outcome_of,
    progress_of,
    quick_store,
    small_study,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from sweeper.graph import BASE, TOKENIZER
from sweeper.inputs import Inputs
from sweeper.overlaps import overlap
from sweeper.planning import plan
from sweeper.progress import Progress
from sweeper.store.files import StoreFiles
from sweeper.study import Study
from sweeper.trainings import derived_seed

ROWS = {"supersense": None, "surface": None}


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., dict[str, Any]]:
    """The addresses of a study whose jobs are all done, at one store for the whole module."""
    files = files_at(tmp_path_factory.mktemp("addresses") / "store")

    def of(**changes: Any) -> dict[str, Any]:
        progress = progress_of(small_study(**changes), files)
        finish(progress)
        return addresses(progress)

    return of


def _changed(one: dict[str, Any], other: dict[str, Any]) -> set[str]:
    return {key for key in one.keys() & other.keys() if one[key] != other[key]}


def test_addresses_are_the_same_everywhere(known: Callable[..., Any], tmp_path: Path) -> None:
    progress = progress_of(small_study(), files_at(tmp_path / "other"))
    finish(progress)
    assert addresses(progress) == known()
    flat = [unit for units in known().values() for unit in units.values()]
    assert all(len(unit) == 32 and int(unit, 16) for unit in flat)


EARLIER = {
    "prepare/tokenizer": ("all", "5ec84c7b613c9793ee7f8780069ffefb"),
    "train/base": ("all", "d623e67990a62a7d79815154c9ed1929"),
    "prepare/tagging/train/48": ("qaa", "b55e08027e5d398d7480afb945e30c39"),
    "train/supersense/seed=0": ("all", "8adb2f236fb5fd1b1b26d8e7d8573508"),
    "tune/supersense>tagging/seed=0/trial=1": ("all", "ccb7a6c3abf910320ff1dd37754fd968"),
    "score/supersense>tagging/seed=0": ("test/qaa", "944162dbc8f6780691742ae015934364"),
    "score/none>demo_retrieval/seed=0": ("test/qab", "1472d4c12afc9eebf9db8724103f807f"),
}
"""Addresses as earlier sweepers computed them, and as stores have them."""


def test_what_a_study_does_not_use_leaves_its_addresses_as_they_were(
    known: Callable[..., Any], files: StoreFiles
) -> None:
    """Else all that there is would be done anew. Where that is meant, a version was raised."""
    found = known()
    assert {key: (name, found[key][name]) for key, (name, _) in EARLIER.items()} == EARLIER
    progress = progress_of(small_study(), files)
    search = progress.plan.searches["none>tagging/seed=0"]
    assert progress.addressing.search_address(search) == "d3378a3b7ba77d6b3dc77ae905dacca6"


@pytest.mark.parametrize(
    "changes",
    [
        {"intermediates": {**ROWS, "topic": None}},
        {"intermediates": {"topic": None, **ROWS}},
        {"seeds": [0, 1, 2]},
        {"seeds": [2, 1, 0]},
        {"targets": {"tagging": None, "demo_retrieval": None, "topic": None}},
        {"name": "renamed", "description": "another"},
        {"targets": {"tagging": None, "demo_retrieval": None, "topic": None},
         "spaces": {"tagging": {"search": {"learning_rate": [3e-4, 1e-3]}}, "topic": {}}},
        {"task_limits": {"xnli": {"train": 5}}},
    ],
)  # fmt: skip
def test_what_is_added_leaves_the_rest_alone(
    known: Callable[..., Any], changes: dict[str, Any]
) -> None:
    assert _changed(known(), known(**changes)) == set()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        # A row's settings: that row's stage, its trials and its scores.
        ({"intermediates": {"supersense": {"training": {"epochs": 5}}, "surface": None}},
         ("train/supersense/", "tune/supersense>", "score/supersense>")),
        ({"spaces": {"tagging": {"search": {"learning_rate": [3e-4, 1e-3]},
                                 "training": {"batch": 8}}}},
         ("tune/", "score/none>tagging", "score/surface>tagging", "score/supersense>tagging")),
        ({"task_limits": {"surface": {"train": 50}}},
         ("prepare/surface/", "train/surface/", "tune/surface>", "score/surface>")),
        ({"task_limits": {"tagging": {"test": 50}}},
         ("prepare/tagging/test", "score/none>tagging", "score/surface>tagging",
          "score/supersense>tagging")),
        ({"targets": {"tagging": None, "demo_retrieval": {"representation": {"layer": 1.0}}}},
         ("score/none>demo", "score/surface>demo", "score/supersense>demo")),
        ({"base": {"scratch": {**SCRATCH, "seed": 1}}}, ("train/", "tune/", "score/")),
        ({"base": {"scratch": {**SCRATCH, "vocabulary": 301}}},
         ("prepare/", "train/", "tune/", "score/")),
    ],
)  # fmt: skip
def test_what_changes_moves_exactly_what_rests_on_it(
    known: Callable[..., Any], changes: dict[str, Any], expected: tuple[str, ...]
) -> None:
    before, after = known(), known(**changes)
    assert _changed(before, after) == {key for key in before if key.startswith(expected)}


def test_one_and_one_point_nought_are_one_learning_rate(files: StoreFiles) -> None:
    whole = small_study(spaces={"tagging": {"search": {"learning_rate": [1]}}})
    real = small_study(spaces={"tagging": {"search": {"learning_rate": [1.0]}}})
    finish(progress_of(whole, files))
    assert not progress_of(real, files).left


def test_seeds_and_places_have_their_own_randomness() -> None:
    places = [[0, "tune", "a"], [1, "tune", "a"], [0, "tune", "b"], [0, "stage", 0, ["a"]]]
    assert len({derived_seed(place) for place in places}) == len(places)
    assert derived_seed([0, "tune", "mnli"]) == derived_seed([0, "tune", "mnli"])
    assert all(0 <= derived_seed([n]) < 2**63 for n in range(50))


def test_rows_are_given_the_same_randomness(files: StoreFiles) -> None:
    progress = progress_of(small_study(), files)
    finish(progress)
    seeds: dict[Any, set[int]] = {}
    for key, job in progress.plan.jobs.items():
        if job.kind == "tune":
            inputs = Inputs(progress.addressing).of(key, progress.missing(key))
            seeds.setdefault(job.seed, set()).add(inputs["rng"])
    assert {seed: len(found) for seed, found in seeds.items()} == {0: 1, 1: 1}
    assert seeds[0] != seeds[1]


# -- last and averaged checkpoints --------------------------------------------------------------


def test_what_is_kept_moves_the_trials_and_their_scores_alone(known: Callable[..., Any]) -> None:
    plain, asks = known(), known(checkpoints=["last"])
    assert _changed(plain, known(checkpoints=[])) == set()
    moved = ("tune/", "score/none>tagging", "score/surface>tagging", "score/supersense>tagging")
    assert _changed(plain, asks) == {key for key in plain if key.startswith(moved)}
    both, turned = known(checkpoints=["last", "averaged"]), known(checkpoints=["averaged", "last"])
    assert both == turned
    assert _changed(asks, both) == {key for key in asks if key.startswith(moved)}


def test_what_is_kept_is_no_part_of_a_search(files: StoreFiles) -> None:
    """The points that were asked for one study are those of the other."""
    plain, asks = small_study(), small_study(checkpoints=["averaged"])
    one, other = (progress_of(study, files).addressing for study in (plain, asks))
    for key, search in one.plan.searches.items():
        assert one.search_address(search) == other.search_address(other.plan.searches[key])


def test_a_last_epoch_that_dev_selected_is_scored_once(files: StoreFiles) -> None:
    progress = progress_of(small_study(checkpoints=["last", "averaged"]), files)
    finish(progress)
    equal = 0
    for cell in progress.plan.cells:
        if cell.target != "tagging":
            continue
        keys = (cell.score, *(f"{cell.score}/checkpoint={one}" for one in ("last", "averaged")))
        selected, last, averaged = map(progress.addressing.units, keys)
        at = progress.addressing.checkpoint(progress.plan.jobs[cell.score])
        assert at is not None
        equal += at.epochs == {"epoch": 3}
        assert (selected == last) == (at.epochs == {"epoch": 3})
        also = progress.addressing.checkpoint(progress.plan.jobs[keys[1]])
        assert also and also.weights == ("selected" if selected == last else "last")
        assert averaged != selected
    assert 0 < equal < 6, "the made-up outcomes have both cases"


# -- what a worker is given ---------------------------------------------------------------------


def test_inputs_are_plain_data_with_existing_references(files: StoreFiles) -> None:
    progress = progress_of(small_study(), files)
    given = {}
    while (key := progress.take()) is not None:
        if progress.claim(key):
            given[key] = Inputs(progress.addressing).of(key, progress.missing(key))
            assert json.dumps(given[key], allow_nan=False)
            commit_job(progress, key)
    done = progress.addressing.commit
    base, tokenizer = done(BASE), done(TOKENIZER)
    assert base and tokenizer
    assert given[BASE]["parent"]["scratch"]["hidden"] == SCRATCH["hidden"]
    assert given[BASE]["tokenizer"] == {"path": f"{tokenizer.folder}/tokenizer"}
    row = given["train/surface/seed=0"]
    assert row["parent"] == {"path": f"{base.folder}/checkpoint"}
    assert [Path(data).name for data in row["tasks"][0]["data"]] == ["qaa"]
    trial = given["tune/surface>tagging/seed=0/trial=1"]
    assert trial["training"]["learning_rate"] == 1e-3
    assert list(trial["selections"]) == ["tagging/dev/qaa"]
    score = given["score/surface>tagging/seed=0"]
    search = progress.plan.searches["surface>tagging/seed=0"]
    won = progress.addressing.winner(search, "tagging/dev/qaa")
    assert won
    commit = done(won[0].key)
    assert commit
    assert score["checkpoint"] == {"path": f"{commit.folder}/{won[1]['checkpoint']}"}
    assert set(score["data"]) == {f"test/{code}" for code in ("qaa", "qab", "qac", "qad", "qae")}
    assert score["representation"] is None
    retrieval = given["score/surface>demo_retrieval/seed=0"]
    stage = done("train/surface/seed=0")
    assert stage
    assert retrieval["checkpoint"] == {"path": f"{stage.folder}/checkpoint"}
    assert retrieval["representation"]["pooling"] == "mean"
    assert progress.addressing.parents("score/surface>demo_retrieval/seed=0") == [stage.address]


def test_a_folder_or_hub_base_is_the_parent_of_all(files: StoreFiles) -> None:
    planned = plan(small_study(base={"model": "x"}))
    sources = progress_of(small_study(), files).addressing.resolved.sources
    resolved, other = base_only("w"), base_only("v")
    resolved.sources = other.sources = sources
    one, two = (Progress(planned, found, files) for found in (resolved, other))
    key = "train/surface/seed=0"
    assert one.addressing.units(key) != two.addressing.units(key)
    assert one.addressing.units("prepare/tagging/dev/48") == two.addressing.units(
        "prepare/tagging/dev/48"
    ), "the weights are no part of the tokenised data"
    finish(one, until=lambda found: found == key)
    inputs = Inputs(one.addressing).of(key, one.missing(key))
    assert inputs["parent"] == inputs["tokenizer"] == {"hub": "x", "revision": "r"}


# -- selection ----------------------------------------------------------------------------------

_best = st.fixed_dictionaries(
    {"value": st.sampled_from([60.0, 61.0]), "loss": st.sampled_from([0.5, 0.6]),
     "epoch": st.integers(1, 3)}
)  # fmt: skip


@settings(max_examples=40)
@given(st.lists(_best, min_size=4, max_size=4), st.permutations([1e-4, 2e-4, 3e-4, 4e-4]))
def test_the_winner_and_its_ties(bests: list[dict[str, Any]], rates: list[float]) -> None:
    """Higher value, then lower loss, earlier epoch, lower learning rate."""
    with quick_store() as files:
        _check_winner(files, bests, rates)


def _check_winner(files: StoreFiles, bests: list[dict[str, Any]], rates: list[float]) -> None:
    study = small_study(
        intermediates={}, seeds=[0], targets={"tagging": None},
        spaces={"tagging": {"search": {"learning_rate": rates}}},
    )  # fmt: skip
    progress = progress_of(study, files)
    finish(progress, until=lambda key: key.startswith("tune/"))
    search = progress.plan.searches["none>tagging/seed=0"]
    for key, best in zip(search.trials, bests, strict=True):
        made = outcome_of(progress.plan.jobs[key], "")
        made["selections"]["tagging/dev/qaa"] |= {**best, "checkpoint": f"epoch={best['epoch']}"}
        commit_job(progress, key, made)
    orders = [(-b["value"], b["loss"], b["epoch"], r) for b, r in zip(bests, rates, strict=True)]
    won = progress.addressing.winner(search, "tagging/dev/qaa")
    assert won and won[0].trial == orders.index(min(orders))
    ranked = progress.addressing.ranking(search, "tagging/dev/qaa")
    assert [orders[job.trial or 0] for job, _ in ranked] == sorted(orders)


def test_a_winner_is_known_only_when_every_trial_is(files: StoreFiles) -> None:
    progress = progress_of(small_study(intermediates={}, seeds=[0]), files)
    search = progress.plan.searches["none>tagging/seed=0"]
    key = "score/none>tagging/seed=0"
    while (taken := progress.take()) is not None and progress.claim(taken):
        if all(progress.addressing.commit(trial) for trial in search.trials):
            break
        assert progress.addressing.units(key) is None
        commit_job(progress, taken)
    assert progress.addressing.units(key) is not None


# -- what scores say of themselves --------------------------------------------------------------


def test_overlaps_are_named() -> None:
    said = {
        "intermediates": {"surface": None, "tagging": None},
        "targets": {"tagging": {"splits": ["dev", "test"]}, "demo_retrieval": None},
        "oracle": True,
    }
    planned = plan(small_study(**said))

    def of(row: str, unit: str) -> str:
        return overlap(planned, planned.jobs[f"score/{row}>tagging/seed=0"], unit)

    assert of("surface", "test/qab") == ""
    assert of("surface", "dev/qaa") == "selected on"
    assert of("tagging", "test/qab") == "same data as the training task"
    assert of("tagging", "dev/qaa") == "same data as the training task; selected on"
    assert planned.trained_languages("tagging") == ("qaa",)
    assert planned.trained_languages("demo_retrieval") == ()


# -- local files --------------------------------------------------------------------------------


def _local_study(root: Path, file: Path) -> Study:
    file.write_text(
        f"name: local\ndata: {root}\nbase:\n  scratch: {json.dumps(SCRATCH)}\n"
        "intermediates:\n  topic_files:\ntargets:\n  pairs_files: {languages: [de, fr]}\n"
        "training: {max_length: 48}\ntasks_path: cards\n"
    )
    return Study.load(file)


def test_a_changed_file_moves_exactly_what_rests_on_it(tmp_path: Path) -> None:
    root, cards = tmp_path / "data", tmp_path / "cards"
    root.mkdir()
    cards.mkdir()
    head = "licence: none\nsplits:\n"
    (cards / "topic.yaml").write_text(
        "name: topic_files\ntitle: t\nkind: classification\nlabels: [a, b]\n" + head
        + "  train: {languages: [en]}\nsources:\n  local:\n    format: tsv\n"
        "    files: {train: 'train-{language}.tsv'}\n    columns: {text: 0, label: 1}\n"
    )  # fmt: skip
    (cards / "pairs.yaml").write_text(
        "name: pairs_files\ntitle: t\nkind: sentence_retrieval\n" + head
        + "  test: {languages: [de, fr]}\nsources:\n  local:\n    format: parallel\n"
        "    files: {test: ['{language}.txt', 'en.txt']}\n"
    )  # fmt: skip
    contents = {"train-en.tsv": "x\ta\ny\tb\n", "de.txt": "ja\n", "fr.txt": "oui\n",
                "en.txt": "yes\n"}  # fmt: skip
    for name, text in contents.items():
        (root / name).write_text(text)
    study = _local_study(root, tmp_path / "s.yaml")
    files = files_at(tmp_path / "store")

    def now() -> dict[str, Any]:
        # The shipped text card is made by code; the others are read from the folder.
        return addresses(progress_of(study, files))

    before = now()
    (root / "de.txt").write_text("nein\n")
    changed = {(key, unit) for key, units in now().items() for unit in units or {}
               if units[unit] != before[key][unit]}  # fmt: skip
    assert changed == {
        ("prepare/pairs_files/test/48", "de"),
        ("score/none>pairs_files/seed=0", "test/de"),
        ("score/topic_files>pairs_files/seed=0", "test/de"),
    }
    (root / "de.txt").write_text(contents["de.txt"])
    assert now() == before, "the content decides, not the time"
    (root / "train-en.tsv").write_text("x\tb\ny\ta\n")
    moved = {key for key, units in now().items() if units != before[key]}
    assert moved == {
        "prepare/topic_files/train/48",
        "train/topic_files/seed=0",
        "score/topic_files>pairs_files/seed=0",
    }


def test_a_score_rests_on_the_units_that_it_needs(tmp_path: Path) -> None:
    """BUCC's test is scored at a threshold of its dev: another dev is another score."""
    root = tmp_path / "data"
    (root / "bucc2018").mkdir(parents=True)
    for split in ("dev", "test"):
        for name in ("de", "en", "gold"):
            (root / f"bucc2018/de-en.{split}.{name}").write_text(f"{split} {name}")
    said = small_study(
        base={"scratch": SCRATCH}, intermediates={}, seeds=[0], data=str(root),
        targets={"bucc2018": {"languages": ["de"]}},
    )  # fmt: skip
    key = "score/none>bucc2018/seed=0"

    def at() -> Progress:
        progress = progress_of(said, files_at(tmp_path / "store"))
        finish(progress, until=lambda one: one == key)
        return progress

    first = at()
    spec = Inputs(first.addressing).of(key, first.missing(key))
    assert set(spec["data"]) == set(spec["languages"]) == {"test/de", "dev/de"}
    assert set(spec["columns"]["overlap"]) == set(first.missing(key)) == {"test/de"}
    (root / "bucc2018/de-en.dev.de").write_text("another text")
    assert at().addressing.units(key) != first.addressing.units(key)


def test_broken_rows_that_are_left_out_make_other_data(files: StoreFiles) -> None:
    strict, going = small_study(), small_study(keep_going=True)
    one, other = (progress_of(study, files).addressing for study in (strict, going))
    place = ("tagging", "train", "qaa", 48)
    assert one.prepared.unit(*place) != other.prepared.unit(*place)


def test_frozen_layers_are_in_the_address_and_their_absence_is_not(tmp_path: Path) -> None:
    """Addresses from before there was such a setting stay as they were."""

    def of(training: dict[str, Any]) -> tuple[str, str]:
        study = small_study(training={"max_length": 48, "epochs": 2, **training})
        addressing = progress_of(study, files_at(tmp_path / "store")).addressing
        return (
            addressing.address("train/surface/seed=0"),
            addressing.address("tune/surface>tagging/seed=0/trial=0"),
        )

    plain = of({})
    assert plain == of({"frozen_layers": None})
    found = [plain, of({"frozen_layers": 0}), of({"frozen_layers": 1})]
    assert len({one for one, _ in found}) == len({other for _, other in found}) == 3
