from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from analysis.world import TINY, World, study
from report.checkpoints import Trained
from report.submission_world import Predicted, write_data
from report.submission_world import study as made_study

from sweeper import cli
from sweeper.engine import sweep
from sweeper.engine.heartbeat import beating
from sweeper.engine.sweep import Summary
from sweeper.reducing import without
from sweeper.store.drivers import Driver


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SWEEPER_DATA", raising=False)
    return tmp_path


def sweeper(*words: str) -> int:
    """Run a command in this process; its exit code."""
    before = sys.argv
    sys.argv = ["sweeper", *words]
    try:
        with pytest.raises(SystemExit) as left:
            cli.main()
    finally:
        sys.argv = before
    code = left.value.code
    assert isinstance(code, int)
    return code


def write_study(path: Path, **changes: Any) -> Path:
    path.write_text(json.dumps({**TINY, **changes}))  # JSON is YAML
    return path


Capture = pytest.CaptureFixture[str]


def test_a_finished_store_answers_every_command(folder: Path, capsys: Capture) -> None:
    World(Path("runs/tiny")).run()
    for words, said in {
        ("status",): "Complete: every cell",
        ("status", "--where"): "median 0.30 s",
        ("matrix",): "supersense       58.0 ± 1.7",
        ("matrix", "--value", "gain"): "+12.0* [+7.0, +17.0]",
        ("matrix", "--by", "language"): "(qaa)",
        ("best",): "demo_retrieval: none, seed 0",
        ("best", "--target", "tagging"): "why       supersense",
        ("best", "--store", "runs/tiny", "--language", "qaa"): "scores    qaa 103.0",
        ("export", "--format", "csv"): "tiny,supersense,tagging,,score,f1,percent,58.0",
        ("export", "--format", "latex", "--value", "gain"): r"\toprule",
        ("export", "--what", "examples"): ",qab,",
        ("export", "--what", "trials"): "train/base",
        ("logs", "train/base"): "the log of train/base",
        ("logs", "score/none>demo_retrieval/seed=2"): "the log of score/none>demo_retrieval",
        ("tasks",): "XNLI: classification; target (from mnli); 15 languages",
        ("tasks", "check", "topic"): "all as their cards say",
        (
            "export",
            "matrix",
            "--store",
            "runs/tiny",
        ): "tiny,supersense,tagging,,score,f1,percent,58.0",
        ("export", "trials"): "train/base",
    }.items():
        assert sweeper(*words) == 0, words
        assert said in capsys.readouterr().out, words


def test_a_job_s_state_is_explained(folder: Path, capsys: Capture) -> None:
    World(Path("runs/tiny")).run(leave=lambda key: key == "train/supersense/seed=1")
    assert sweeper("why", "train/supersense/seed=1", "--store", "runs/tiny") == 0
    said = capsys.readouterr().out
    assert "train/supersense/seed=1 is ready" in said
    assert "The nearest done job is train/supersense/seed=" in said
    assert sweeper("why", "train/supersens/seed=1") == 1
    said = capsys.readouterr().err
    assert "Did you mean 'train/supersense/seed=1'? Of 50 the nearest: train/supersense" in said
    assert sweeper("why", "xnli") == 1
    named = capsys.readouterr().err.partition("nearest: ")[2]
    assert len({key.split("/")[0] for key in named.split(", ")}) > 1, "not of one kind alone"


