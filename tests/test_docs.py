"""The documentation names what the code has: keys, columns, cards, floors; its blocks run."""

from __future__ import annotations

import ast
import importlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml

from sweeper import yamlfile
from sweeper.cli.words import Format, What
from sweeper.planning import plan
from sweeper.spaces import Pruning, Range, Space, Strict, Training
from sweeper.store.schema import TABLES
from sweeper.study import (
    Base,
    Intermediate,
    Limits,
    Representation,
    Scratch,
    Selection,
    Stage,
    Study,
    Target,
)
from sweeper.tasks import formats, kinds
from sweeper.tasks.card import Card, Fields, Overlap, Split, load_card, shipped_cards
from sweeper.tasks.card import Selection as CardSelection
from sweeper.tasks.places import (
    HubParts,
    HubSource,
    LocalParts,
    LocalSource,
    Model,
    SyntheticSource,
)

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "cluster" / "README.md", *sorted(ROOT.glob("docs/*.md"))]
MODELS = [
    Study, Training, Scratch, Base, Stage, Intermediate, Selection, Representation, Target, Range,
    Space, Pruning, Limits,
]  # fmt: skip
CARD_MODELS = [
    Card, Fields, Split, CardSelection, Overlap, LocalSource, LocalParts, HubSource, HubParts,
    SyntheticSource,
]  # fmt: skip


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def code_words(text: str) -> set[str]:
    """What stands between single backquotes outside fenced blocks."""
    prose = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    return {word.strip() for word in re.findall(r"`([^`\n]+)`", prose)}


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.M | re.S)


def yaml_blocks() -> list[Any]:
    found = [
        (path, number, block)
        for path in PAGES
        for number, block in enumerate(blocks(path.read_text(encoding="utf-8"), "yaml"))
    ]
    return [pytest.param(block, id=f"{path.stem}-{number}") for path, number, block in found]


def below(root: type) -> set[type]:
    return {deep for one in root.__subclasses__() for deep in (one, *below(one))}


def test_all_models_are_checked_here() -> None:
    ours = {model for model in below(Strict) if model.__module__.startswith("sweeper.")}
    assert ours == set(MODELS)
    cards = {model for model in below(Model) if model.__module__.startswith("sweeper.")}
    assert {model for model in cards if not model.__name__.startswith("_")} == set(CARD_MODELS)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_key_of_a_study_is_named(model: type[Strict]) -> None:
    assert set(model.model_fields) <= code_words(page("studies.md"))


def test_defaults_of_training_are_the_ones_stated() -> None:
    (section,) = re.findall(r"^## `training`.*?(?=^## )", page("studies.md"), flags=re.M | re.S)
    rows = dict(re.findall(r"^\| `(\w+)` \|[^|]*\| ([^|]*) \|", section, flags=re.M))
    for name, field in Training.model_fields.items():
        if field.default is not None:
            assert json.loads(rows[name]) == field.default, name


@pytest.mark.parametrize("model", CARD_MODELS, ids=lambda model: model.__name__)
def test_every_key_of_a_card_is_named(model: type[Model]) -> None:
    assert set(model.model_fields) <= code_words(page("tasks.md"))


def test_every_format_kind_and_metric_is_named() -> None:
    words = code_words(page("tasks.md"))
    assert set(formats.PARSERS) <= words
    assert set(kinds.names()) <= words
    for name in kinds.names():
        kind = kinds.get(name)
        assert {kind.metric, *kind.fields, *kind.optional, *kind.formats} <= words


def test_every_export_is_named() -> None:
    text = code_words(page("exports.md")) | set(re.findall(r"\w+", page("exports.md")))
    assert {str(member) for enum in (Format, What) for member in enum} <= text


