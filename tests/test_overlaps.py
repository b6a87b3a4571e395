"""What rows, selections and columns share: what stops a plan, and what is flagged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sweeper.errors import StudyError
from sweeper.graph import Plan
from sweeper.overlaps import overlap
from sweeper.planning import plan
from sweeper.study import Study
from sweeper.tasks.card import Card, shipped_cards

CARDS = shipped_cards()
needs_cards = pytest.mark.skipif(
    not {"squad_v1", "xquad", "mlqa", "anli_plus"} <= set(CARDS), reason="cards of XTREME"
)


def study(**said: Any) -> Study:
    small = {"name": "s", "base": {"model": "xlm-roberta-base"}, "targets": {"xnli": None}}
    return Study.model_validate({**small, **said})


def flags(planned: Plan, row: str, column: str, unit: str) -> str:
    return overlap(planned, planned.jobs[f"score/{row}>{column}/seed=0"], unit)


def with_overlap(name: str, *told: dict[str, Any]) -> dict[str, Card]:
    """The shipped cards, one of which tells of other overlaps."""
    changed = CARDS[name].model_dump(mode="json") | {"overlaps": list(told)}
    return {**CARDS, name: Card.model_validate(changed)}


EVIL = {"task": "xnli", "level": "same_examples", "with_splits": ["test"], "note": "a translation"}


def test_a_row_that_trains_on_what_a_column_tests_stops_the_plan(tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(
        "name: s\nbase: {model: xlm-roberta-base}\n"
        "intermediates:\n  udpos:\n  bad: {stages: [{tasks: [udpos]}, {tasks: [panx]}]}\n"
        "targets:\n  xnli:\n  panx:\n"
    )
    with pytest.raises(StudyError) as refused:
        plan(Study.load(file), cards=with_overlap("panx", EVIL))
    said = str(refused.value)
    assert f"{file}:5" in said
    assert "the row bad would train on the examples that the target xnli is tested on" in said
    assert "panx/train and xnli/test have the same ones (a translation)" in said
    assert said.endswith("Take panx out of the row, or xnli out of `targets`.")


def test_either_card_may_tell() -> None:
    told = {"task": "panx", "level": "same_examples", "splits": ["test"]}
    with pytest.raises(StudyError, match="panx/train and xnli/test have the same ones"):
        plan(study(intermediates={"panx": None}), cards=with_overlap("xnli", told))


def test_splits_that_are_not_used_do_not_count() -> None:
    told = {**EVIL, "splits": ["dev"]}
    plan(study(intermediates={"panx": None}), cards=with_overlap("panx", told))


# ---- the same split in another language, under another name -----------------------------------


def own(
    files: str | None = None, hub: dict[str, Any] | None = None, **said: Any
) -> dict[str, Card]:
    """The shipped cards and a user's own NLI task, `mine`, with a split `train`."""
    columns: dict[str, Any] = {"text": 0, "pair": 1, "label": 2}
    local = {"format": "tsv", "files": {"train": files}, "columns": columns}
    named = {**(hub or {}), "columns": {"text": "a", "pair": "b", "label": "c"}}
    card = {
        "name": "mine", "title": "t", "kind": "classification", "licence": "l",
        "labels": CARDS["xnli"].labels, "splits": {"train": {"languages": ["de"]}},
        "sources": {"hub": named} if hub else {"local": local}, **said,
    }  # fmt: skip
    return {**CARDS, "mine": Card.model_validate(card)}


ROW = {"intermediates": {"mine": None}}
FRENCH = {"xnli": {"languages": ["fr"]}}


@pytest.mark.parametrize("files", ["xnli/test-de.tsv", "xnli/test-{language}.tsv", "xnli/test-*"])
def test_a_row_that_trains_on_a_translation_of_what_a_column_tests_stops_the_plan(
    files: str,
) -> None:
    """Its card says nothing of XNLI: what it reads does."""
    with pytest.raises(StudyError) as refused:
        plan(study(**ROW, targets=FRENCH), cards=own(files))
    said = str(refused.value)
    assert "the row mine would train on the examples that the target xnli is tested on" in said
    assert "mine/train and xnli/test have the same ones (both read" in said
    assert "in translation: see `provenance`)" in said
    plan(study(**ROW, targets=FRENCH), cards=own("xnli/dev-de.tsv"))


