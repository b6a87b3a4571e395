from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from analysis.world import World, study
from sweeper import Store
from sweeper.analysis.aggregates import BENCHMARKS, UNSCORED, averages, columns_of
from sweeper.errors import DataError, StoreError
from sweeper.report.benchmarks import print_aggregate
from sweeper.report.terminal import print_matrix
from sweeper.tasks.card import Card, shipped_cards
from sweeper.tasks.metrics import aggregate as official

GOLDEN = Path(__file__).resolve().parents[3] / "shared" / "golden" / "public" / "aggregate"


def cases() -> list[dict[str, Any]]:
    return [json.loads(path.read_text("utf-8")) for path in sorted(GOLDEN.glob("*.json"))]


def rows_of(scores: dict[str, Any]) -> list[tuple[str, str, str, float]]:
    """As the store's table has them: our task names, and metrics that the benchmarks lack."""
    ours = {"mewslix": "mewsli_x"}
    metrics = {"mewslix": {"map@20": "mrr@20"}}
    return [
        row
        for task, languages in scores.items()
        for code, values in languages.items()
        for metric, value in values.items()
        for row in [
            (ours.get(task, task), code, metrics.get(task, {}).get(metric, metric), value),
            ("unknown", code, metric, value),
            *([("mewsli_x", code, "map@20", 0.0)] if task == "mewslix" else []),
        ]
    ]


@pytest.mark.skipif(not GOLDEN.is_dir(), reason="the golden cases are not on this machine")
def test_the_golden_cases() -> None:
    assert len(cases()) >= 6
    for case in cases():
        of, wanted = BENCHMARKS[case["inputs"]["xtreme_version"]], case["expected"]
        found = averages(rows_of(case["inputs"]["scores"]), of)
        if "error" in wanted:  # the official script stops; here the task is left out, and named
            task, file = wanted["missing_file"].split("/")[-2:]
            assert file.removeprefix("test-").split(".")[0] in found.lacking[task]
            assert task not in found.summary.tasks and found.summary.all_task is None
            continue
        assert found.summary.tasks.keys() == wanted["tasks"].keys(), case["case"]
        for task, means in wanted["tasks"].items():
            assert found.summary.tasks[task] == pytest.approx(means, abs=1e-6)
        assert found.summary.groups == pytest.approx(wanted["groups"], abs=1e-6)
        assert found.summary.all_task == pytest.approx(wanted["all_task"], abs=1e-6)
        extra = case["expected_extra"].get("mean_over_four_categories")
        if extra is not None:
            assert found.values["four categories"] == pytest.approx(extra, abs=1e-6)


def test_a_mean_needs_every_member() -> None:
    scores = [("xnli", code, "accuracy", 50.0) for code in official.XTREME.languages["xnli"]]
    found = averages(scores)
    assert found.values == {"xnli": 50.0}  # no group, as PAWS-X is not there
    assert found.lacking["pawsx"] == official.XTREME.languages["pawsx"]
    less = averages(scores[1:])
    assert less.values == {} and less.lacking["xnli"] == ("ar",)
    nan = averages([*scores[1:], ("xnli", "ar", "accuracy", float("nan"))])
    assert nan.values == {}


def test_a_file_that_lacks_is_named_as_the_official_script_wants_it() -> None:
    codes = official.XTREME_R.languages["xcopa"]
    scores = {"xcopa": {code: {"accuracy": 50.0} for code in codes if code != "qu"}}
    with pytest.raises(DataError, match=r"the file xcopa/test-qu\.jsonl"):
        official.summary(scores, official.XTREME_R)