def test_every_shipped_card_has_its_row() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| (\w+) \| ([^|]*) \|[^|]*\| ([^|]*) \|", page("tasks.md"), re.M
    )
    stated = {name: (kind, counts, sources) for name, kind, counts, sources in rows}
    for name, card in shipped_cards().items():
        counts = [
            str(len(card.splits[split].languages)) if split in card.splits else "-"
            for split in ("train", "dev", "test")
        ]
        assert stated[name] == (card.kind, " / ".join(counts), ", ".join(card.sources))


@pytest.mark.parametrize("table", TABLES)
def test_every_column_is_named(table: str) -> None:
    assert set(TABLES[table].names) <= code_words(page("store.md"))


@pytest.mark.parametrize("block", yaml_blocks())
def test_yaml_blocks_are_valid(block: str, tmp_path: Path) -> None:
    """A study, a card, or a part of a study, which is then laid over a small one."""
    file = tmp_path / "block.yaml"
    file.write_text(block, encoding="utf-8")
    said, _ = yamlfile.load(file)
    if "kind" in said:
        load_card(file)
        return
    if "tasks_path" in said:
        here = next(text for path in PAGES if block in (text := path.read_text("utf-8")))
        folder = tmp_path / said["tasks_path"]
        folder.mkdir()
        for number, card in enumerate(b for b in blocks(here, "yaml") if "\nkind:" in b):
            (folder / f"{number}.yaml").write_text(card, encoding="utf-8")
    if not {"name", "base", "targets"} <= set(said):
        small = {"name": "part", "base": {"model": "xlm-roberta-base"}, "targets": {"xnli": None}}
        file.write_text(yaml.safe_dump({**small, **said}), encoding="utf-8")
    assert plan(Study.load(file)).jobs


def test_python_study_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = blocks(page("studies.md"), "python")
    exec(compile(block, "studies.md", "exec"), {})
    assert capsys.readouterr().out.endswith("jobs\n")


@pytest.fixture
def graded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    block = next(b for b in blocks(page("tasks.md"), "python") if "KIND =" in b)
    (tmp_path / "graded.py").write_text(block, encoding="utf-8")
    monkeypatch.setattr(kinds, "__path__", [*kinds.__path__, str(tmp_path)])
    importlib.invalidate_caches()
    kinds.names.cache_clear()
    yield kinds.get("graded")
    monkeypatch.undo()
    kinds.names.cache_clear()
    kinds.get.cache_clear()


def test_the_kind_of_the_example_scores(graded: Any) -> None:
    card = shipped_cards()["mnli"]
    examples = pa.table({"gold": list(card.labels)})
    found = graded.evaluate(card, examples, examples, [0, 1, 0])
    assert found.metrics["closeness"] == pytest.approx(200 / 3)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    text = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.M | re.S)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in link or link.startswith(("mailto:", "#")):
            continue
        assert (path.parent / link.split("#")[0]).exists(), link


# ---- the floors -------------------------------------------------------------------------------


def imports() -> Iterator[tuple[str, str, Path]]:
    """(importing part, imported module, file) of every import in the package."""
    for file in sorted((ROOT / "sweeper").rglob("*.py")):
        part = file.relative_to(ROOT / "sweeper").with_suffix("").parts[0]
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                whole = node.module == "sweeper"
                names = [f"sweeper.{a.name}" for a in node.names] if whole else [node.module]
            else:
                continue
            yield from ((part, name, file) for name in names)


def test_imports_go_down_the_floors() -> None:
    (block,) = blocks(page("design.md"), "floors")
    lines = [line.split() for line in block.splitlines()]
    floor = {name: number for number, line in enumerate(lines) for name in line}
    for part, name, file in imports():
        imported = name.split(".")[1] if name.startswith("sweeper.") else part
        if not part.startswith("__") and imported != part:
            assert floor[imported] > floor[part], f"{file}: {name}"


def test_only_engine_imports_ray_and_only_training_torch() -> None:
    for part, name, file in imports():
        head = name.split(".")[0]
        if head == "ray":
            assert part == "engine", file
        if head == "torch":
            assert part == "training" or file.name == "worker.py", file
