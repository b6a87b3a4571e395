"""The study of real files in a small size: real readers, a real encoder, true scores."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sweeper import Store, Study
from sweeper.study import find_study
from tests.end_to_end.conftest import sweeper

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("SWEEPER_DATA", ROOT.parent / "shared" / "data"))


def small(folder: Path) -> Path:
    """local_files.yaml with fewer rows of everything, one seed and one rate."""
    source = find_study("local_files")
    base = (source.parent / (Study.load(source).base.model or "")).resolve()
    if not (DATA / "xnli").is_dir() or not base.is_dir():
        pytest.skip(f"needs XTREME's files in {DATA} (set SWEEPER_DATA) and the model in {base}")
    text = source.read_text().replace("seeds: [0, 1]", "seeds: [0]")
    lines = [line for line in text.splitlines() if not line.startswith(("limits:", "  model:"))]
    text = "\n".join(lines).replace("base:", f"base:\n  model: {base}")
    text = text.replace("[1e-4, 5e-4]", "[5e-4]").replace("[5e-4, 2e-3]", "[2e-3]")
    text = text.replace("epochs: 2", "epochs: 1").replace("epochs: 3", "epochs: 1")
    study = folder / "small.yaml"
    study.write_text(text + "\nlimits: {train: 320, dev: 40, test: 30}\n")
    return study


@pytest.mark.usefixtures("one_core")
def test_the_study_of_real_files_runs_and_its_scores_are_true(tmp_path: Path) -> None:
    study = small(tmp_path)
    store = tmp_path / "store"
    env = {**os.environ, "SWEEPER_DATA": str(DATA)}
    ran = sweeper("run", study, "--store", store, env=env)
    assert ran.returncode == 0, ran.stdout + ran.stderr

    opened = Store(store)
    assert opened.matrix().notna().all().all()
    scores = opened.scores()
    assert (scores.groupby("target")["language"].nunique() >= 10).all()
    assert (scores["n"] == 30).sum() > 0

    # MNLI before XNLI and UDPOS before UDPOS repeat the training task's data: said in every score.
    flagged = scores[scores["overlap"].str.contains("same data")]
    assert set(flagged["intermediate"] + ">" + flagged["target"]) == {
        "mnli>xnli", "mixture>xnli", "udpos>udpos", "mixture>udpos",
    }  # fmt: skip

    # The stored score is the share of the stored predictions that are right.
    for (_, language), part in opened.examples(target="xnli", intermediate="none").groupby(
        ["seed", "language"]
    ):
        stored = scores[
            (scores["target"] == "xnli")
            & (scores["intermediate"] == "none")
            & (scores["language"] == language)
        ]["value"].item()
        assert stored == pytest.approx(100 * (part["gold"] == part["predicted"]).mean())
        gold = [row.split("\t")[2] for row in first_rows(f"xnli/test-{language}.tsv", 30)]
        assert list(part.sort_values("id", key=lambda ids: ids.astype(int))["gold"]) == gold


def first_rows(name: str, count: int) -> list[str]:
    with (DATA / name).open(encoding="utf-8") as lines:
        return [next(lines).rstrip("\n") for _ in range(count)]
