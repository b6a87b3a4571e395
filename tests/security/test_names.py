"""Names that people write become files of the store, and no name leads out of it."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from real_work import SMALL

from sweeper.errors import StoreError, StudyError, SweeperError
from sweeper.graph import Plan
from sweeper.knowncards import cards_with
from sweeper.planning import plan
from sweeper.store.commits import Commits
from sweeper.store.files import StoreFiles
from sweeper.study import Study
from sweeper.tasks.card import load_card

CARD: dict[str, Any] = {
    "name": "moods",
    "title": "Moods",
    "kind": "classification",
    "licence": "none",
    "labels": ["good", "bad"],
    "training_task": "moods",
    "selection": {"split": "dev", "language": "qaa"},
    "splits": {split: {"languages": ["qaa"]} for split in ("train", "dev", "test")},
    "sources": {
        "local": {
            "format": "tsv",
            "files": {split: f"{split}.tsv" for split in ("train", "dev", "test")},
            "columns": {"text": 0, "label": 1},
        }
    },
}

REFUSED = [
    "", ".", "..", "../x", "../../../tmp/x", "a/b", "a/../../b", "/etc/passwd", "\\\\host\\x",
    "a\\b", "C:x", "~", "$HOME", ".hidden", "-x", "a\0b", "a\nb", "a\n", " a", "a b", "A", "ü",
    "\u0430dmin", "a\u202eb", "a\u0301", "x" * 61, "x" * 5000, "a>b", "a=b", "a*", "a?", "%2e%2e",
]  # fmt: skip
"""No study, row, task or split may be called so."""

HARMLESS = ["con", "nul", "aux", "com1", "lpt1", "a.", "a..b", "a.b-c_d", "0", "none-such"]
"""Odd elsewhere (Windows keeps some for devices), and one part of a path like any other here."""


def rename(data: dict[str, Any], old: str, new: str) -> dict[str, Any]:
    return {new if key == old else key: value for key, value in data.items()}


def in_study(*place: str) -> Callable[[dict[str, Any], str], None]:
    """Put a name at a place of a study: as the value, or for a place in ``<>`` as the key."""

    def put(study: dict[str, Any], name: str) -> None:
        for part in place[:-1]:
            study = study.setdefault(part, {})
        if place[-1].startswith("<"):
            study[name] = study.pop(place[-1].strip("<>"), None)
        else:
            study[place[-1]] = name

    return put


PLACES: dict[str, Callable[[dict[str, Any], str], None]] = {
    "study": in_study("name"),
    "row": in_study("intermediates", "<surface>"),
    "column": in_study("targets", "<topic>"),
    "space": in_study("spaces", "<topic>"),
    "limits": in_study("task_limits", "<surface>"),
    "languages": in_study("train_languages", "<topic>"),
    "training task": in_study("targets", "topic", "training_task"),
    "selection split": in_study("targets", "topic", "selection", "split"),
    "selection task": in_study("targets", "topic", "selection", "task"),
    "text": in_study("base", "scratch", "text"),
    "split": lambda study, name: study["targets"]["topic"].update(splits=[name]),
    "task of a stage": lambda study, name: study["intermediates"].update(x={"tasks": [name]}),
}


def written(folder: Path, data: dict[str, Any]) -> Path:
    path = folder / "x.yaml"
    path.write_text(yaml.safe_dump(data, allow_unicode=True, sort_keys=False), encoding="utf-8")
    return path


def study_with(put: Callable[[dict[str, Any], str], None], name: str) -> dict[str, Any]:
    data = json.loads(json.dumps(SMALL))
    put(data, name)
    return data


@pytest.mark.parametrize("name", REFUSED, ids=ascii)
@pytest.mark.parametrize("place", PLACES)
def test_no_name_in_a_study_leads_anywhere(tmp_path: Path, place: str, name: str) -> None:
    path = written(tmp_path, study_with(PLACES[place], name))
    with pytest.raises(StudyError):
        Study.load(path)


def paths_of(planned: Plan) -> list[str]:
    """Every name in the store that is made of names that people wrote."""
    found = [f"studies/{planned.study.name}/000000.json"]
    found += [f"logs/{key}/attempt.log" for key in planned.jobs]
    return found + [f"attempts/x/y/heads/{name}.safetensors" for name in planned.cards]


@pytest.mark.parametrize("name", HARMLESS)
@pytest.mark.parametrize("place", ["study", "row"])
def test_an_odd_name_is_one_part_of_a_path(tmp_path: Path, place: str, name: str) -> None:
    data = study_with(PLACES[place], name)
    if place == "row":
        data["intermediates"][name] = {"tasks": ["surface"]}
    planned = plan(Study.load(written(tmp_path, data)))
    root = tmp_path / "store"
    files = StoreFiles(root, create=True)
    for path in paths_of(planned):
        assert Path(files.where(path)).resolve().is_relative_to(root.resolve())
    assert any(name in path.replace(">", "/").split("/") for path in paths_of(planned))


@given(st.text(max_size=12), st.sampled_from(["study", "row", "column"]))
def test_any_text_is_refused_or_one_part_of_a_path(name: str, place: str) -> None:
    try:
        planned = plan(Study.model_validate(study_with(PLACES[place], name)))
    except (SweeperError, ValueError):
        return
    for path in paths_of(planned):
        parts = path.split("/")
        assert ".." not in parts and "" not in parts and all(len(part) < 200 for part in parts)


def card_with(place: str, name: str) -> dict[str, Any]:
    """A card with a name at a place; split names everywhere that they stand."""
    card = copy.deepcopy(CARD)
    if place == "name":
        card["name"] = card["training_task"] = name
    else:
        card["splits"] = rename(card["splits"], "dev", name)
        card["sources"]["local"]["files"] = rename(card["sources"]["local"]["files"], "dev", name)
        card["selection"]["split"] = name
    return card


@pytest.mark.parametrize("name", [*REFUSED, "a-b/c"], ids=ascii)
@pytest.mark.parametrize("place", ["name", "split"])
def test_no_name_in_a_card_leads_anywhere(tmp_path: Path, place: str, name: str) -> None:
    load_card(written(tmp_path, CARD))
    with pytest.raises(StudyError, match=r"x\.yaml"):
        load_card(written(tmp_path, card_with(place, name)))
    with pytest.raises(StudyError):
        cards_with(tmp_path)


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "a/../../x", "", "a\0b"])
def test_a_card_reads_below_the_data_folder_only(tmp_path: Path, path: str) -> None:
    card = copy.deepcopy(CARD)
    card["sources"]["local"]["files"]["dev"] = path
    with pytest.raises(StudyError):
        load_card(written(tmp_path, card))


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/../../x", "..", "a\0b"])
def test_the_store_gives_no_path_outside(tmp_path: Path, name: str) -> None:
    files = StoreFiles(tmp_path / "store", create=True)
    (tmp_path / "x").write_text("mine")
    uses: list[Callable[[], object]] = [
        lambda: files.local(name),
        lambda: files.create(name, {}),
        lambda: files.replace(name, {}),
        lambda: files.read(name),
        lambda: files.remove(name),
        lambda: files.names(name),
        lambda: files.exists(name),
        lambda: files.attempt_folder(name, "1"),
        lambda: files.attempt_folder("a", name),
        lambda: files.workspace(name),
    ]
    for number, use in enumerate(uses):
        if number in (7, 8, 9) and name.startswith("/"):
            continue  # attempts//etc/passwd lies inside
        with pytest.raises(StoreError, match="Names stay inside the store's folder"):
            use()
    assert (tmp_path / "x").read_text() == "mine"


@pytest.mark.parametrize("attempt", ["", ".", "..", "../../x", "a/b", "/", "a\0b"])
def test_a_marker_names_no_folder_but_its_own(tmp_path: Path, attempt: str) -> None:
    """To drop what such a marker names would delete other attempts."""
    files = StoreFiles(tmp_path / "store", create=True)
    address = "a" * 32
    said = {
        "address": address, "generation": 0, "attempt": attempt, "job": "j", "kind": "train",
        "units": {"all": address}, "files": {}, "committed": 1.0,
        "outcome": {"status": "done", "message": "", "selections": {}},
    }  # fmt: skip
    files.create(f"commits/{address}.0", said)
    with pytest.raises(StoreError, match="its attempt is"):
        Commits(files)
