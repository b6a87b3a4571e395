"""The studies in search_spaces/: they load, plan, and their schema is today's."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import jsonschema
import pytest
from test_cli import sweeper

from sweeper import Study, plan, yamlfile
from sweeper.study import schema, shipped_folder
from sweeper.tasks import card
from sweeper.tasks.metrics.aggregate import XTREME

FOLDER = shipped_folder("search_spaces")
STUDIES = sorted(FOLDER.glob("*.yaml"))


def test_the_schema_is_that_of_the_models() -> None:
    written = (FOLDER / "study.schema.json").read_text()
    assert written == schema(), "the models have changed: run `make schema`"


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_a_shipped_study_is_what_editors_and_we_call_valid(path: Path) -> None:
    data, _ = yamlfile.load(path)
    faults = jsonschema.Draft202012Validator(json.loads(schema())).iter_errors(data)
    assert [fault.message for fault in faults] == []
    planned = plan(Study.load(path.stem))
    assert planned.study.name == path.stem
    assert planned.cells


@pytest.mark.parametrize(
    ("part", "wrong"),
    [
        ("sedes", [1]),
        ("intermediates", {"mnli": {"epoch": 1}}),
        ("targets", {"xnli": {"split": 1}}),
    ],
)
def test_the_schema_refuses_what_the_models_refuse(part: str, wrong: object) -> None:
    data, _ = yamlfile.load(FOLDER / "local_files.yaml")
    validator = jsonschema.Draft202012Validator(json.loads(schema()))
    assert not list(validator.iter_errors(data))
    assert list(validator.iter_errors({**data, part: wrong}))


# -- the full study -----------------------------------------------------------------------------

NINE = ("anli_plus", "mnli", "qqp", "squad_v1", "squad_v2", "hellaswag", "ccg", "cosmosqa",
        "commonsenseqa")  # fmt: skip


def test_xtreme_is_planned_without_network_in_under_a_second(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_network(*_: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr("socket.socket.connect", no_network)
    monkeypatch.setattr("socket.getaddrinfo", no_network)
    card._shipped.cache_clear()
    began = time.process_time()
    planned = plan(Study.load("xtreme"))
    assert time.process_time() - began < 1.0
    assert planned.study.base.model == "FacebookAI/xlm-roberta-large"
    assert len(planned.cells) == 11 * 9 * 3


def test_xtreme_has_the_papers_rows_and_the_benchmarks_columns() -> None:
    planned = plan(Study.load("xtreme"))
    assert planned.rows == ["none", *NINE, "multitask"]
    (mixture,) = planned.study.intermediates["multitask"].stages
    assert sorted(mixture.tasks) == sorted(NINE) and mixture.sampler == "proportional"
    assert set(planned.columns) == set(XTREME.languages)
    for target, codes in XTREME.languages.items():
        score = planned.jobs[f"score/none>{target}/seed=0"]
        tested = {code for split, code in score.declared["units"].values() if split == "test"}
        assert tested == set(codes), target
        if target in ("bucc2018", "tatoeba"):
            representation = planned.targets[target].representation
            assert (representation.layer, representation.pooling) == (14 / 24, "mean")
    trained = {search.training_task for search in planned.searches.values()}
    assert trained == {"mnli", "pawsx", "udpos", "panx", "squad_v1", "tydiqa"}
    assert trained == set(planned.study.spaces), "every training task has a space of its own"


def test_every_setting_of_xtreme_names_its_source() -> None:
    text = (FOLDER / "xtreme.yaml").read_text()
    spaces = text[text.index("\nspaces:") :].splitlines()
    stated = [line for line in spaces if "training:" in line or "search:" in line]
    assert len(stated) == 12
    assert all(re.search(r"# \[(jiant|google|xtune)\]", line) for line in stated)


def test_the_help_names_every_shipped_study(capsys: pytest.CaptureFixture[str]) -> None:
    assert sweeper("plan", "--help") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert f"a shipped one's: {', '.join(path.stem for path in STUDIES)}." in said
