"""Data from the Hugging Face hub: real loading of local Parquet, the network replaced."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sweeper.errors import DataError
from sweeper.tasks import readers, sources
from sweeper.tasks.card import Card, shipped_cards

from .conftest import card

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


# ---- revisions --------------------------------------------------------------------------------


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str | None]]:
    """The hub's answer to every question is COMMIT; what was asked is noted."""
    import huggingface_hub

    questions: list[tuple[str, str | None]] = []

    class Api:
        def dataset_info(self, name: str, revision: str | None = None) -> SimpleNamespace:
            questions.append((name, revision))
            return SimpleNamespace(sha=COMMIT)

    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    sources._look_up.cache_clear()
    return questions


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
    sources._look_up.cache_clear()
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


def test_rows_of_one_language_by_their_ids(dataset: Path) -> None:
    columns = {"text": "premise", "label": "label", "id": "hypothesis"}
    task = hub_card(dataset, columns=columns, drop_labels=[-1], id_prefix="{language}")
    assert task.source("hub").id_prefix == "{language}"  # type: ignore[union-attr]
    with pytest.raises(DataError, match="needs at least one row"):
        rows_of(task)
    every = hub_card(dataset, columns=columns, drop_labels=[-1], id_prefix="X")
    assert [row["id"] for row in rows_of(every)] == ["x"]
