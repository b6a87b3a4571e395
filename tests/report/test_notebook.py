"""The notebook in docs/ runs from its first cell to its last, on a store made for it."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest
from analysis.world import World, study

NOTEBOOK = Path(__file__).parents[2] / "docs" / "from_store_to_figures.ipynb"


def run(source: str, names: dict[str, Any]) -> Any:
    """What a cell shows: the value of its last expression, if it ends with one."""
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, str(NOTEBOOK), "exec"), names)
    if last is None:
        return None
    return eval(compile(ast.Expression(last.value), str(NOTEBOOK), "eval"), names)


def test_the_notebook_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    World(tmp_path / "runs" / "demo", study()).run()
    # As Jupyter does it: in the notebook's folder, beside that of the stores.
    (tmp_path / "docs").mkdir()
    monkeypatch.chdir(tmp_path / "docs")
    for name in ("STORE", "MADE"):
        monkeypatch.delenv(name, raising=False)
    cells = json.loads(NOTEBOOK.read_text())["cells"]
    names: dict[str, Any] = {}
    shown = [run("".join(c["source"]), names) for c in cells if c["cell_type"] == "code"]
    assert shown[0] == ["tiny"]
    # supersense gains 10, 12 and 14 points on tagging, see `known_score`.
    assert shown[1].loc["supersense", "tagging"] == 12.0
    assert (shown[3] == "done").all(axis=None)
    assert {path.name for path in (tmp_path / "reports").iterdir()} == {
        "gains.svg",
        "gains.tex",
        "report.html",
    }
    assert "supersense" in capsys.readouterr().out
    assert all("outputs" not in c or not c["outputs"] for c in cells), "outputs are not kept"
