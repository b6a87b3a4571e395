"""Every command that prints a table has `--json`: one document, with what the table shows."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from analysis.world import World, study
from test_cli import Capture, sweeper


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SWEEPER_DATA", raising=False)
    return tmp_path


def told(capsys: Capture, *words: str, code: int = 0) -> Any:
    """What a command prints with `--json`, which is strict JSON: no NaN."""
    assert sweeper(*words, "--json") == code, words
    refused = {"parse_constant": lambda name: pytest.fail(f"{name} is no JSON")}
    return json.loads(capsys.readouterr().out, **refused)


def test_a_finished_store_as_json(folder: Path, capsys: Capture) -> None:
    World(Path("runs/tiny")).run()
    (one,) = told(capsys, "status")["studies"]
    assert one["study"] == "tiny" and one["complete"] and one["jobs"]["score"] == {"done": 18}
    where = told(capsys, "status", "--where")
    assert where["slots"] == 1 and where["total"] == pytest.approx(where["wall"])
    made = told(capsys, "matrix")
    cell = {(c["intermediate"], c["target"]): c for c in made["cells"]}["supersense", "tagging"]
    assert cell["value"] == 58.0 and made["complete"] and made["notes"]
    assert told(capsys, "matrix", "--value", "gain")["cells"][0]["kind"] == "gain"
    by_target = {one["target"]: one for one in told(capsys, "best")}
    assert by_target["tagging"]["intermediate"] == "supersense" and by_target["tagging"]["address"]
    why = told(capsys, "why", "score/none>tagging/seed=0")
    assert why["state"] == "done" and set(why["needs"].values()) == {"done"} and why["lines"]
    rows = told(capsys, "sql", "select count(*) as n, avg(value) as v from scores")
    assert rows[0]["n"] > 0 and 0 < rows[0]["v"] < 100
    # The made-up scores say of more examples than there are.
    assert told(capsys, "store", "verify", code=1)["counts"]["markers"] == 48


def test_what_failed_as_json(folder: Path, capsys: Capture) -> None:
    world = World(Path("runs/tiny"), study(seeds=[0])).run(fail={"train/supersense/seed=0"})
    (one,) = told(capsys, "status")["studies"]
    assert one["failed"] == {"train/supersense/seed=0": "a row has no label"}
    assert not one["complete"] and len(one["blocked"]) == len(world.progress.blocked())
    cells = {(c["intermediate"], c["target"]): c for c in told(capsys, "matrix")["cells"]}
    assert cells["supersense", "tagging"]["value"] is None
    # A row without a score has no best checkpoint, and is left out.
    assert told(capsys, "best", "--intermediate", "supersense") == []


def test_tasks_as_json(folder: Path, capsys: Capture) -> None:
    cards = {one["task"]: one for one in told(capsys, "tasks")}
    assert cards["xnli"]["rows"]["test"]["sw"] == 5010 and cards["mnli"]["role"] == "intermediate"
    checked = told(capsys, "tasks", "check", "topic")
    assert checked["good"] and {unit["language"] for unit in checked["units"]} >= {"qaa", "qae"}
    absent = told(capsys, "tasks", "check", "ccg", code=1)
    assert not absent["good"]


def test_a_watch_is_no_document(folder: Path, capsys: Capture) -> None:
    World(Path("runs/tiny"), study(seeds=[0]))
    assert sweeper("status", "--watch", "--json") == 1
    assert "ask `--json` again" in capsys.readouterr().err


def test_the_shell_completes_commands_and_options() -> None:
    code = "import sys; sys.argv = ['sweeper']; from sweeper.cli import main; main()"
    for words, said in {"sweeper mat": "matrix", "sweeper plan --max-c": "--max-cost"}.items():
        asked = {"COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
        env = {**os.environ, **asked, "_SWEEPER_COMPLETE": "complete_bash"}
        found = subprocess.run(
            [sys.executable, "-c", code], env=env, capture_output=True, text=True
        )
        assert found.stdout.split() == [said], found.stderr