def test_a_damaged_marker_is_named_and_the_rest_is_told(
    folder: Path, capsys: Capture, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(Path("runs/tiny"), study(seeds=[0])).run()
    key = "score/none>tagging/seed=0"
    (marker,) = [one for one in world.progress.commits.by_address.values() if one.job == key]
    Path("runs/tiny/commits", marker.name).write_text("{")
    file = write_study(folder / "tiny.yaml", seeds=[0])
    for words, said in {
        ("status",): "1 job is left, and nobody is at work on it",
        ("status", "--watch"): "21/22 jobs",
        ("matrix",): "supersense",
        ("best", "--target", "tagging"): "supersense, seed 0",
        ("sql", "select count(*) as n from scores"): "n",
        ("plan", str(file)): "has 21 of 22 jobs; 1 is left.",
        ("why", key): f"It was committed, but {Path('runs/tiny').absolute()}/commits",
    }.items():
        caplog.clear()
        assert sweeper(*words) == 0, words
        assert said in " ".join(capsys.readouterr().out.split()), words
        (told,) = {record.getMessage() for record in caplog.records}
        assert f"commits/{marker.name}" in told and "sweeper store verify --repair" in told
    assert sweeper("status", "--json") == 0
    assert set(json.loads(capsys.readouterr().out)["studies"][0]["damaged_markers"]) == {
        marker.name
    }
    assert sweeper("run", str(file)) == 1, "which would do it again under another name"
    assert marker.name in capsys.readouterr().err


def test_a_sweep_is_watched_by_its_store(folder: Path, capsys: Capture) -> None:
    world = World(Path("runs/tiny")).run(leave=lambda key: key.startswith("score/"))
    driver = Driver(world.files, "tiny")
    driver.end()
    for words in (
        ("--watch",),
        ("--store", "runs/tiny", "--watch"),
        ("tiny", "--store", "runs/tiny"),
    ):
        assert sweeper("status", *words) == 0
        said = capsys.readouterr().out
        assert ("nobody at work on it" in said) == ("--watch" in words), words
        assert re.search(r"score +0 ", said), words
    assert sweeper("status", "other", "--store", "runs/tiny", "--watch") == 1
    assert "no study 'other'" in capsys.readouterr().err


def test_a_sweep_is_stopped_from_elsewhere(folder: Path, capsys: Capture) -> None:
    world = World(Path("runs/tiny"))
    assert sweeper("stop", "tiny") == 0
    assert "Nothing runs of tiny" in capsys.readouterr().out
    driver, begun, asked = Driver(world.files, "tiny"), threading.Event(), threading.Event()

    def drive() -> None:
        def stop(why: str) -> None:
            driver.why = why
            asked.set()

        with beating(driver, stop, every=0.01):
            begun.set()
            asked.wait()

    thread = threading.Thread(target=drive)
    thread.start()
    assert begun.wait(60)
    study = write_study(folder / "study.yaml")
    assert sweeper("stop", str(study), "--store", "runs/tiny") == 0
    thread.join()
    said = capsys.readouterr().out
    assert "to save and stop. By its last beat it was between two jobs" in said
    assert re.search(r"Ended: driver \w{8} of tiny .*\(stopped by `sweeper stop` on ", said)
    assert sweeper("stop") == 0
    assert "Nothing runs: no driver" in capsys.readouterr().out


def test_export_to_a_file(folder: Path, capsys: Capture) -> None:
    World(Path("runs/tiny")).run()
    words = ("export", "--format", "parquet", "--what", "scores", "-o", "scores.parquet")
    assert sweeper(*words) == 0
    assert len(pd.read_parquet("scores.parquet")) == 2 * 36
    assert sweeper("export", "-o", "no/such/folder.csv") == 1
    assert "could not be written" in capsys.readouterr().err


def test_predictions_are_exported_and_scored(folder: Path, capsys: Capture) -> None:
    write_data(folder / "data")
    of = made_study(
        folder / "data", targets={"xnli": {"languages": ["de"]}, "tatoeba": {"languages": ["fi"]}}
    )
    Predicted(Path("runs/made"), of, folder / "prepared").run(dev=lambda *_: (5.0, 1.0, 1))
    assert sweeper("export", "predictions", "--format", "xtreme", "-o", "out") == 0
    assert "out: 2 files of xnli, tatoeba" in capsys.readouterr().err
    assert sweeper("score", "out", "--data", "data", "-o", "scores.csv") == 0
    said = capsys.readouterr().out
    stored = pd.read_csv("scores.csv").set_index("task")["value"]
    assert f"fi {stored['tatoeba']:.1f}" in said
    Path("out/tatoeba/test-de.tsv").write_text("0\n")  # without its data's German
    Path("data/tatoeba/v1/tatoeba.deu-eng.deu").unlink()
    assert sweeper("score", "out", "--data", "data") == 1
    said = capsys.readouterr().out
    assert "fi " in said and "not scored: tatoeba/test-de.tsv: The task 'tatoeba' needs a" in said
    words = ("--intermediate", "mnli", "--seed", "0", "--target", "xnli", "-o", "named")
    assert sweeper("export", "predictions", "--store", "runs/made", *words) == 0
    assert json.loads(Path("named/predictions.json").read_text())["targets"]["xnli"]["seed"] == 0
    for wrong, why in {
        ("export", "predictions"): "Give `--output FOLDER`",
        ("export", "predictions", "--format", "csv", "-o", "x"): "exported as xtreme; you",
        ("export", "scores", "--format", "xtreme"): "scores is exported as csv, parquet, json,",
        ("export", "scores", "--target", "xnli"): "goes with `sweeper export predictions`",
        (
            "export",
            "scores",
            "one",
            "two",
        ): "not 'scores one two'. A store is named by an option: `--store two`",
        ("score", "nowhere"): "no folder of predictions",
    }.items():
        assert sweeper(*wrong) == 1, wrong
        assert why in capsys.readouterr().err, wrong


def test_searches_figures_and_checkpoints_are_exported(folder: Path, capsys: Capture) -> None:
    Trained(Path("runs/tiny"), study(targets={"tagging": None}, intermediates={"supersense": None},
                                     seeds=[0])).run()  # fmt: skip
    for words, said in {
        ("matrix", "--value", "gain", "-o", "gains.svg"): "gains.svg: ",
        ("-o", "matrix.xlsx"): "matrix.xlsx: ",
        ("-o", "matrix.tex"): "matrix.tex: ",
        ("scores", "-o", "scores.json"): "scores.json: ",
        (
            "searches",
            "-o",
            "s.db",
        ): "s.db: 2 searches; look at them: optuna-dashboard sqlite:///s.d",
        ("searches", "-o", "s.log"): "optuna-dashboard s.log",
        ("checkpoint", "tagging", "out"): "out: supersense, seed 0, for tagging",
        (
            "checkpoint",
            "tagging",
            "--store",
            "runs/tiny",
            "-o",
            "again",
        ): "again: supersense, seed 0",
    }.items():
        assert sweeper("export", *words) == 0, words
        assert said in capsys.readouterr().err, words
    assert (
        "<svg" in Path("gains.svg").read_text() and r"\toprule" in Path("matrix.tex").read_text()
    )
    assert len(json.loads(Path("scores.json").read_text())) == 4 * 5
    assert (Path("out") / "model.safetensors").is_file()
    for wrong, why in {
        ("checkpoint", "tagging"): "`sweeper export checkpoint TARGET FOLDER`",
        ("checkpoint", "tagging", "new", "--public"): "give `--push-to-hub OWNER/NAME` with it",
        ("scores", "--push-to-hub", "me/x"): "goes with `sweeper export checkpoint`",
        ("searches",): "Give `--output FILE.db`",
        ("matrix", "--width", "5"): "`--width` is that of a figure (png, svg, pdf), not csv",
        ("-o", "x.png", "--width", "1"): "3 to 100 inches wide; you asked for 1",
        ("-o", "x.png", "--aggregate", "xtreme"): "Figures are of the matrix alone",
        ("scores", "-o", "x.png"): "x.png is named as if it were png",
        ("searches", "-o", "x.csv"): "searches is exported as sqlite, journal, and x.csv is named",
    }.items():
        assert sweeper("export", *wrong) == 1, wrong
        assert why in capsys.readouterr().err, wrong
    assert not Path("new").exists()


def test_averages_of_a_benchmark(folder: Path, capsys: Capture) -> None:
    write_data(folder / "data")
    of = made_study(folder / "data", targets={"tatoeba": {"languages": ["fi"]}})
    Predicted(Path("runs/made"), of, folder / "prepared").run()
    assert sweeper("export", "--aggregate", "xtreme") == 0
    assert capsys.readouterr().out.startswith("study,benchmark,intermediate,average,value,")
    for words in (
        ("matrix", "--value", "gain"),
        ("export", "scores"),
        ("export", "--by", "language"),
    ):
        assert sweeper(*words, "--aggregate", "xtreme") == 1
        assert "The averages of xtreme are of scores" in capsys.readouterr().err
    World(Path("runs/tiny")).run()
    assert sweeper("matrix", "--store", "runs/tiny", "--aggregate", "xtreme") == 1
    assert "has no target of xtreme" in capsys.readouterr().err
    assert sweeper("matrix", "--aggregate", "xtrem") == 2


def test_own_cards_are_listed_checked_and_planned(folder: Path, capsys: Capture) -> None:
    Path("cards").mkdir()
    card = {
        "name": "mine", "title": "Mine", "kind": "classification", "licence": "none",
        "labels": ["a", "b"], "splits": {"train": {"languages": ["en"], "rows": 1}},
        "sources": {"local": {"format": "tsv", "files": {"train": "mine.tsv"},
                              "columns": {"text": 0, "label": 1}}},
    }  # fmt: skip
    Path("cards/mine.yaml").write_text(json.dumps(card))
    Path("mine.tsv").write_text("x\ta\n")
    assert sweeper("tasks", "--tasks", "cards", "--data", ".") == 0
    assert "Mine: classification; intermediate; en" in capsys.readouterr().out
    assert sweeper("tasks", "check", "mine", "--tasks", "cards", "--data", ".") == 0
    assert sweeper("tasks", "--tasks", "cards", "--data", ".", "check", "mine") == 0
    Path("mine.tsv").write_text("x\ta\ny\tc\nz\tb\n")
    assert sweeper("tasks", "check", "mine", "--tasks", "cards", "--data", ".") == 1
    words = ("tasks", "check", "mine", "--tasks", "cards", "--data", ".", "--keep-going")
    capsys.readouterr()
    assert sweeper(*words) == 1
    said = capsys.readouterr().out
    assert "en: 2 rows, the card says 1" in said and "1 broken row left out" in said
    Path("mine.tsv").unlink()
    assert sweeper("tasks", "check", "mine", "--tasks", "cards", "--data", ".") == 1
    assert f"there is no {folder / 'mine.tsv'}" in "".join(capsys.readouterr().out.split("\n"))
    for words in (("tasks",), ("tasks", "check"), ("score", ".")):
        assert sweeper(*words, "--data", "nowhere") == 1
        assert f"there is no folder {folder / 'nowhere'}. Mend --data" in capsys.readouterr().err
    Path("mine.tsv").write_text("x\ta\n")
    file = write_study(folder / "tiny.yaml", intermediates={"mine": None})
    assert sweeper("plan", str(file)) == 1
    assert "unknown task 'mine'" in capsys.readouterr().err
    capsys.readouterr()
    assert sweeper("plan", str(file), "--tasks", "cards") == 0
    assert "mine missing 1" in " ".join(capsys.readouterr().out.split())


def test_errors_are_one_sentence_and_exit_with_1(folder: Path, capsys: Capture) -> None:
    World(Path("runs/tiny")).run(leave=lambda key: key.startswith("tune"))
    for words, said in {
        ("matrix", "--store", "elsewhere"): "There is no store in",
        ("matrix", "--study", "tny"): "Did you mean 'tiny'?",
        ("best", "--target", "taging"): "Did you mean 'tagging'?",
        ("best", "--target", "tagging"): "Nothing is selected yet",
        ("logs", "train/bas"): "Did you mean 'train/base'?",
        ("logs", "tune/none>tagging/seed=0/trial=0"): "has no log",
        ("plan", "dmo"): "Did you mean 'demo'?",
        ("plan", "no.yaml"): "no study file no.yaml",
        ("run", "no.yaml"): "no study file no.yaml",
        ("run", "demo", "--max-gpu-hours", "0"): "--max-gpu-hours must be a number above 0",
        ("run", "demo", "--max-gpus", "0"): "--max-gpus must be a number above 0",
        ("run", "demo", "--until", "0m"): "--until must be a moment to come",
        ("run", "demo", "--until", "soon"): "--until takes a duration",
        ("run", "demo", "--rows", "surfase"): "Did you mean 'surface'?",
        ("plan", "demo", "--columns", "none"): "demo has no column 'none'.",
        ("plan", "demo", "--only", "train"): "No job of demo is in --only train.",
        ("plan", "demo", "--only", ""): "--only is empty. Name what is wanted",
        ("run", "demo", "--store", ""): "--store is empty. Name a folder or a bucket",
        ("matrix", "--store", ""): "--store is empty. Name a folder or a bucket",
        ("run", "demo", "--rows", ""): "--rows is empty. Name what is wanted",
        ("plan", "demo", "--columns", " ,"): "--columns is empty. Name what is wanted",
        ("run", "demo", "--jobs-per-gpu", "0"): "--jobs-per-gpu must be a number above 0",
    }.items():
        assert sweeper(*words) == 1, words
        err = capsys.readouterr().err
        assert err.startswith("error: ") and said in err, words


def test_wrong_usage_exits_with_2(folder: Path) -> None:
    assert sweeper("frobnicate") == 2
    assert sweeper("plan") == 2
    assert sweeper("matrix", "--value", "money") == 2
    assert sweeper("--help") == 0


def test_the_store_is_the_only_one_below_runs(folder: Path, capsys: Capture) -> None:
    assert sweeper("matrix") == 1
    assert "There is no store below" in capsys.readouterr().err
    Path("runs/notes").mkdir(parents=True)
    World(Path("runs/one"))
    assert sweeper("matrix") == 0
    World(Path("runs/two"))
    assert sweeper("matrix") == 1
    assert "name one by `--store`: runs/one, runs/two" in capsys.readouterr().err
    # A study's own store goes before the question which.
    World(Path("runs/tiny"))
    assert sweeper("matrix", "--study", "tiny") == 0
    assert sweeper("status", "tiny") == 0


def test_a_store_without_its_option_is_refused_with_the_option(
    folder: Path, capsys: Capture
) -> None:
    World(Path("runs/tiny"))
    for words in (
        ("matrix",), ("best", "--target", "tagging"), ("show", "rank"), ("sql", "select 1"),
        ("gc", "--yes"), ("report",), ("store", "verify"), ("why", "train/base"),
        ("export",), ("export", "matrix"), ("export", "checkpoint", "tagging", "out"),
        ("status",), ("stop",),
    ):  # fmt: skip
        assert sweeper(*words, "s3://b/x") in (1, 2)
        said = " ".join(capsys.readouterr().err.split())
        assert "A store is named by an option: `--store s3://b/x`." in said, words


def test_words_too_many_of_a_command_without_a_store_are_refused(
    folder: Path, capsys: Capture
) -> None:
    assert sweeper("score", "one", "two", "three") == 2
    said = capsys.readouterr().err
    assert "Words too many: two three." in said and "--store" not in said


def test_plan_before_and_after(folder: Path, capsys: Capture) -> None:
    file = write_study(folder / "tiny.yaml")
    assert sweeper("plan", str(file)) == 0
    assert "everything is left" in capsys.readouterr().out
    assert not Path("runs").exists()
    World(Path("runs/tiny")).run(leave=lambda key: key.startswith("score"))
    assert sweeper("plan", str(file)) == 0
    said = capsys.readouterr().out
    assert "18 are left" in said and "no more checkpoints" in said


def test_a_part_of_a_study_is_planned(folder: Path, capsys: Capture) -> None:
    file = write_study(folder / "tiny.yaml")
    words = ("plan", str(file), "--rows", "none,supersense", "--columns", "tagging")
    assert sweeper(*words) == 0
    (told,) = [line for line in capsys.readouterr().out.splitlines() if "--rows" in line]
    assert told.startswith("--rows none,supersense --columns tagging: ")
    # Nothing is trained for this one; what else the study would need is not asked for.
    assert sweeper("plan", str(file), "--rows", "none", "--columns", "demo_retrieval") == 0
    assert sweeper("plan", str(file)) == 0
    part, whole = re.findall(r"checkpoints need about (\S+)", capsys.readouterr().out)
    assert part != whole
    World(Path("runs/tiny"))
    assert sweeper(*words) == 0
    assert told in capsys.readouterr().out


def test_what_was_run_with_broken_rows_left_out_is_planned_so(
    folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_study(folder / "tiny.yaml")
    World(Path("runs/tiny"), study(keep_going=True)).run()
    assert sweeper("plan", str(file), "--keep-going") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "runs/tiny has 50 of 50 jobs; nothing is left." in said and "last run" not in said
    assert sweeper("plan", str(file)) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "has 0 of 50 jobs" in said and "see `sweeper plan --keep-going`." in said
    monkeypatch.setattr("sweeper.analysis.view.View.skipped", lambda view: {"topic/dev/qaa": 3})
    assert sweeper("matrix") == 0
    assert "3 broken rows left out\n  topic/dev/qaa: 3" in capsys.readouterr().out


def test_plan_refuses_checkpoints_that_do_not_fit(
    folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = sweep.check_disk.__globals__["shutil"]._ntuple_diskusage(10**9, 10**9, 1000)
    monkeypatch.setattr("sweeper.disk.shutil.disk_usage", lambda path: usage)
    file = write_study(folder / "tiny.yaml")
    assert sweeper("plan", str(file)) == 1
    assert "The checkpoints of tiny need" in capsys.readouterr().err
    # What is done needs no room any more.
    World(Path("runs/tiny")).run()
    assert sweeper("plan", str(file)) == 0
    assert sweeper("run", str(file)) == 0


def test_run_on_a_finished_store_trains_nothing_and_prints_the_same(
    folder: Path, capsys: Capture
) -> None:
    file = write_study(folder / "tiny.yaml")
    World(Path("runs/tiny")).run()
    assert sweeper("run", str(file)) == 0
    first = capsys.readouterr()
    assert sweeper("run", str(file)) == 0
    assert capsys.readouterr().out == first.out
    assert "nothing, all was done before" in first.err
    for part in ("Zero-shot scores", "Gain over none", "Scores per language", "Best checkpoint"):
        assert part in first.out
    assert first.out.rstrip().endswith(str(folder / "runs/tiny"))


def test_a_task_that_is_left_out_is_told_in_plan_run_and_matrix(
    folder: Path, capsys: Capture
) -> None:
    rows: dict[str, Any] = {"supersense": None, "more": {"tasks": ["supersense", "surface"]}}
    file = write_study(folder / "tiny.yaml", intermediates=rows)
    store = Path("runs/tiny-without-supersense")
    World(store, without(study(intermediates=rows), ["supersense"])).run()
    words = (str(file), "--without", "supersense")
    told = "Without supersense: no row supersense, more trains on 1 of its 2 tasks."

    assert sweeper("plan", *words) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert said.startswith(f"tiny-without-supersense: {told} 2 rows: none, more more: surface")
    assert "nothing is left" in said

    assert sweeper("run", *words) == 0
    made = capsys.readouterr()
    assert f"tiny-without-supersense: {told}\n" in made.err
    assert "- more: trained on surface. " in made.out
    assert sweeper("export", "--store", str(store)) == 0
    assert capsys.readouterr().out.splitlines()[2].startswith("tiny-without-supersense,more,")

    assert sweeper("plan", str(file), "--without", "supersens") == 1
    assert "Did you mean 'supersense'?" in capsys.readouterr().err


def run_ending_with(summary: Summary, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "run", lambda *_, **__: summary)


def test_failed_jobs_make_a_run_exit_with_1_and_are_named(
    folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_study(folder / "tiny.yaml")
    broken, below = "tune/more>tagging/seed=0/trial=1", "score/more>tagging/seed=0"
    World(Path("runs/tiny")).run(fail={broken})
    ended = Summary(5, 1, {broken: "a row has no label"}, {below: broken})
    run_ending_with(ended, monkeypatch)
    assert sweeper("run", str(file)) == 1
    said = capsys.readouterr()
    assert f"error: {broken} failed: a row has no label\n  blocked by it: {below}\n" in said.err
    assert f"sweeper logs '{broken}' --store runs/tiny" in said.err
    assert "Zero-shot scores" in said.out
    assert said.err.startswith("Done now: 1 job in 1 s, 1 failed, 1 blocked.\n")


def test_a_run_of_which_every_job_failed_was_not_all_done_before(
    folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_study(folder / "tiny.yaml")
    World(Path("runs/tiny")).run(fail={"prepare/tokenizer"})
    blocked = dict.fromkeys(["train/base", "train/more"], "prepare/tokenizer")
    ended = Summary(0, 0, {"prepare/tokenizer": "the file is gone"}, blocked)
    run_ending_with(ended, monkeypatch)
    assert sweeper("run", str(file)) == 1
    assert capsys.readouterr().err.startswith("Done now: nothing, 1 failed, 2 blocked.\n")
    assert sweeper("plan", str(file)) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "all done left failed blocked" in said
    assert "runs/tiny has 0 of 50 jobs; 1 failed and 49 blocked by that." in said
    assert "`sweeper status --store runs/tiny` says why; mend that, and run again." in said
    assert "checkpoints need about" in said


@pytest.mark.parametrize(
    ("why", "code", "done", "told"),
    [
        ("stopped by SIGINT", 130, 3, "3 jobs are done, "),
        ("stopped by SIGTERM", 143, 1, "1 job is done, "),
        ("The disk is full.", 1, 3, "3 jobs are done, "),
        ("stopped by its budget of 2 slot-hours", 0, 1, "1 job is done, "),
    ],
)
def test_a_stopped_run_says_how_to_go_on(
    folder: Path,
    capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
    why: str,
    code: int,
    done: int,
    told: str,
) -> None:
    file = write_study(folder / "tiny.yaml")
    World(Path("runs/tiny"))
    run_ending_with(Summary(done, done, stopped=why), monkeypatch)
    assert sweeper("run", str(file)) == code
    said = capsys.readouterr().err
    assert said.startswith(f"{why}: {told}") and "The same command goes on" in said


def test_a_second_ctrl_c_exits_with_130(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: Any, **__: Any) -> Summary:
        raise KeyboardInterrupt

    monkeypatch.setattr(sweep, "run", killed)
    assert sweeper("run", str(write_study(folder / "tiny.yaml"))) == 130


def test_the_order_of_the_study_survives_the_store(folder: Path, capsys: Capture) -> None:
    rows = {name: {"tasks": ["surface"]} for name in ("zebra", "ant", "monkey")}
    World(Path("runs/tiny"), study(intermediates=rows))
    assert sweeper("matrix") == 0
    said = capsys.readouterr().out
    assert said.index("none") < said.index("zebra") < said.index("ant") < said.index("monkey")


HEAVY = ("torch", "ray", "transformers", "datasets", "optuna")


@pytest.mark.parametrize(
    ("words", "unwanted"),
    [
        (["--help"], (*HEAVY, "pandas", "pyarrow", "numpy", "rich")),
        (["plan", "demo"], (*HEAVY, "pandas")),
        (["status"], (*HEAVY, "pandas")),
        (["why", "train/base"], (*HEAVY, "pandas")),
        (["best"], HEAVY),
        (["matrix"], HEAVY),
        (["tasks"], (*HEAVY, "pandas")),
    ],
)
def test_commands_import_nothing_heavy(
    tmp_path: Path, words: list[str], unwanted: tuple[str, ...]
) -> None:
    World(tmp_path / "runs/tiny", study(seeds=[0])).run()
    code = (
        "import sys; from sweeper.cli import main\n"
        "try: main()\n"
        "finally: print('\\nloaded', *sys.modules, file=sys.stderr)"
    )
    env = {name: value for name, value in os.environ.items() if name != "SWEEPER_DATA"}
    found = subprocess.run(
        [sys.executable, "-c", code, *words],
        cwd=tmp_path, env=env, capture_output=True, text=True,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    loaded = set(found.stderr.rpartition("\nloaded ")[2].split())
    assert not loaded & set(unwanted)


def test_the_module_is_a_command_too(tmp_path: Path) -> None:
    found = subprocess.run(
        [sys.executable, "-m", "sweeper", "--help"], capture_output=True, text=True, cwd=tmp_path
    )
    assert found.returncode == 0 and "plan" in found.stdout


def test_a_snapshot_that_cannot_be_read_is_one_error(folder: Path, capsys: Capture) -> None:
    World(Path("runs/tiny"))
    snapshot = Path("runs/tiny/studies/tiny/000000.json")
    snapshot.write_text(json.dumps({**json.loads(snapshot.read_text()), "study": {}}))
    assert sweeper("matrix") == 1
    assert "The snapshot of 'tiny'" in capsys.readouterr().err
