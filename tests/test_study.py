"""What a study may say, and what each fault is answered with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from helpers import SCRATCH, small_study
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from sweeper.errors import StudyError
from sweeper.planning import plan
from sweeper.spaces import Space, Training
from sweeper.study import Limits, Study, find_study, schema, shipped_folder

TEXT = """\
name: mine
base:
  model: xlm-roberta-base
intermediates:
  mnli:
  both: {tasks: [mnli, udpos]}
  chain:
    stages:
      - tasks: [mnli]
      - tasks: [udpos]
        training:
          learning_rate: 2e-5
targets:
  xnli:
  panx: {languages: [en, de]}
seeds: [0, 1]
spaces:
  mnli:
    training: {batch: 16}
    search:
      learning_rate: [1e-5, 3e-5]
      epochs: [2, 3]
  panx:
    sampler: tpe
    trials: 12
    search: {learning_rate: {low: 1e-6, high: 1e-4, log: true}}
limits: {train: 1000}
task_limits:
  panx: {train: 50, test: 20}
"""


@pytest.fixture
def load(tmp_path: Path) -> Any:
    def loaded(text: str = TEXT) -> Study:
        (tmp_path / "mine.yaml").write_text(text)
        return Study.load(tmp_path / "mine.yaml")

    return loaded


def test_a_study_is_what_was_written(load: Any) -> None:
    study = load()
    rows = {name: [s.tasks for s in row.stages] for name, row in study.intermediates.items()}
    assert rows == {
        "mnli": [("mnli",)], "both": [("mnli", "udpos")], "chain": [("mnli",), ("udpos",)]
    }  # fmt: skip
    assert study.seeds == (0, 1)
    assert study.targets["panx"].languages == ("en", "de")
    said = {name: row.composition for name, row in study.intermediates.items()}
    assert (said["both"], said["chain"]) == ("mnli + udpos", "mnli > udpos")
    assert study.intermediates["chain"].stages[1].training.learning_rate == 2e-5
    assert study.where("spaces", "panx", "trials").endswith("mine.yaml:25")


def test_settings_say_only_what_differs() -> None:
    study, stage = Training(batch=16, epochs=5), Training(learning_rate=1e-3)
    merged = study.updated(stage)
    assert (merged.batch, merged.epochs, merged.learning_rate) == (16, 5, 1e-3)
    # A setting said with its default's value is said all the same.
    assert study.updated(Training(batch=32)).batch == 32


def test_the_grid_is_every_point(load: Any) -> None:
    space = load().space("mnli")
    assert space.budget == 4
    assert space.grid[:2] == [
        {"learning_rate": 1e-5, "epochs": 2},
        {"learning_rate": 1e-5, "epochs": 3},
    ]
    assert load().space("panx").budget == 12
    assert load().space("nothing said").grid == [{}]
    assert load().space("nothing said").budget == 1


@given(
    st.lists(st.sampled_from([1e-5, 2e-5, 3e-5, 1e-4]), unique=True, min_size=1),
    st.lists(st.integers(1, 9), unique=True, min_size=1, max_size=4),
    st.none() | st.integers(1, 20),
)
def test_a_budget_is_never_more_than_the_grid(
    rates: list[float], epochs: list[int], trials: int | None
) -> None:
    space = Space(search={"learning_rate": tuple(rates), "epochs": tuple(epochs)}, trials=trials)
    points = [tuple(point.items()) for point in space.grid]
    assert len(set(points)) == len(points) == len(rates) * len(epochs)
    assert space.budget == min(trials or len(points), len(points))


def test_limits_of_a_task_replace_those_of_the_study(load: Any) -> None:
    study = load()
    assert study.limit("mnli", "train") == 1000
    assert study.limit("panx", "train") == 50
    assert study.limit("panx", "test") == 20
    assert study.limit("panx", "dev") is None
    assert study.limit("panx", "odd_split") == 20, "any further split counts as a test split"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("seeds: [0, 1]", "sseds: [0, 1]", "16: unknown key 'sseds'. Did you mean 'seeds'?"),
        ("batch: 16", "bacth: 16", "19: unknown key 'bacth'. Did you mean 'batch'?"),
        ("          learning_rate", "          learning_rat",
         "12: unknown key 'learning_rat'. Did you mean 'learning_rate'?"),
        ("languages: [en, de]", "language: [en]", "15: unknown key 'language'. Did you mean"),
        ("{tasks: [mnli, udpos]}", "{task: [mnli]}", "6: unknown key 'task'. Did you mean 'tas"),
        ("languages: [en, de]", "languages: [de, de]",
         "15: targets.panx.languages: each may stand here once only, and 'de' stands twice."),
        ("languages: [en, de]", "splits: [dev, dev]", "15: targets.panx.splits: each may stand"),
        ("seeds: [0, 1]", "train_languages: {mnli: [en, en]}", "16: train_languages.mnli: each"),
        ("[0, 1]", "[0, 0]", "16: seeds: seeds must differ, but they are [0, 0]"),
        ("[0, 1]", "[]", "16: seeds: "),
        ("[0, 1]", "0", "16: seeds: "),
        ("[0, 1]", "[0, one]", "16: seeds.1: Input should be a valid integer"),
        ("  mnli:\n  both", "  none:\n  both", "4: intermediates: the row 'none' is always ther"),
        ("batch: 16", "batch: 0", "19: spaces.mnli.training.batch: Input should be greater than"),
        ("batch: 16", "batch: 1.5", "19: spaces.mnli.training.batch: "),
        ("batch: 16", "learning_rate: .inf", "19: spaces.mnli.training.learning_rate: Input sho"),
        ("batch: 16", "learning_rate: .nan", "19: spaces.mnli.training.learning_rate: Input sho"),
        ("tasks: [mnli, udpos]", "tasks: [mnli, mnli]", "6: intermediates.both.stages.0: a task"),
        ("tasks: [mnli, udpos]", "tasks: []", "6: intermediates.both.stages.0.tasks: this must"),
        ("tasks: [mnli, udpos]", "tasks: [a], sampler: temperature",
         "6: intermediates.both.stages.0: `temperature` goes with `sampler: temperature`"),
        ("      learning_rate: [1e-5", "      learningrate: [1e-5",
         "18: spaces.mnli: a space searches training settings; 'learningrate' is none. Did you m"),
        ("[2, 3]", "[2, 2]", "18: spaces.mnli: the values of 'epochs' must be there and differ"),
        ("[2, 3]", "[]", "18: spaces.mnli: the values of 'epochs' must be there"),
        ("[2, 3]", "[2, 0]", "18: spaces.mnli: 0 is no epochs: Input should be greater than 0"),
        ("[2, 3]", "{low: 1, high: 3}", "18: spaces.mnli: a grid needs a list of values for 'e"),
        ("      epochs: [2, 3]", "      max_length: [64, 128]", "18: spaces.mnli: max_length is"),
        ("    trials: 12\n", "", "23: spaces.panx: `sampler: tpe` needs `trials`"),
        ("low: 1e-6, high: 1e-4", "low: 1e-3, high: 1e-4", "low < high must hold"),
        ("low: 1e-6", "low: 0", "low > 0 must hold for `log: true`"),
        ("sampler: tpe", "sampler: tep", "24: spaces.panx.sampler: Input should be 'grid', 'ran"),
        ("  model: xlm-roberta-base", "  modle: xlm-roberta-base", "3: unknown key 'modle'. Did"),
        ("  model: xlm-roberta-base", "  model: x\n  scratch: {}", "missing"),
        ("targets:", "target:", "the key 'targets' is missing"),
        ("name: mine", "name: My Study", "1: name: a name is of lower-case letters, digits"),
        ("panx: {train: 50", "panx: {tran: 50", "29: unknown key 'tran'. Did you mean 'train'"),
    ],
)  # fmt: skip
def test_every_fault_names_its_line(load: Any, old: str, new: str, message: str) -> None:
    assert old in TEXT
    with pytest.raises(StudyError) as caught:
        load(TEXT.replace(old, new))
    lines = str(caught.value).splitlines()
    assert any(message in line for line in lines), lines
    assert all("mine.yaml" in line for line in lines)


@pytest.mark.parametrize(
    ("search", "good"),
    [
        ({"learning_rate": {"low": 1e-6, "high": 1e-4, "log": True}}, True),
        ({"batch": {"low": 8, "high": 64}}, True),
        ({"batch": {"low": 8.5, "high": 64}}, False),
        ({"batch": {"low": 0, "high": 64}}, False),
        ({"dropout": {"low": 0, "high": 0.5}}, True),
        ({"dropout": {"low": 0, "high": 2}}, False),
        ({"group_by_length": {"low": 0, "high": 1}}, False),
        ({"group_by_length": [True, False]}, True),
        ({"dropout": [None, 0.0, 0.2]}, True),
        ({"steps": [None, 100]}, True),
    ],
)
def test_searched_values_are_settings(search: dict[str, Any], good: bool) -> None:
    data = {"search": search, "sampler": "random", "trials": 3}
    if good:
        assert Space.model_validate(data).budget == 3
    else:
        with pytest.raises(ValidationError, match="is no"):
            Space.model_validate(data)


@pytest.mark.parametrize(
    ("pruning", "space", "message"),
    [
        ({"rule": "median"}, {"trials": 6}, ""),
        ({"rule": "median"}, {"trials": 5}, "it needs 5 other trials of a search first, and one"),
        ({"rule": "median", "startup": 2}, {"trials": 3}, ""),
        ({"rule": "halving", "factor": 2}, {"trials": 2}, ""),
        ({"rule": "halving"}, {"trials": 1}, "it needs 1 other trials"),
        ({"rule": "median", "within": "training_task"}, {"trials": 1}, ""),
        ({"rule": "halving", "startup": 2}, {}, "`startup` goes with `rule: median`"),
        ({"rule": "median", "factor": 2}, {}, "`factor` goes with `rule: halving`"),
        ({"rule": "halving", "factor": 1}, {}, "greater than or equal to 2"),
        ({"rule": "median", "grace": 0}, {}, "greater than 0"),
        ({"rule": "best"}, {}, "'median' or 'halving'"),
        ({"rule": "halving"}, {"search": {"epochs": [2, 3]}}, "'epochs' is searched"),
    ],
)
def test_pruning_compares_what_can_be_compared(
    pruning: dict[str, Any], space: dict[str, Any], message: str
) -> None:
    searched = {"learning_rate": {"low": 1e-5, "high": 1e-3}}
    said = {"search": searched, "sampler": "random", "trials": 8, "pruning": pruning, **space}
    if message:
        with pytest.raises(ValidationError, match=message):
            Space.model_validate(said)
    else:
        assert Space.model_validate(said).pruning


def test_a_base_is_one_of_two() -> None:
    for base in ({}, {"model": "x", "scratch": SCRATCH}):
        with pytest.raises(ValidationError, match="exactly one of `model`"):
            small_study(base=base)
    with pytest.raises(ValidationError, match=r"hidden \(10\) must be a multiple of heads \(4\)"):
        small_study(base={"scratch": {**SCRATCH, "hidden": 10, "heads": 4}})


def test_a_study_is_not_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        small_study().name = "other"


def _round_trip(study: Study) -> Study:
    return Study.model_validate_json(study.model_dump_json(exclude_unset=True))


def test_a_study_survives_json(load: Any) -> None:
    for study in (load(), small_study()):
        again = _round_trip(study)
        assert again.model_dump() == study.model_dump()
        assert again.limit("panx", "dev") == study.limit("panx", "dev")
        assert again.space("tagging") == study.space("tagging")
        merged = Training(batch=7).updated(study.space("mnli").training)
        assert Training(batch=7).updated(again.space("mnli").training) == merged


@given(
    st.dictionaries(
        st.sampled_from(["train", "dev", "test"]), st.none() | st.integers(1, 99), max_size=3
    )
)
def test_said_limits_survive_json(said: dict[str, int | None]) -> None:
    study = small_study(limits={"train": 5, "dev": 6, "test": 7}, task_limits={"tagging": said})
    for split in ("train", "dev", "test"):
        expected = said[split] if split in said else getattr(study.limits, split)
        assert study.limit("tagging", split) == expected
        assert _round_trip(study).limit("tagging", split) == expected
    assert study.limit("topic", "train") == 5


def test_no_limits_by_default() -> None:
    assert Limits() == Limits(train=None, dev=None, test=None)


@pytest.mark.parametrize("name", ["demo", "local_files"])
def test_shipped_studies_are_found_by_name(name: str) -> None:
    assert Study.load(name).name == name
    assert find_study(name).is_relative_to(shipped_folder("search_spaces"))


def test_a_study_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="'dmo' is neither. Did you mean 'demo'"):
        Study.load("dmo")
    with pytest.raises(StudyError, match=r"no study file .*none\.yaml"):
        Study.load(tmp_path / "none.yaml")
    (tmp_path / "empty.yaml").write_text("")
    with pytest.raises(StudyError, match=r"empty\.yaml: the key 'name' is missing"):
        Study.load(tmp_path / "empty.yaml")


def test_the_schema_knows_every_key() -> None:
    made = json.loads(schema())
    assert set(made["properties"]) == set(Study.model_fields)
    assert made["additionalProperties"] is False


def test_python_and_yaml_say_the_same(load: Any) -> None:
    data = yaml.safe_load(TEXT.replace("e-", ".0e-"))
    assert Study.model_validate(data).model_dump() == load().model_dump()


# ---- one space extends another -----------------------------------------------------------------

COMMON: dict[str, Any] = {
    "sampler": "random",
    "trials": 8,
    "training": {"epochs": 4},
    "search": {"learning_rate": {"low": 1e-5, "high": 1e-3, "log": True}, "warmup": [0.0, 0.1]},
}


def _spaces(spaces: dict[str, Any]) -> Study:
    return Study.model_validate(
        {"name": "s", "base": {"model": "m"}, "targets": {"tagging": None}, "spaces": spaces}
    )


def test_a_space_takes_over_what_it_does_not_say() -> None:
    own = {"extends": "common", "trials": 4, "training": {"warmup": 0.2}, "search": {"batch": [8]}}
    study = _spaces({"common": COMMON, "tagging": own})
    found = study.space("tagging")
    assert (found.sampler, found.trials) == ("random", 4)
    assert found.training.model_dump(exclude_unset=True) == {"epochs": 4, "warmup": 0.2}
    assert list(found.search) == ["learning_rate", "batch"], "what is fixed is not searched"
    assert study.space("common").trials == 8
    assert plan(study).searches, "a name that is no task's is none to complain of"


def test_a_study_with_extended_spaces_survives_its_snapshot() -> None:
    own = {"extends": "middle", "search": {"warmup": [0.3], "batch": [8, 16]}}
    study = _spaces({"tagging": own, "middle": {"extends": "common"}, "common": COMMON})
    assert list(study.space("tagging").search) == ["learning_rate", "warmup", "batch"]
    again = Study.model_validate_json(study.model_dump_json(exclude_unset=True))
    assert again.spaces == study.spaces
    assert list(again.space("tagging").search) == ["learning_rate", "warmup", "batch"]


@pytest.mark.parametrize(
    ("spaces", "said"),
    [
        ({"tagging": {"extends": "comon"}, "common": COMMON}, "Did you mean 'common'?"),
        ({"tagging": {"extends": "tagging"}}, "tagging extends itself"),
        ({"tagging": {"extends": "b"}, "b": {"extends": "tagging"}}, "tagging > b > tagging"),
        (
            {"tagging": {"extends": "common", "sampler": "grid"}, "common": COMMON},
            "a grid needs a list of values for 'learning_rate'",
        ),
    ],
)
def test_extensions_that_cannot_be(spaces: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as error:
        _spaces(spaces)
    assert said in str(error.value)


def test_a_space_of_no_task_that_nobody_extends_is_a_slip() -> None:
    with pytest.raises(StudyError, match="unknown task 'common'"):
        plan(_spaces({"common": COMMON}))