def test_of_a_card_of_several_languages_those_that_are_trained_on_count() -> None:
    both = {"splits": {"train": {"languages": ["de", "ur"]}}}
    chosen = study(**ROW, targets=FRENCH, train_languages={"mine": ["ur"]})
    cards = own("xnli/test-{language}.tsv", **both)
    with pytest.raises(StudyError, match=r"\(both read xnli/test-de.tsv, in translation"):
        plan(chosen, cards=cards)
    native = own("xnli/{language}.tsv", **both, provenance="native")
    plan(chosen, cards=native)


def test_the_same_split_of_the_hub_is_the_same_examples() -> None:
    hub = {"dataset": "facebook/xnli", "config": "de", "splits": {"train": "validation+test"}}
    with pytest.raises(StudyError, match=r"both read facebook/xnli de test, in translation"):
        plan(study(**ROW, targets=FRENCH), cards=own(hub=hub))
    plan(study(**ROW, targets=FRENCH), cards=own(hub={**hub, "splits": {"train": "validation"}}))


def tagger(**said: Any) -> dict[str, Card]:
    """The shipped cards and a user's own, `mine`, that trains on PAN-X's German test file."""
    tags = {
        "kind": "token_classification", "labels": CARDS["panx"].labels, "provenance": "native",
        "sources": {"local": {"format": "conll", "files": {"train": "panx/test-de.tsv"}}},
    }  # fmt: skip
    return own(**{**tags, **said})


def test_languages_that_are_no_translations_are_other_examples() -> None:
    """PAN-X is made in every language anew: its German test set says nothing of the Dutch one."""
    plan(study(**ROW, targets={"panx": {"languages": ["nl"]}}), cards=tagger())
    with pytest.raises(StudyError, match=r"\(both read panx/test-de.tsv\)"):
        plan(study(**ROW, targets={"panx": {"languages": ["nl", "de"]}}), cards=tagger())


def parallel(provenance: Any) -> dict[str, Card]:
    """The shipped cards and a user's own, `mine`, with a train split in two languages."""
    return own(
        "mine/{language}.tsv", training_task="mine", provenance=provenance,
        splits={"train": {"languages": ["en", "de"]}, "dev": {"languages": ["en"]}},
        selection={"split": "dev"},
    )  # fmt: skip


@pytest.mark.parametrize("provenance", [{"en": "native", "other": "machine-translated"}, None])
def test_a_split_is_the_same_in_every_language_unless_all_are_native(provenance: Any) -> None:
    target = {"mine": {"splits": ["train"], "languages": ["de"]}}
    said = study(targets=target, train_languages={"mine": ["en"]})
    with pytest.raises(StudyError, match=r"\(the same split, in translation"):
        plan(said, cards=parallel(provenance))
    plan(said, cards=parallel("native"))


@pytest.mark.parametrize(
    "target",
    [
        {"mlqa": {"splits": ["dev"]}},
        {"xnli": {"splits": ["dev"], "languages": ["en", "de"]}},
        {"xnli": {"splits": ["test", "dev"], "languages": ["de"]}},
        {"panx": {"splits": ["dev"], "languages": ["de", "en"]}},
    ],
)
def test_what_is_selected_on_is_not_tested_either(target: dict[str, Any]) -> None:
    (name,) = target
    with pytest.raises(StudyError) as refused:
        plan(study(targets=target))
    said = (
        f"the winners of {name} would be chosen on the examples that it is tested on: {name}/dev"
    )
    assert said in str(refused.value) and "say `oracle: true`" in str(refused.value)
    plan(study(targets=target, oracle=True))


def test_an_oracle_is_flagged_in_the_very_language_and_in_translation() -> None:
    planned = plan(study(targets={"xnli": {"splits": ["dev", "test"]}}, oracle=True))
    assert flags(planned, "none", "xnli", "dev/en") == "selected on"
    assert flags(planned, "none", "xnli", "dev/de") == "same examples: selected on xnli/dev"
    assert flags(planned, "none", "xnli", "test/de") == ""


