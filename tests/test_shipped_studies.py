"""The studies in search_spaces/: they load, plan, and their schema is today's."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from sweeper import Study, plan, yamlfile
from sweeper.study import schema, shipped_folder

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
