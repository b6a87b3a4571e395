"""Data from the Hugging Face hub: real loading of local Parquet, the network replaced."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sweeper.errors import DataError
from sweeper.tasks import hub, readers, sources
from sweeper.tasks.card import Card, HubSource, fill, shipped_cards

from .conftest import SHARED, card, there_or_skip

COMMIT = "0123456789abcdef0123456789abcdef01234567"
NLI = ["entailment", "neutral", "contradiction"]


@pytest.fixture
def dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the configs "de" and "tags" in the manner of a dataset on the hub."""
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    folder = tmp_path / "dataset"
    tables = {
        "de": (
            {
                "premise": ["a", "b", "c"],
                "hypothesis": ["x", "y", "z"],
                "label": [2, 0, -1],
                "lang": ["de", "en", "de"],
            },
            {
                "premise": datasets.Value("string"),
                "hypothesis": datasets.Value("string"),
                "label": datasets.ClassLabel(names=NLI),
                "lang": datasets.Value("string"),
            },
        ),
        "tags": (
            {"tokens": [["a", "b"], ["c"]], "ner_tags": [[1, 2], [0]]},
            {
                "tokens": datasets.List(datasets.Value("string")),
                "ner_tags": datasets.List(datasets.ClassLabel(names=["O", "B-X", "I-X"])),
            },
        ),
    }
    lines = ["---", "configs:"]
    for name, (columns, features) in tables.items():
        part = folder / name
        part.mkdir(parents=True)
        made = datasets.Dataset.from_dict(columns, datasets.Features(features))
        made.to_parquet(str(part / "validation.parquet"))
        lines += [f"- config_name: {name}", "  data_files:", "  - split: validation"]
        lines += [f"    path: {name}/validation.parquet"]
    (folder / "README.md").write_text("\n".join([*lines, "---", ""]))
    return folder


def hub_card(dataset: Path, kind: str = "classification", **changes: Any) -> Card:
    columns = {
        "classification": {"text": "premise", "pair": "hypothesis", "label": "label"},
        "token_classification": {"tokens": "tokens", "tags": "ner_tags"},
    }
    hub = {
        "dataset": str(dataset),
        "config": "{language}" if kind == "classification" else "tags",
        "revision": COMMIT,
        "splits": {"test": "validation"},
        "columns": columns[kind],
        **changes,
    }
    labels = {"labels": NLI} if kind == "classification" else {}
    return card(kind, sources={"hub": hub}, **labels)


def rows_of(task: Card) -> list[dict[str, Any]]:
    found = sources.resolve(task, "test", ["de"], source="hub", root=None)["de"]
    return readers.read(task, "test", "de", found, None)


@pytest.mark.parametrize("labels", [None, NLI, {name: name for name in NLI}])
def test_labels_by_name_or_number(dataset: Path, labels: Any) -> None:
    rows = rows_of(hub_card(dataset, labels=labels, drop_labels=[-1]))
    assert rows == [
        {"id": "0", "text": "a", "pair": "x", "label": "contradiction"},
        {"id": "1", "text": "b", "pair": "y", "label": "entailment"},
    ]


def test_tags(dataset: Path) -> None:
    rows = rows_of(hub_card(dataset, "token_classification"))
    assert rows[0] == {"id": "0", "tokens": ["a", "b"], "tags": ["B-X", "I-X"]}
    listed = hub_card(dataset, "token_classification", labels=["O", "B-X", "I-X"])
    assert rows_of(listed) == rows


def test_a_language_column(dataset: Path) -> None:
    columns = {"text": "premise", "label": "label", "language": "lang", "id": "hypothesis"}
    rows = rows_of(hub_card(dataset, columns=columns, drop_labels=[-1]))
    assert [row["id"] for row in rows] == ["x"]


@pytest.mark.parametrize(
    "changes, says",
    [
        ({}, r"row:2: a label must be one of the labels of the task 'mine', it is '-1'"),
        (
            {"labels": NLI},
            r"row:2: a label must be one of those in the card's `labels:`, it is -1",
        ),
        ({"labels": [NLI[1], NLI[0], NLI[2]]}, "which is entailment, neutral, contradiction"),
        ({"columns": {"text": "premise", "label": "lable"}}, "must have the column 'lable'. Did"),
        ({"config": "fr"}, "cannot be loaded: .*'fr' not found"),
        ({"splits": {"test": "tset"}}, "cannot be loaded: .*tset"),
    ],
)
def test_bad_datasets(dataset: Path, changes: dict[str, Any], says: str) -> None:
    with pytest.raises(DataError, match=says) as caught:
        rows_of(hub_card(dataset, **changes))
    assert str(dataset) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_dataset_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot be loaded: .* or use local files"):
        rows_of(hub_card(tmp_path / "nothing"))


def test_rows_without_a_part_can_be_left_out(dataset: Path) -> None:
    import datasets

    nested = {"text": ["a", "b", "c"], "of": [{"label": 0}, None, {"label": 2}]}
    (dataset / "nested").mkdir()
    datasets.Dataset.from_dict(nested).to_parquet(str(dataset / "nested" / "validation.parquet"))
    task = hub_card(dataset / "nested", config=None, columns={"text": "text", "label": "of.label"},
                    labels=NLI)  # fmt: skip
    found = sources.resolve(task, "test", ["de"], source="hub", root=None)["de"]
    skipped: list[str] = []
    rows = readers.read(task, "test", "de", found, None, skipped=skipped)
    assert [(row["id"], row["label"]) for row in rows] == [("0", NLI[0]), ("2", NLI[2])]
    assert len(skipped) == 1 and "row:1: a row must have the key 'of.label'" in skipped[0]


