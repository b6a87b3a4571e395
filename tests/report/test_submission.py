"""Predictions in XTREME's layout: exported out of a store, and scored against the data files."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from report.submission_world import TARGETS, Predicted, study, write_data
from sweeper import Store
from sweeper.errors import DataError, StoreError
from sweeper.graph import Job
from sweeper.report.layout import MANIFEST, raw_labels
from sweeper.report.submission import export_predictions
from sweeper.report.submitted import FolderScores, score_folder
from sweeper.tasks.card import shipped_cards
from sweeper.tasks.metrics.aggregate import XTREME

CARDS = shipped_cards()
RETRIEVAL = ("tatoeba", "bucc2018", "lareqa", "mewsli_x")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    write_data(root)
    return root


@pytest.fixture(scope="module")
def world(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Predicted:
    folder = tmp_path_factory.mktemp("store")
    made = Predicted(folder / "s", study(data), folder / "prepared")

    def dev(row: str, seed: int, trial: int) -> tuple[float, float, int]:
        return {"none": 60.0, "mnli": 70.0}[row] + seed, 0.5, 1

    made.run(dev=dev)
    return made


@pytest.fixture(scope="module")
def exported(world: Predicted, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("predictions")
    export_predictions(Store(world.files.root).view(), folder)
    return folder


@pytest.fixture
def copy(exported: Path, tmp_path: Path) -> Path:
    return shutil.copytree(exported, tmp_path / "predictions")


def test_exported_predictions_score_exactly_as_stored(
    world: Predicted, exported: Path, data: Path
) -> None:
    scored = score_folder(exported, CARDS, data)
    stored = {
        (row.target, row.split, row.language, row.metric): row.value
        for row in Store(world.files.root).scores(metric="all").itertuples()
        if (row.intermediate, row.seed)
        == (("none", 0) if row.target in RETRIEVAL else ("mnli", 1))
    }
    found = {
        (row["task"], row["split"], row["language"], row["metric"]): row["value"]
        for row in scored.rows()
    }
    assert {task for task, *_ in found} == set(TARGETS)
    for place, value in found.items():
        assert value == stored[place], place
    # What no file of predictions says: a margin, and the way back of retrieval.
    assert {place for place in stored if place[3] not in ("threshold", "xsim")} == set(found)
    assert {row["value"] for row in scored.rows()} - {0.0, 100.0}


def test_the_layout_is_that_of_evaluate_py(exported: Path) -> None:
    names = {str(path.relative_to(exported)) for path in exported.rglob("*.*")}
    assert names == {
        MANIFEST, "xnli/test-en.tsv", "xnli/test-de.tsv", "pawsx/test-de.tsv",
        "pawsx/test-fr.tsv", "panx/test-de.tsv", "udpos/test-fi.tsv", "udpos/test-th.tsv",
        "xquad/test-de.json", "xquad/test-zh.json", "mlqa/test-de.json", "mlqa/test-zh.json",
        "tydiqa/test-fi.json", "bucc2018/dev-de.tsv", "bucc2018/test-de.tsv",
        "tatoeba/test-de.tsv", "tatoeba/test-fi.tsv", "xcopa/test-et.tsv",
        "lareqa/test-de.json", "lareqa/test-zh.json", "mewslix/dev-de.json",
        "mewslix/dev-uk.json", "mewslix/test-de.json", "mewslix/test-uk.json",
    }  # fmt: skip
    lines = {name: (exported / name).read_text().split("\n") for name in names}
    assert set(lines["xnli/test-de.tsv"]) <= {"entailment", "neutral", "contradiction", ""}
    assert set(lines["pawsx/test-de.tsv"]) <= {"0", "1", ""}
    assert set(lines["xcopa/test-et.tsv"]) <= {"0", "1", ""}
    assert all(line.isdecimal() for line in lines["tatoeba/test-de.tsv"][:-1])
    first = lines["bucc2018/test-de.tsv"][0].split("\t")
    assert first[0].startswith("de-") and first[1].startswith("en-")
    assert lines["panx/test-de.tsv"].count("") == 7 + 1
    answers = json.loads((exported / "xquad/test-de.json").read_text())
    assert set(answers) == {f"q{number}" for number in range(9)}
    mentions = json.loads((exported / "mewslix/test-uk.json").read_text())
    assert {"test-uk-0", "test-uk-2"} <= set(mentions)
    for ranked in mentions.values():  # ids as in the data: not "entities:Q7", the store's
        assert len(set(ranked)) == 20 and set(ranked) <= {f"Q{n}" for n in range(70)}
    answers = json.loads((exported / "lareqa/test-zh.json").read_text())
    assert set(answers) == {"q00_zh", "q01_zh", "q10_zh", "q11_zh"}
    assert len({name.split("_")[0] for ranked in answers.values() for name in ranked}) > 8


def test_the_manifest_says_which_checkpoints(exported: Path) -> None:
    said = json.loads((exported / MANIFEST).read_text())
    xnli = said["targets"]["xnli"]
    assert (xnli["intermediate"], xnli["seed"]) == ("mnli", 1)
    assert xnli["checkpoint"] == "attempts/score/mnli>xnli/seed=1"
    assert xnli["overlap"] == ["same data as the training task"]
    assert xnli["limits"] == {} and len(xnli["files"]) == 2


def test_a_named_row_and_seed(world: Predicted, data: Path, tmp_path: Path) -> None:
    view = Store(world.files.root).view()
    made = export_predictions(
        view, tmp_path, targets=["xnli", "tatoeba"], intermediate="mnli", seed=0
    )
    assert made.files == 4 and not made.left_out
    (tatoeba,) = view.chosen(target="tatoeba", intermediate="mnli", seed=0, language="fi")
    wanted = float(view.scores([tatoeba], "accuracy")["value"].iloc[0])
    one = next(f for f in score_folder(tmp_path, CARDS, data).files if f.language == "fi")
    assert one.metrics == {"accuracy": wanted} and one.n == 13


def test_what_is_not_scored_yet_is_left_out_and_named(data: Path, tmp_path: Path) -> None:
    targets = {"xnli": TARGETS["xnli"], "panx": TARGETS["panx"]}
    world = Predicted(tmp_path / "s", study(data, targets=targets), tmp_path / "prepared")
    with pytest.raises(StoreError, match=r"no predictions to export yet\. xnli: Nothing is sel"):
        export_predictions(Store(world.files.root).view(), tmp_path / "out")
    world.run(leave=lambda key: key.startswith("score/") and ">panx/" in key,
              dev=lambda *_: (50.0, 1.0, 1))  # fmt: skip
    view = Store(world.files.root).view()
    made = export_predictions(view, tmp_path / "out")
    assert list(made.targets) == ["xnli"]
    assert "not yet scored on panx in test/de" in made.left_out["panx"]
    with pytest.raises(StoreError, match="not yet scored"):
        export_predictions(view, tmp_path / "out", targets=["panx"])
    with pytest.raises(StoreError, match="Did you mean 'panx'"):
        export_predictions(view, tmp_path / "out", targets=["panxx"])
    with pytest.raises(StoreError, match="A seed alone"):
        export_predictions(view, tmp_path / "out", seed=0)


def test_limits_of_a_study_hold_for_its_predictions(data: Path, tmp_path: Path) -> None:
    said = study(data, targets={"xnli": {"languages": ["de"]}}, limits={"test": 4})
    world = Predicted(tmp_path / "s", said, tmp_path / "prepared").run(
        dev=lambda *_: (5.0, 1.0, 1)
    )
    export_predictions(Store(world.files.root).view(), tmp_path / "out")
    (one,) = score_folder(tmp_path / "out", CARDS, data).files
    assert (one.n, one.limit) == (4, 4)
    with pytest.raises(DataError, match="as many lines as the data, 11; it has 4"):
        score_folder(tmp_path / "out", CARDS, data, limits=False)


def test_limits_hold_for_the_candidates_too(data: Path, tmp_path: Path) -> None:
    said = study(data, targets={"lareqa": {"languages": ["de"]}}, limits={"test": 2})
    world = Predicted(tmp_path / "s", said, tmp_path / "prepared").run()
    store = Store(world.files.root)
    export_predictions(store.view(), tmp_path / "out")
    (one,) = score_folder(tmp_path / "out", CARDS, data).files
    stored = store.scores(intermediate="none", seed=0, metric="all")
    assert one.metrics == dict(zip(stored["metric"], stored["value"], strict=True))
    assert 0.0 < one.metrics["map@20"] < 100.0 and (one.n, one.limit) == (2, 2)


def test_limits_of_what_a_score_rests_on_are_told(data: Path, tmp_path: Path) -> None:
    targets = {"bucc2018": {"languages": ["de"], "splits": ["test"]}}
    said = study(data, targets=targets, limits={"test": 64, "dev": 65})
    world = Predicted(tmp_path / "s", said, tmp_path / "prepared").run()
    export_predictions(Store(world.files.root).view(), tmp_path / "out")
    about = json.loads((tmp_path / "out" / MANIFEST).read_text())
    assert about["targets"]["bucc2018"]["limits"] == {"test": 64, "dev": 65}


def test_rows_that_a_study_left_out_are_not_asked_for(data: Path, tmp_path: Path) -> None:
    root = shutil.copytree(data, tmp_path / "data")
    file = root / "xnli/test-de.tsv"
    lines = file.read_text().splitlines()
    file.write_text("\n".join([*lines[:3], "no label", *lines[3:]]) + "\n")
    said = study(root, targets={"xnli": {"languages": ["de"]}}, keep_going=True)
    world = Predicted(tmp_path / "s", said, tmp_path / "prepared").run(
        dev=lambda *_: (5.0, 1.0, 1)
    )
    store = Store(world.files.root)
    export_predictions(store.view(), tmp_path / "out", intermediate="mnli", seed=0)
    (one,) = score_folder(tmp_path / "out", CARDS, root).files
    assert (one.n, one.left_out) == (len(lines), 1)
    stored = store.scores(intermediate="mnli", seed=0, metric="accuracy")
    assert one.metrics == {"accuracy": stored["value"].iloc[0]}
    (tmp_path / "out" / MANIFEST).unlink()
    with pytest.raises(DataError, match="test-de.tsv:4: a row must have a column"):
        score_folder(tmp_path / "out", CARDS, root)


class Older(Predicted):
    """What a sweeper wrote that kept no rankings."""

    def _examples(self, job: Job, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{**row, "ranking": None} for row in super()._examples(job, rows)]


def test_scores_without_rankings_say_how_to_get_them(data: Path, tmp_path: Path) -> None:
    said = study(data, targets={"lareqa": TARGETS["lareqa"], "tatoeba": TARGETS["tatoeba"]})
    folder = Older(tmp_path / "s", said, tmp_path / "prepared").run().files.root
    made = export_predictions(Store(folder).view(), tmp_path / "out")
    assert list(made.targets) == ["tatoeba"]
    told = made.left_out["lareqa"]
    assert "rankings of lareqa; it has none of test/de, test/zh." in told
    (marker,) = re.findall(r"commits/\w+\.0", told)
    (folder / marker).unlink()
    again = Predicted(folder, said, tmp_path / "prepared").run()
    assert again.ran == ["score/none>lareqa/seed=0"]
    export_predictions(Store(folder).view(), tmp_path / "out", targets=["lareqa"])
    assert len(score_folder(tmp_path / "out", CARDS, data).files) == 4


def test_averages_need_every_language(exported: Path, data: Path) -> None:
    found = score_folder(exported, CARDS, data).averages(XTREME)
    assert found.values == {} and found.lacking["tydiqa"][0] == "en"


# ---- folders of others ------------------------------------------------------------------------


def score(folder: Path, data: Path) -> FolderScores:
    return score_folder(folder, CARDS, data)


def test_xtremes_own_driver_writes_retrieval_in_brackets(copy: Path, data: Path) -> None:
    file = copy / "tatoeba" / "test-de.tsv"
    before = score(copy, data).rows()
    file.write_text("".join(f"[{line}]\n" for line in file.read_text().split()))
    assert score(copy, data).rows() == before


def test_retrieval_is_in_the_order_of_the_english_text(tmp_path: Path) -> None:
    root, folder = tmp_path / "data" / "tatoeba" / "v1", tmp_path / "out" / "tatoeba"
    root.mkdir(parents=True)
    folder.mkdir(parents=True)
    (root / "tatoeba.deu-eng.deu").write_text("Birne\nKirsche\nApfel\n")
    (root / "tatoeba.deu-eng.eng").write_text("pear\ncherry\napple\n")
    for lines, right in (("2\n1\n0\n", 3), ("0\n1\n2\n", 1), ("2\n0\n1\n", 1)):
        (folder / "test-de.tsv").write_text(lines)  # of apple, cherry, pear
        (one,) = score(tmp_path / "out", tmp_path / "data").files
        assert one.metrics["accuracy"] == pytest.approx(100 * right / 3)


def test_a_question_without_an_answer_scores_0(copy: Path, data: Path) -> None:
    file = copy / "tydiqa" / "test-fi.json"
    file.write_text(json.dumps({"q0": "", "unknown": "x"}))
    (one,) = (f for f in score(copy, data).files if f.task == "tydiqa")
    assert one.metrics["exact_match"] == 0.0 and one.n == 9


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("xnli/test-de.tsv", "neutral\n", "as many lines as the data, 11; it has 1"),
        ("xnli/test-de.tsv", "neutrl\n" + "neutral\n" * 10, "test-de.tsv:1: .*mean 'neutral'"),
        ("panx/test-de.tsv", "O\n\n" * 7, "panx/test-de.tsv:1: a sentence must have a tag per"),
        ("panx/test-de.tsv", "O\n", "as many sentences as the data, 7; it has 1"),
        ("tatoeba/test-de.tsv", "99\n" * 13, "from 0 to 12; it is '99'"),
        ("bucc2018/test-de.tsv", "de-001 en-001\n", "test-de.tsv:1: .*a tab between them"),
        ("xquad/test-de.json", "{", "xquad/test-de.json:1: the file must be a JSON object"),
        ("xquad/test-de.json", "[]", "it is a list"),
        ("xquad/test-de.json", '{"no": "x"}', "none of the 1 ids is one of xquad's"),
        ("xquad/test-de.json", '{"q1": 3}', "that of 'q1' is none"),
        ("xquad/german.json", "{}", "is named <split>-<language>.tsv or .json"),
        ("xquad/test-fi.json", "{}", "xquad has no test/fi"),
        ("xnil/test-de.tsv", "", "'xnil' is none. Did you mean 'xnli'"),
        ("mnli/dev-de.tsv", "", "mnli has no dev/de"),
        (MANIFEST, "{}", "not as `sweeper export predictions` writes it"),
    ],
)
def test_what_does_not_fit_is_named(
    copy: Path, data: Path, name: str, content: str, said: str
) -> None:
    (copy / name).parent.mkdir(exist_ok=True)
    (copy / name).write_text(content)
    with pytest.raises(DataError, match=said):
        score(copy, data)


def test_folders_without_predictions(tmp_path: Path, data: Path) -> None:
    with pytest.raises(DataError, match="has no predictions"):
        score(tmp_path, data)
    with pytest.raises(DataError, match="no folder of predictions"):
        score(tmp_path / "no", data)


def test_labels_go_back_to_what_the_files_have() -> None:
    assert raw_labels(CARDS["pawsx"]) == {"different": "0", "paraphrase": "1"}
    assert raw_labels(CARDS["xnli"]) == {}
