"""A study to begin with: it validates, plans, and says what its parts are for."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from test_cli import Capture, sweeper

from sweeper.errors import StudyError
from sweeper.planning import plan
from sweeper.report.newstudy import Answers, rows_of, targets_of, write_study
from sweeper.study import Study
from sweeper.tasks.card import shipped_cards

CARDS = shipped_cards()


def test_what_is_asked_for_is_in_the_study(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    answers = Answers(
        name="mine", base="some folder/{a}: #b", rows=("mnli", "squad_v1"), seeds=2,
        targets=("xnli", "xquad", "tatoeba"), rates=(1e-5, 3e-5), limit=500,
    )  # fmt: skip
    planned = write_study(path, answers, CARDS)
    study = Study.load(path)
    assert planned.rows == ["none", "mnli", "squad_v1"] and study.seeds == (0, 1)
    assert study.base.model == "some folder/{a}: #b"
    assert study.spaces["mnli"].search == {"learning_rate": (1e-5, 3e-5)}
    assert study.spaces["squad_v1"].training.max_length == 384  # spans need the room
    assert study.intermediates["squad_v1"].stages[0].training.max_length == 384
    assert study.limits.train == 500 and study.limits.dev == 50
    comments = [line for line in path.read_text().splitlines() if line.startswith("#")]
    assert len(comments) >= 8 and max(map(len, comments)) < 100


def test_own_cards_come_with_the_line_that_names_their_data(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    write_study(path, Answers("mine", targets=("xnli",), tasks=tmp_path), CARDS)
    assert Study.load(path).tasks_path == str(tmp_path)
    path.write_text(path.read_text().replace("# data: data", "data: data"))
    assert Study.load(path).data == "data"


@pytest.mark.parametrize("target", targets_of(CARDS))
def test_every_target_plans_alone(target: str, tmp_path: Path) -> None:
    planned = write_study(tmp_path / "one.yaml", Answers("one", targets=(target,)), CARDS)
    assert planned.columns == [target] and planned.cells


def test_all_rows_and_targets_plan_together(tmp_path: Path) -> None:
    targets = [name for name in targets_of(CARDS) if name not in ("lareqa", "mewsli_x")]
    answers = Answers("all", rows=tuple(rows_of(CARDS)), targets=tuple(targets), limit=10)
    planned = write_study(tmp_path / "all.yaml", answers, CARDS)
    assert len(planned.cells) == 3 * len(planned.rows) * len(targets)
    assert plan(Study.load(tmp_path / "all.yaml")).jobs.keys() == planned.jobs.keys()


def test_what_cannot_be_planned_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "no.yaml"
    wrong = {
        "'xnil' cannot be a target. Did you mean 'xnli'?": Answers("no", targets=("xnil",)),
        "'tatoeba' cannot be a row.": Answers("no", rows=("tatoeba",), targets=("xnli",)),
        "A study needs a target": Answers("no"),
        "A study needs a seed": Answers("no", targets=("xnli",), seeds=0),
        "no.yaml:[0-9]+: name: ": Answers("No Such Name", targets=("xnli",)),
        "no.yaml:[0-9]+: .*learning_rate": Answers("no", targets=("xnli",), rates=(-1.0,)),
    }
    for said, answers in wrong.items():
        with pytest.raises(StudyError, match=said):
            write_study(path, answers, CARDS)
        assert not path.exists(), said
    path.write_text("mine")
    with pytest.raises(StudyError, match="is there already"):
        write_study(path, Answers("no", targets=("xnli",)), CARDS)
    assert path.read_text() == "mine"


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["new", "a.yaml", "--row", "mnli", "--target", "xnli", "--rates", "1e-5,3e-5"]
    assert sweeper(*words) == 0
    assert "a.yaml: 2 rows with the control, 1 target, " in capsys.readouterr().out
    assert sweeper("plan", "a.yaml") in (0, 1)  # 1: a checkpoint of it may be too large for here
    assert "a\n  2 rows: none, mnli" in capsys.readouterr().out
    assert sweeper("new", "b.yaml", "--target", "xnli", "--rates", "high") == 1
    assert "`--rates` takes numbers" in capsys.readouterr().err


class Terminal(io.StringIO):
    """What a person types."""

    def isatty(self) -> bool:
        return True


def test_it_asks_on_a_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    typed = ["mnli, udpso", "mnli, udpos", "xnli panx", "xlm-roberta-base", "one", "1"]
    monkeypatch.setattr("sys.stdin", Terminal("\n".join(typed) + "\n"))
    assert sweeper("new", "asked.yaml") == 0
    said = capsys.readouterr()
    assert "There is no task 'udpso' here. Did you mean 'udpos'?" in said.out + said.err
    study = Study.load(tmp_path / "asked.yaml")
    assert list(study.intermediates) == ["mnli", "udpos"] and list(study.targets) == [
        "xnli",
        "panx",
    ]
    assert study.seeds == (0,) and study.name == "asked"