# ---- revisions --------------------------------------------------------------------------------


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, str | None]]]:
    """The hub's answer to every question is COMMIT; what was asked is noted."""
    import huggingface_hub

    questions: list[tuple[str, str | None]] = []

    class Api:
        def dataset_info(self, name: str, revision: str | None = None) -> SimpleNamespace:
            questions.append((name, revision))
            return SimpleNamespace(sha=COMMIT)

    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    hub.look_up.cache_clear()
    yield questions
    hub.look_up.cache_clear()  # or other tests would be told COMMIT


def test_the_newest_commit_is_looked_up_once(asked: list[Any]) -> None:
    xnli, tatoeba = (shipped_cards()[name] for name in ("xnli", "tatoeba"))
    found = sources.resolve(xnli, "dev", ["de", "en"], source="hub", root=None)
    assert found["de"] == {
        "source": "hub",
        "language": "de",
        "dataset": "facebook/xnli",
        "config": "de",
        "split": "validation",
        "revision": COMMIT,
        "asked": None,
    }
    assert "asked" not in sources.identity(found["de"])
    assert sources.fresh(found["de"], None)
    sources.resolve(xnli, "test", ["fr"], source="hub", root=None)
    assert asked == [("facebook/xnli", None)]
    configs = sources.resolve(tatoeba, "test", ["zh", "fa"], source="hub", root=None)
    assert [one["config"] for one in configs.values()] == ["tatoeba.cmn", "tatoeba.pes"]
    udpos = sources.resolve(shipped_cards()["udpos"], "test", ["el"], source="hub", root=None)
    assert udpos["el"]["config"] == "udpos.Greek"


def test_a_branch_is_looked_up_and_a_commit_is_not(asked: list[Any], tmp_path: Path) -> None:
    branch = hub_card(tmp_path, revision="v2")
    found = sources.resolve(branch, "test", ["de"], source="hub", root=None)["de"]
    assert found["revision"] == COMMIT and asked == [(str(tmp_path), "v2")]
    assert sources.matches(found, branch, "test", "de")
    assert not sources.matches(found, hub_card(tmp_path, revision="v3"), "test", "de")
    sources.resolve(hub_card(tmp_path), "test", ["de"], source="hub", root=None)
    assert len(asked) == 1


def test_the_hub_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub
    from huggingface_hub.errors import HfHubHTTPError

    connection = HfHubHTTPError.__bases__[0]

    class Api:
        def dataset_info(self, name: str, revision: str | None = None) -> None:
            raise connection("Name or service not known\nand more")

    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    hub.look_up.cache_clear()
    with pytest.raises(DataError, match=r"Name or service not known. Check the name") as caught:
        sources.resolve(shipped_cards()["panx"], "dev", ["de"], source="hub", root=None)
    said = "The split 'dev' of the task 'panx' comes from the hub. The Hugging Face"
    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)


LOCAL_ONLY = {"tatoeba": {"test_r"}, "udpos": {"test_r"}}
"""What google/xtreme does not have."""


def test_every_shipped_hub_source_has_all_splits() -> None:
    for name, task in shipped_cards().items():
        if "hub" in task.sources:
            source: Any = task.source("hub")
            assert set(source.told()) == set(task.splits) - LOCAL_ONLY.get(name, set()), name


def hub_units() -> Iterator[tuple[HubSource, str, str]]:
    """Every part of a shipped card's hub source, with its splits as the hub has it, and languages.

    Without SuperGLUE, which the list does not have.
    """
    for task in shipped_cards().values():
        source: Any = task.sources.get("hub")
        for _, member in source.members() if source else ():
            for split, named in member.splits.items():
                if member.dataset != "aps/super_glue":
                    yield from ((member, named, code) for code in task.splits[split].languages)


def test_shipped_hub_sources_have_the_columns_and_splits_of_the_hub() -> None:
    """As of the scripts of 2022, whose configs had other names where a dataset had only one."""
    folder = there_or_skip(SHARED / "spec", "the list of the hub's datasets")
    with (folder / "hf_sizes.csv").open(encoding="utf-8", newline="") as file:
        listed = {(row["hf_dataset"], row["config"]): row for row in csv.DictReader(file)}
    for member, split, code in hub_units():
        name = member.dataset.split("/")[1]
        alone = ["plain_text", "default", name]
        configs = [fill(member.config, code)] if member.config else alone
        (row,) = (listed[name, config] for config in configs if (name, config) in listed)
        sizes = dict(one.split("=") for one in row["splits_num_examples"].split(";"))
        assert set(split.split("+")) <= sizes.keys(), (name, configs)
        given = [(one,) if isinstance(one, str) else one for one in member.columns.values()]
        tops = {column.split(".")[0] for columns in given for column in columns}
        assert tops <= set(row["columns"].split()), (name, configs)


def test_cosmos_qa_is_read_from_the_branch_that_is_parquet(asked: list[Any]) -> None:
    """The main branch of allenai/cosmos_qa has nothing but a loading script."""
    sources.resolve(shipped_cards()["cosmosqa"], "dev", ["en"], source="hub", root=None)
    assert asked == [("allenai/cosmos_qa", "refs/convert/parquet")]


def test_rows_of_one_language_by_their_ids(dataset: Path) -> None:
    columns = {"text": "premise", "label": "label", "id": "hypothesis"}
    task = hub_card(dataset, columns=columns, drop_labels=[-1], id_prefix="{language}")
    assert task.source("hub").id_prefix == "{language}"  # type: ignore[union-attr]
    with pytest.raises(DataError, match="needs at least one row"):
        rows_of(task)
    every = hub_card(dataset, columns=columns, drop_labels=[-1], id_prefix="X")
    assert [row["id"] for row in rows_of(every)] == ["x"]
