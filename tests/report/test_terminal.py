from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from analysis.world import World, study
from helpers import commit_job, files_at, outcome_of, progress_of, small_study
from rich.console import Console

from report.matrices import matrix
from sweeper import Store
from sweeper.analysis.where import where
from sweeper.disk import size
from sweeper.report.cells import listed, notes
from sweeper.report.overview import print_plan, print_results, print_status, print_where
from sweeper.report.tasklist import data_state, print_tasks, role, sizes
from sweeper.report.terminal import (
    console,
    duration,
    print_best,
    print_languages,
    print_matrix,
    print_rows,
)
from sweeper.tasks.card import shipped_cards


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("store") / "tiny").run()


@pytest.fixture
def out() -> Console:
    return console(io.StringIO())


def text(out: Console) -> str:
    assert isinstance(out.file, io.StringIO)
    return "\n".join(line.rstrip() for line in out.file.getvalue().splitlines())


def test_the_matrix_as_a_stranger_sees_it(done: World, out: Console) -> None:
    print_matrix(out, Store(done.files.address).transfer())
    assert text(out).startswith(
        """\
Zero-shot scores: mean over zero-shot languages and 3 seeds ± standard error

intermediate        tagging   demo_retrieval
────────────────────────────────────────────
none             46.0 ± 0.6             20.0
supersense       58.0 ± 1.7       27.0 ± 0.6
more           45.0 ± 0.6 †       20.0 ± 0.6

- tagging: f1 (percent) on test, mean of qab qac; chosen: trial and epoch with
"""
    )


def test_nothing_printed_is_wider_than_the_terminal_and_nothing_is_coloured(
    done: World, out: Console
) -> None:
    print_results(out, Store(done.files.address).view())
    said = text(out)
    assert "\x1b" not in said
    paths = done.files.address
    assert all(len(line) <= 80 for line in said.splitlines() if paths not in line)
    assert said.endswith(f"Store\n  {paths}")
    for title in ("Zero-shot scores", "Gain over none", "Scores per language", "Best checkpoint"):
        assert title in said


def test_many_columns_are_split_into_several_tables(done: World) -> None:
    narrow = Console(file=io.StringIO(), width=40, highlight=False)
    print_matrix(narrow, Store(done.files.address).transfer(), with_notes=False)
    lines = text(narrow).splitlines()
    assert sum(line.startswith("intermediate") for line in lines) == 2
    assert all(len(line) <= 40 for line in lines)


def test_scores_per_language_mark_the_trained_one(done: World, out: Console) -> None:
    print_languages(out, Store(done.files.address).transfer(by="language"))
    assert "tagging      (qaa)    qab    qac\n" in text(out)
    assert "none          91.0   51.0   41.0\n" in text(out)
    assert "in brackets" in text(out)


def test_a_split_that_no_table_shows_is_told(tmp_path: Path) -> None:
    targets = {"tagging": {"splits": ["test", "dev"]}, "demo_retrieval": None}
    World(tmp_path / "s", study(targets=targets, oracle=True)).run()
    wide = Console(file=io.StringIO(), width=200, highlight=False)
    print_results(wide, Store(tmp_path / "s").view())
    said = (
        "- tagging is scored on dev too, which is in no table here: see `sweeper export scores`."
    )
    assert said in text(wide) and "is scored on test too" not in text(wide)
    assert text(wide).count("in no table") == 1


def test_best_shows_path_unbroken_and_why(done: World, out: Console) -> None:
    best = Store(done.files.address).best("tagging")
    print_best(out, best)
    assert f"\n  {best.path}\n" in text(out)
    assert "tagging: supersense, seed 1; dev f1 83.00 on tagging/dev/qaa\n" in text(out)
    assert "why       supersense has the highest mean dev score" in text(out)


def test_status_names_failures_blocked_jobs_and_the_next_command(
    tmp_path: Path, out: Console
) -> None:
    broken = "tune/supersense>tagging/seed=1/trial=0"
    World(tmp_path / "s").run(fail={broken})
    print_status(out, Store(tmp_path / "s").view())
    said = text(out)
    assert f"failed: {broken}\n  a row has no label\n  1 job blocked by it\n" in said
    assert f"sweeper logs '{broken}' --store {tmp_path / 's'}" in said
    assert "Complete" not in said


def test_status_counts_the_rows_that_were_left_out(tmp_path: Path, out: Console) -> None:
    progress = progress_of(small_study(keep_going=True), files_at(tmp_path / "s"))
    skipped = {
        "prepare/tagging/train/48": {"qaa": 1200},
        "prepare/tagging/test/48": {"qab": 1, "qac": 0},
        "prepare/tokenizer": {"all": 2},
    }
    while (key := progress.take()) is not None:
        if progress.claim(key):
            made = outcome_of(progress.plan.jobs[key], progress.attempt_address(key))
            commit_job(progress, key, {**made, "skipped": skipped.get(key, {})})
    print_status(out, Store(tmp_path / "s").view())
    said = text(out)
    assert "1203 broken rows left out\n" in said
    told = [line for line in said.splitlines() if line.startswith("  ") and ": " in line]
    assert {line for line in told if "row" in line.split(": ")[1]} == {
        "  tokenizer: 2 rows", "  tagging/train/qaa: 1,200 rows", "  tagging/test/qab: 1 row",
    }  # fmt: skip


