"""Predictions in XTREME's layout: exported out of a store, and scored against the data files."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from report.submission_world import TARGETS, Predicted, printed, study
from sweeper import Store
from sweeper.errors import StoreError
from sweeper.graph import Job
from sweeper.report.layout import MANIFEST
from sweeper.report.submission import export_predictions
from sweeper.report.submitted import score_folder
from sweeper.tasks.card import shipped_cards

CARDS = shipped_cards()
RETRIEVAL = ("tatoeba", "bucc2018", "lareqa", "mewsli_x")


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
        "tatoeba/test-de.tsv", "tatoeba/test-fi.tsv", "xcopa/test-et.jsonl",
        "lareqa/test-de.json", "lareqa/test-zh.json", "mewslix/dev-de.json",
        "mewslix/dev-uk.json", "mewslix/test-de.json", "mewslix/test-uk.json",
    }  # fmt: skip
    lines = {name: (exported / name).read_text().split("\n") for name in names}
    assert set(lines["xnli/test-de.tsv"]) <= {"entailment", "neutral", "contradiction", ""}
    assert set(lines["pawsx/test-de.tsv"]) <= {"0", "1", ""}
    assert set(lines["xcopa/test-et.jsonl"]) == {'{"label": 0}', '{"label": 1}', ""}
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


def test_a_folder_says_of_every_target_whose_it_is(
    world: Predicted, data: Path, tmp_path: Path
) -> None:
    view = Store(world.files.root).view()
    export_predictions(view, tmp_path, intermediate="mnli", seed=0)
    export_predictions(view, tmp_path, targets=["xnli"], intermediate="none", seed=1)
    told = json.loads((tmp_path / MANIFEST).read_text())["targets"]
    assert set(told) == set(TARGETS)
    whose = {target: (one["intermediate"], one["seed"]) for target, one in told.items()}
    assert whose.pop("xnli") == ("none", 1) and set(whose.values()) == {("mnli", 0)}
    said = printed(score_folder(tmp_path, CARDS, data))
    assert "- xnli: predictions of none, seed 1, of the study made.\n" in said
    assert "mewsli_x: predictions of mnli, seed 0, of the study made.\n" in said
    assert "- xnli: same data" not in said and "does not say" not in said
    del told["panx"]
    (tmp_path / MANIFEST).write_text(json.dumps({"targets": told}))
    assert f"- {MANIFEST} does not say whose these are: panx/test-de.tsv." in printed(
        score_folder(tmp_path, CARDS, data)
    )


def test_an_export_leaves_nothing_of_the_one_before(
    world: Predicted, data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    export_predictions(Store(world.files.root).view(), out, targets=["xnli", "panx"])
    fewer = study(data, name="fewer", targets={"xnli": {"languages": ["de"]}})
    made = Predicted(tmp_path / "s", fewer, tmp_path / "prepared")
    made.run(dev=lambda *_: (5.0, 1.0, 1))
    told = json.loads((out / MANIFEST).read_text())
    told["targets"]["xnli"]["files"] += ["../kept", "panx/test-de.tsv"]
    (out / MANIFEST).write_text(json.dumps(told))
    (tmp_path / "kept").touch()
    view = Store(made.files.root).view()
    export_predictions(view, out)
    names = {str(path.relative_to(out)) for path in out.rglob("*.*")}
    assert names == {MANIFEST, "xnli/test-de.tsv", "panx/test-de.tsv"}
    assert (tmp_path / "kept").exists()
    told = json.loads((out / MANIFEST).read_text())["targets"]
    assert {target: one["study"] for target, one in told.items()} == {
        "xnli": "fewer", "panx": "made"
    }  # fmt: skip
    (out / "xnli" / "test-fr.tsv").touch()
    before = (out / "xnli" / "test-de.tsv").read_text()
    with pytest.raises(StoreError, match=r"xnli/test-fr\.tsv is none that this export writes"):
        export_predictions(view, out, intermediate="none", seed=0)
    assert (out / "xnli" / "test-de.tsv").read_text() == before


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
    scored = score_folder(tmp_path / "out", CARDS, data)
    (one,) = scored.files
    assert (one.n, one.limit) == (4, 4)
    (left,) = score_folder(tmp_path / "out", CARDS, data, limits=False).left_out
    assert "as many lines as the data, 11; it has 4" in left.reason


def test_limits_are_told_in_one_line(data: Path, tmp_path: Path) -> None:
    targets = {name: TARGETS[name] for name in ("xnli", "tatoeba")}
    said = study(data, targets=targets, limits={"test": 4})
    world = Predicted(tmp_path / "s", said, tmp_path / "prepared").run(
        dev=lambda *_: (5.0, 1.0, 1)
    )
    export_predictions(Store(world.files.root).view(), tmp_path / "out")
    lines = printed(score_folder(tmp_path / "out", CARDS, data)).splitlines()
    told = [line for line in lines if "the study's limits" in line]
    assert len(told) == 1 and told[0].endswith("of a language: 4 of tatoeba/test, xnli/test.")


def test_limits_hold_for_the_candidates_too(data: Path, tmp_path: Path) -> None:
    said = study(data, targets={"lareqa": {"languages": ["de"]}}, limits={"test": 2})
    world = Predicted(tmp_path / "s", said, tmp_path / "prepared").run()
    store = Store(world.files.root)
    export_predictions(store.view(), tmp_path / "out")
    (one,) = score_folder(tmp_path / "out", CARDS, data).files
    stored = store.scores(intermediate="none", seed=0, metric="all")
    assert one.metrics == dict(zip(stored["metric"], stored["value"], strict=True))
    assert 0.0 < one.metrics["map@20"] < 100.0 and (one.n, one.limit) == (2, 2)


def test_limits_leave_candidates_of_their_own_split_alone(data: Path, tmp_path: Path) -> None:
    targets = {"mewsli_x": {"languages": ["uk"], "splits": ["test"]}}
    said = study(data, targets=targets, limits={"test": 2})
    world = Predicted(tmp_path / "s", said, tmp_path / "prepared").run()
    store = Store(world.files.root)
    export_predictions(store.view(), tmp_path / "out")
    about = json.loads((tmp_path / "out" / MANIFEST).read_text())
    assert about["targets"]["mewsli_x"]["limits"] == {"test": 2}
    (one,) = score_folder(tmp_path / "out", CARDS, data).files
    stored = store.scores(intermediate="none", seed=0)
    assert (one.metrics["map@20"], one.n) == (stored["value"].iloc[0], 2)
    whole = Predicted(tmp_path / "w", study(data, targets=targets), tmp_path / "all")
    units = [
        {job.key: made.progress.addressing.units(job.key) for job in made.plan.jobs.values()
         if "candidates" in job.key}
        for made in (world, whole)
    ]  # fmt: skip
    assert units[0] and units[0] == units[1]  # so the same work for both


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
    assert one.n == len(lines)
    assert one.notes == ("without 1 broken rows of the data, as the study had it",)
    stored = store.scores(intermediate="mnli", seed=0, metric="accuracy")
    assert one.metrics == {"accuracy": stored["value"].iloc[0]}
    (tmp_path / "out" / MANIFEST).unlink()
    (broken,) = score_folder(tmp_path / "out", CARDS, root).left_out
    assert "test-de.tsv:4: a row must have a column" in broken.reason


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