def test_the_whole_of_xtreme_r_is_our_own() -> None:
    tasks = {"xquad", "mlqa", "tydiqa"}
    rows = [
        (task, code, metric, value)
        for task, codes in {**official.XTREME_R.languages, "lareqa": UNSCORED["lareqa"]}.items()
        for code in codes
        for metric, value in (
            [("exact_match", 40.0), ("f1", 60.0)] if task in tasks
            else [("map@20", 30.0)] if task in ("mewslix", "lareqa") else [("accuracy", 50.0)]
        )
    ]  # fmt: skip
    renamed = [("mewsli_x", code, "mrr@20", v) if task == "mewslix" else (task, code, m, v)
               for task, code, m, v in rows]  # fmt: skip
    found = averages(renamed, official.XTREME_R)
    assert not found.lacking and found.summary.all_task is None
    assert found.values["all tasks (own)"] == pytest.approx((8 * 50 + 2 * 30) / 10)
    assert averages(renamed[:-1], official.XTREME_R).own is None
    cut = [(t, c, "map@10" if t == "lareqa" else m, v) for t, c, m, v in renamed]
    assert averages(cut, official.XTREME_R).lacking == {"lareqa": UNSCORED["lareqa"]}


def test_the_languages_of_the_cards_are_the_benchmarks() -> None:
    cards = shipped_cards()
    names = {"mewslix": "mewsli_x"}
    for of in BENCHMARKS.values():
        for task, codes in of.languages.items():
            card = cards[names.get(task, task)]
            there = {code for split in ("test", "test_r") if split in card.splits
                     for code in card.splits[split].languages}  # fmt: skip
            own = set(card.splits["test"].languages)
            assert set(codes) == (own if of.name == "xtreme" else there), (of.name, task)


# ---- of a store -------------------------------------------------------------------------------


def made_by_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cards with data made by code, so that a store of them can be made."""
    cards = shipped_cards()
    source = {"synthetic": {"generator": "topic"}}
    for name in ("xnli", "mnli", "pawsx", "tatoeba"):
        said = cards[name].model_dump(mode="json") | {"sources": source}
        cards[name] = Card.model_validate(said)
    monkeypatch.setattr("sweeper.knowncards.shipped_cards", lambda: cards)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    made_by_code(monkeypatch)
    said = study(
        intermediates={"supersense": None}, targets={"xnli": None, "pawsx": None}, spaces={},
        seeds=[0, 1], training={"epochs": 1},
    )  # fmt: skip
    xnli, pawsx = (official.XTREME.languages[name] for name in ("xnli", "pawsx"))

    def score(row: str, target: str, seed: int, language: str) -> float:
        codes = xnli if target == "xnli" else pawsx
        return codes.index(language) + 40.0 + seed + (2 * seed if row == "supersense" else 0)

    world = World(tmp_path / "s", said)
    world.run(score, dev=lambda row, seed, trial: (1.0, 1.0, 1),
              leave=lambda key: key == "score/supersense>pawsx/seed=1")  # fmt: skip
    return Store(tmp_path / "s")


def test_rows_are_averaged_over_all_languages_and_seeds(store: Store) -> None:
    found = store.aggregate()
    assert found.columns == columns_of(official.XTREME)
    values = found.values
    assert list(values.index) == ["none", "supersense"]
    assert values.loc["none", "xnli"] == pytest.approx(47.5)  # 15 languages, English too
    assert store.matrix().loc["none", "xnli"] != pytest.approx(47.5)  # zero-shot ones
    assert values.loc["none", "pawsx"] == pytest.approx(43.5)
    assert values.loc["none", "mean classification"] == pytest.approx(45.5)
    assert found.standard_error.loc["none", "xnli"] == pytest.approx(0.5)
    assert values.loc["supersense", "pawsx"] == pytest.approx(43.0)  # of the seed that has it
    assert found.n_seeds.loc["supersense", "mean classification"] == 1
    assert values["all tasks"].isna().all() and values["four categories"].isna().all()
    assert "tatoeba" in found.lacking["none"]
    assert set(found.to_frame()["average"]) == {"xnli", "pawsx", "mean classification"}


def test_what_is_printed_says_which_languages(store: Store) -> None:
    out = Console(file=io.StringIO(), width=100)
    print_aggregate(out, store.aggregate())
    text = out.file.getvalue()  # type: ignore[attr-defined]
    assert "47.5 ± 0.5" in text and "43.0 (1/2)" in text
    assert "over ALL languages" in text and "none lacks scores of panx, udpos" in text


@pytest.fixture
def limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A row on a target's own training task, an oracle, limits, and a target without training."""
    made_by_code(monkeypatch)
    test = {"task": "xnli", "split": "test", "language": "en"}
    said = study(
        intermediates={"mnli": None}, spaces={}, seeds=[0, 1], training={"epochs": 1}, oracle=True,
        targets={"xnli": None, "pawsx": {"selection": {**test, "task": "pawsx"}}, "tatoeba": None},
        limits={"test": 3, "train": 500_000},
    )  # fmt: skip
    World(tmp_path / "s", said).run(
        lambda row, target, seed, language: 50.0 + seed, dev=lambda *_: (1.0, 1.0, 1)
    )
    return Store(tmp_path / "s")


