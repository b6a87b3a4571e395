"""The data that a plan reads: where it comes from, and what is not there."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from helpers import SCRATCH, files_at, small_study
from rich.console import Console

from sweeper.errors import DataError
from sweeper.needs import Need, needs
from sweeper.planning import plan
from sweeper.report.datalist import print_data
from sweeper.resolving import resolve, resolved_offline
from sweeper.study import Study
from sweeper.tasks import sources


@pytest.fixture(autouse=True)
def no_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SWEEPER_DATA", raising=False)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """PAN-X in part, Tatoeba whole; nothing of MNLI and XNLI."""
    made = tmp_path / "data"
    for name in ("panx/train-en.tsv", "panx/test-de.tsv", "tatoeba/v1/tatoeba.deu-eng.deu"):
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).write_text("a\tO\n")
    (made / "tatoeba/v1/tatoeba.deu-eng.eng").write_text("a\n")
    return made


def study(data: Path | None, **changes: Any) -> Study:
    said: dict[str, Any] = {
        "name": "some", "intermediates": {"supersense": None}, "seeds": [0], "spaces": {},
        "targets": {
            "panx": {"languages": ["de", "fr", "fi"]}, "tatoeba": {"languages": ["de"]},
        },
        "task_limits": {"panx": {"test": 50}},
    }  # fmt: skip
    return small_study(**{**said, "data": str(data) if data else None, **changes})


def needed(of: Study) -> dict[str, Need]:
    return {need.card.name: need for need in needs(plan(of))}


def shown(of: Study) -> str:
    out = io.StringIO()
    print_data(Console(file=out, width=200), plan(of))
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def test_a_need_says_source_rows_and_every_missing_file(root: Path) -> None:
    found = needed(study(root))
    assert {name: need.source for name, need in found.items()} == {
        "demo_text": "synthetic", "supersense": "synthetic", "panx": "local", "tatoeba": "local",
    }  # fmt: skip
    panx = found["panx"]
    assert panx.parts == {"train": ("en",), "dev": ("en",), "test": ("de", "fi", "fr")}
    assert panx.missing == tuple(
        root / f"panx/{name}.tsv" for name in ("dev-en", "test-fi", "test-fr")
    )
    assert panx.counted and panx.rows == 20_000 + 10_000 + 3 * 50
    assert str(panx.absence).startswith(
        "The task 'panx' needs a file for its split 'dev' in the language 'en'; there is no "
        f"{root / 'panx/dev-en.tsv'}, and 2 more of its files are missing. Put it there"
    )
    assert found["tatoeba"].absence is None and found["tatoeba"].rows == 1000
    hub = needed(study(None))
    assert hub["panx"].source == "hub" and hub["panx"].absence is None
    r = {"udpos": {"splits": ["test_r"]}}
    lacking = needed(study(None, targets=r))["udpos"]
    assert not lacking.counted and not lacking.missing
    assert "'udpos' has no hub data for its split 'test_r'" in str(lacking.absence)


def test_a_run_names_all_that_is_missing_before_it_reads_anything(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_reading(*_: object, **__: object) -> None:
        raise AssertionError("a file was read")

    monkeypatch.setattr(sources, "resolve", no_reading)
    (root / "tatoeba/v1/tatoeba.deu-eng.eng").unlink()
    (root / "tatoeba/v1/tatoeba.fra-eng.fra").touch()
    (root / "tatoeba/v1/tatoeba.fra-eng.eng").touch()
    both = plan(study(root))
    files = files_at(tmp_path / "store")
    with pytest.raises(DataError) as caught:
        resolve(both, files)
    first, second, advice = str(caught.value).splitlines()
    assert "panx/dev-en.tsv, and 2 more of its files are missing" in first
    assert "tatoeba.deu-eng.eng. Put it there" in second
    assert "`--without panx --without tatoeba`" in advice
    assert resolved_offline(both, files) is None


def test_a_data_folder_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = files_at(tmp_path / "store")
    file = tmp_path / "s.yaml"
    file.write_text("name: x\nbase: {model: m}\ndata: dta\ntargets:\n  xnli:\n")
    with pytest.raises(DataError, match="there is no folder .*/dta") as caught:
        resolve(plan(Study.load(file)), files)
    assert str(caught.value).startswith(f"{file}:3: ")
    assert "there is no folder" in shown(Study.load(file))
    monkeypatch.setenv("SWEEPER_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match=r"^SWEEPER_DATA: .* no folder .*/nowhere"):
        resolve(plan(study(None)), files)
    resolve(plan(small_study()), files)  # all of it is made by code


def test_a_plan_has_a_line_per_task(root: Path) -> None:
    said = shown(study(root, base={"scratch": SCRATCH}))
    lines = [" ".join(line.split()) for line in said.splitlines()]
    assert "panx missing: 3 files 30,150" in lines
    assert "tatoeba files 1,000" in lines and "supersense made by code 2,000" in lines
    assert f"Missing of panx:\n  {root / 'panx/dev-en.tsv'}, and 2 more" in said
    lines = [" ".join(line.split()) for line in shown(Study.load("xtreme")).splitlines()]
    assert "ccg missing 39,604" in lines and "mnli hub 392,702" in lines
    assert "udpos hub over 45,710" in lines
    said = " ".join(lines)
    assert "ccg is read from files alone. CCGbank (LDC2005T13) needs a licence" in said
    assert "No data folder is named" in said
    assert lines[-1] == "To plan and sweep without: `--without bucc2018 --without ccg`."
    assert shown(small_study()) == "", "all of it is made by code"