def test_a_selection_on_a_translation_of_what_is_tested_stops_the_plan() -> None:
    read = {"train": "mine/{language}.tsv", "dev": "xnli/test-{language}.tsv"}
    columns = {"text": 0, "pair": 1, "label": 2}
    cards = own(
        splits={"train": {"languages": ["de"]}, "dev": {"languages": ["de"]}},
        sources={"local": {"format": "tsv", "files": read, "columns": columns}},
    )
    selection = {"task": "mine", "split": "dev", "language": "de"}
    target = {"xnli": {"languages": ["fr"], "training_task": "mine", "selection": selection}}
    with pytest.raises(StudyError, match="the winners of xnli would be chosen on the examples"):
        plan(study(targets=target), cards=cards)
    planned = plan(study(targets=target, oracle=True), cards=cards)
    assert "same examples: selected on mine/dev" in flags(planned, "none", "xnli", "test/fr")


# ---- other roles ------------------------------------------------------------------------------


def test_a_training_task_that_has_the_tested_examples_stops_the_plan() -> None:
    with pytest.raises(StudyError, match="the target xnli would be trained on the examples"):
        plan(study(), cards=with_overlap("mnli", EVIL))
    with pytest.raises(StudyError, match=r"udpos/train and udpos/train .*\(the same split\)"):
        plan(study(targets={"udpos": {"splits": ["train"]}}))


def test_a_base_model_that_has_read_the_tested_examples_stops_the_plan() -> None:
    scratch = {
        "text": "demo_text", "vocabulary": 200, "layers": 1, "hidden": 8, "heads": 1,
        "feed_forward": 8,
    }  # fmt: skip
    said = study(base={"scratch": scratch}, targets={"tagging": None})
    told = {"task": "tagging", "level": "same_examples", "with_splits": ["test"]}
    with pytest.raises(StudyError, match="the base model would be trained on the examples"):
        plan(said, cards=with_overlap("demo_text", told))


def test_a_selection_on_tested_examples_stops_the_plan_unless_it_is_an_oracle() -> None:
    told = {**EVIL, "splits": ["dev"]}
    cards = {**CARDS, **with_overlap("mnli", told)}
    target = {"xnli": {"selection": {"task": "mnli", "split": "dev"}}}
    with pytest.raises(StudyError, match="the winners of xnli would be chosen on the examples"):
        plan(study(targets=target), cards=cards)
    planned = plan(study(targets=target, oracle=True), cards=cards)
    assert flags(planned, "none", "xnli", "test/de") == "same examples: selected on mnli/dev"


def test_a_dev_score_is_no_test_score_and_says_so() -> None:
    planned = plan(study(targets={"panx": {"splits": ["dev"]}}, oracle=True))
    assert flags(planned, "none", "panx", "dev/en") == "selected on"
    assert flags(planned, "none", "panx", "dev/de") == ""
    native = {"panx": {"splits": ["dev"], "languages": ["de", "nl"]}}
    plan(study(targets=native))  # other sentences than the English ones


def test_the_same_data_as_the_training_task_is_flagged() -> None:
    planned = plan(study(intermediates={"mnli": None, "mix": {"tasks": ["udpos", "mnli"]}}))
    for row in ("mnli", "mix"):
        assert flags(planned, row, "xnli", "test/de") == "same data as the training task"
    assert flags(planned, "none", "xnli", "test/de") == ""


@needs_cards
def test_xtreme_flags_what_its_cards_say() -> None:
    rows = ["mnli", "anli_plus", "squad_v1", "squad_v2", "qqp"]
    targets = ["xnli", "xquad", "mlqa"]
    planned = plan(study(intermediates=dict.fromkeys(rows), targets=dict.fromkeys(targets)))
    same = "same data as the training task"
    found = {
        (row, target)
        for row in ["none", *rows]
        for target in targets
        if same in flags(planned, row, target, "test/de").split("; ")
    }
    assert found == {
        ("mnli", "xnli"), ("anli_plus", "xnli"), ("squad_v1", "xquad"), ("squad_v1", "mlqa"),
        ("squad_v2", "xquad"), ("squad_v2", "mlqa"),
    }  # fmt: skip
    documents = "same documents: selected on squad_v1/dev_without_xquad"
    assert flags(planned, "none", "xquad", "test/de") == documents
    assert flags(planned, "none", "mlqa", "test/de") == ""


@needs_cards
def test_xquad_may_not_be_selected_on_the_whole_dev_set_of_squad() -> None:
    selection = {"task": "squad_v1", "split": "dev"}
    with pytest.raises(StudyError) as refused:
        plan(study(targets={"xquad": {"selection": selection}}))
    assert "squad_v1/dev and xquad/test have the same ones" in str(refused.value)
    assert "split: dev_without_xquad, language: en" in str(refused.value)