def test_status_says_nothing_of_rows_where_none_was_left_out(done: World, out: Console) -> None:
    print_status(out, Store(done.files.address).view())
    assert "left out" not in text(out)


def test_the_plan_tells_what_is_left(done: World, tmp_path: Path, out: Console) -> None:
    print_plan(out, done.plan, None, tmp_path / "new")
    print_plan(out, done.plan, done.progress, done.files.address)
    fresh, _, after = text(out).partition("Disk:")
    assert "there yet; everything is left" in " ".join(fresh.split())
    assert "  3 rows: none, supersense, more\n" in fresh
    assert "nothing is left" in " ".join(after.split()) and "no more checkpoints" in after
    assert "2 jobs are the same computation as another one" in after


def test_where_prints_every_part_and_the_engine_figures(done: World, out: Console) -> None:
    rows = Store(done.files.address).trials().to_dict("records")
    print_where(out, where(rows))  # type: ignore[arg-type]
    said = text(out)
    assert "median 0.30 s, p95 0.30 s" in said  # 0.1 s between jobs, 0.2 s to the first batch
    assert "on 1 slot\n" in said and "100.0 %" in said
    assert all(len(line) <= 80 for line in said.splitlines())


def test_tasks_tell_role_and_data(out: Console, tmp_path: Path) -> None:
    cards = shipped_cards()
    print_tasks(out, cards, None)
    assert all(len(line) <= 80 for line in text(out).splitlines())
    assert all(name in text(out) for name in cards)
    assert role(cards["mnli"]) == "intermediate"
    assert role(cards["xnli"]) == "target (from mnli)"
    assert role(cards["tatoeba"]) == "target"
    assert data_state(cards["tagging"], None) == "made by code"
    assert data_state(cards["xnli"], None) == "from the hub, facebook/xnli"
    assert data_state(cards["xnli"], tmp_path) == "from the hub, facebook/xnli"
    (tmp_path / "xnli").mkdir()
    (tmp_path / "xnli/dev-de.tsv").touch()
    state = "local files, of dev 1/15, test 0/15 languages"
    assert data_state(cards["xnli"], tmp_path) == state
    assert "LDC2005T13" in data_state(cards["ccg"], tmp_path)
    assert sizes(cards["mnli"]) == "train 392,702, dev 9,815"
    assert sizes(cards["xnli"]) == "dev 15 x 2,490, test 15 x 5,010"
    assert sizes(cards["udpos"]) == (
        "train 21,253, dev 29 x unknown (1 known: 3,974), "
        "test 33 x unknown (2 known: 47 to 20,436), test_r 5 x unknown"
    )
    assert "SWEEPER_DATA" in data_state(cards["text_lines"], None)


def test_durations_and_sizes_are_for_people() -> None:
    assert [duration(s) for s in (0.2, 59, 200, 7300, 260_000)] == [
        *("1 s", "59 s", "3 min", "2 h 2 min", "3 d 0 h")
    ]
    assert [size(n) for n in (12, 34_000, 2.5e9)] == ["12 B", "34.0 kB", "2.5 GB"]


def test_an_incomplete_run_still_shows_what_there_is(tmp_path: Path, out: Console) -> None:
    World(tmp_path / "s", study(intermediates={})).run(leave=lambda key: key.endswith("trial=1"))
    print_results(out, Store(tmp_path / "s").view())
    assert "tagging: Nothing is selected yet for tagging" in text(out)
    assert "not run" in text(out) and "Gain" not in text(out)


def test_cells_are_listed_by_rows_that_share_columns() -> None:
    cells = [("a", "x"), ("b", "x"), ("c", "x"), ("c", "y"), ("a", "x")]
    assert listed(cells) == "a, b on x; c on x, y"
    many = [(f"row{row}", f"column{row}{number}") for row in range(10) for number in range(10)]
    assert listed(many) == "100 cells"


def test_rows_of_more_columns_than_a_line_has_room_for_are_blocks(out: Console) -> None:
    names = [f"a_long_name_{number}" for number in range(6)]
    print_rows(out, pd.DataFrame([range(6), [*range(5), "x" * 70]], columns=names))
    lines = text(out).splitlines()
    assert lines[:2] == ["a_long_name_0   0", "a_long_name_1   1"]
    assert lines[6:8] == ["", "a_long_name_0   0"]
    assert lines[-2:] == [f"a_long_name_5   {'x' * 64}", " " * 16 + "x" * 6]


def test_seeds_of_a_collapse_are_counted() -> None:
    made = matrix()
    for seeds, said in (((1,), "worse on xnli (seed 1)"), ((0, 2), "worse on xnli (seeds 0, 2)")):
        cell = replace(made.cells["worse", "xnli"], collapsed=seeds)
        told = notes(replace(made, cells={**made.cells, ("worse", "xnli"): cell}))
        assert any(note.endswith(f"{said}.") for note in told)


def test_no_rows_of_many_columns_name_these(out: Console) -> None:
    names = [f"a_long_name_{number}" for number in range(6)]
    print_rows(out, pd.DataFrame(columns=names))
    assert " ".join(text(out).split()) == f"No rows, of {', '.join(names)}."


def test_rows_whose_headers_fit_are_a_table(out: Console) -> None:
    print_rows(out, pd.DataFrame({"row": ["none"], "path": ["x" * 100]}))
    assert text(out).splitlines()[0] == "row    path"