def printed(store: Store, **options: Any) -> str:
    out = Console(file=io.StringIO(), width=1000)
    print_aggregate(out, store.aggregate(**options))
    return out.file.getvalue()  # type: ignore[attr-defined,no-any-return]


ORACLE = "oracle: selected on pawsx/test/en"
LIMITS = "By the study's limits only the first examples of a language: 3 of "


def test_what_the_numbers_may_not_claim_is_told_under_the_averages(limited: Store) -> None:
    found = limited.aggregate()
    assert found.cells["mnli", "xnli"].overlap == ("same data as the training task",)
    assert ORACLE in found.cells["mnli", "mean classification"].overlap
    assert found.cells["none", "xnli"].overlap == ()
    said = printed(limited)
    line = next(line for line in said.splitlines() if LIMITS in line)
    assert "xnli/test" in line and "pawsx/test" in line and "tatoeba/test" in line
    assert "/train" not in line and line.endswith("These are not xtreme's numbers.")
    assert "- † same data as the training task: mnli on xnli.\n" in said
    assert f"- † {ORACLE}: none, mnli on pawsx.\n" in said
    xnli, classes = (re.search(rf"^{name} .*$", said, re.M) for name in ("xnli", "mean class.*"))
    assert xnli and xnli[0].split() == ["xnli", "50.5", "±", "0.5", "50.5", "±", "0.5", "†"]
    assert classes and classes[0].count("†") == 2
    table = found.to_frame().set_index(["intermediate", "average"])
    assert table.loc[("mnli", "xnli"), "overlap"] == "same data as the training task"
    assert "xnli/test 3" in table.loc[("none", "tatoeba"), "limits"]


def test_the_plain_matrix_tells_limits_and_oracle_too(limited: Store) -> None:
    out = Console(file=io.StringIO(), width=1000)
    print_matrix(out, limited.transfer())
    said = out.file.getvalue()  # type: ignore[attr-defined]
    assert f"- {LIMITS}" in said and f"- † {ORACLE}: none, mnli on pawsx." in said
    frame = limited.transfer().to_frame()
    assert set(frame["limit"]) == {3}


def test_an_average_of_one_computation_has_no_error(limited: Store) -> None:
    cells = limited.aggregate().cells
    assert cells["none", "tatoeba"].deterministic and not cells["none", "xnli"].deterministic
    assert cells["none", "tatoeba"].standard_error is None
    assert cells["mnli", "tatoeba"].standard_error == pytest.approx(0.5)
    said = printed(limited)
    assert "- none on tatoeba: every seed is the same computation" in said and "± 0.0" not in said


def test_what_cannot_be_averaged(store: Store, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="Did you mean 'xtreme'"):
        store.aggregate("xtrem")
    World(tmp_path / "other")
    with pytest.raises(StoreError, match="no target of xtreme-r"):
        Store(tmp_path / "other").aggregate("xtreme-r")
