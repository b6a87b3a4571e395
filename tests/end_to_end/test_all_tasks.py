"""local_all in a very small size: every task whose files are there, every kind, every metric."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from sweeper import Store, Study, yamlfile
from sweeper.analysis.view import View
from sweeper.report.submission import export_predictions
from sweeper.report.submitted import score_folder
from sweeper.study import find_study
from sweeper.tasks.card import shipped_cards
from tests.end_to_end.conftest import sweeper

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("SWEEPER_DATA", ROOT.parent / "shared" / "data"))

TAGS = {"f1", "precision", "recall", "accuracy"}
QA = {"mean_em_f1", "exact_match", "f1"}
MINING = {"f1", "precision", "recall", "threshold"}
RANKING = {"map@20", "mrr@20"}
METRICS = {
    "xnli": {"accuracy"},
    "pawsx": {"accuracy"},
    "udpos": TAGS,
    "panx": TAGS,
    "squad_v2_part": {*QA, "best_exact", "best_f1"},
    "xquad": QA,
    "mlqa": QA,
    "tydiqa": QA,
    "xcopa": {"accuracy"},
    "bucc2018": {*MINING, *(f"{name}@14/24" for name in MINING)},
    "tatoeba": {"accuracy", "xsim"},  # its representation is 14/24 itself
    "lareqa": {*RANKING, *(f"{name}@14/24" for name in RANKING)},
}
"""Target -> the metrics of each of its scores."""


def small(folder: Path) -> Path:
    """local_all with few examples and, of its single-task rows, MNLI alone.

    The mixture trains every other intermediate task.
    """
    source = find_study("local_all")
    base = (source.parent / (Study.load(source).base.model or "")).resolve()
    needed = [DATA / name for name in ("xnli", "bucc2018", "lareqa", "squad/v1.1/derived")]
    if not base.is_dir() or not all(path.is_dir() for path in needed):
        pytest.skip(f"needs XTREME's files in {DATA} (set SWEEPER_DATA) and the model in {base}")
    data: Any = yamlfile.load(source)[0]
    data["base"] = {"model": str(base)}
    data["tasks_path"] = str(source.parent / data["tasks_path"])
    data["intermediates"] = {name: data["intermediates"][name] for name in ("mnli", "mixture")}
    data["limits"] = {"train": 32, "dev": 8, "test": 8}
    data["training"] = {**data["training"], "max_length": 96}
    study = folder / "small.yaml"
    study.write_text(json.dumps(data))  # JSON is YAML
    return study


@pytest.mark.usefixtures("one_core")
def test_every_task_whose_files_are_there_runs_and_is_scored(tmp_path: Path) -> None:
    study, store = small(tmp_path), tmp_path / "store"
    ran = sweeper("run", study, "--store", store, env={**os.environ, "SWEEPER_DATA": str(DATA)})
    assert ran.returncode == 0, ran.stdout + ran.stderr

    opened = Store(store)
    assert list(opened.matrix().index) == ["none", "mnli", "mixture"]
    assert list(opened.matrix().columns) == list(METRICS)
    # Of an English task there is nothing zero-shot to show: it has scores, and no cell's mean.
    assert opened.matrix().drop(columns="squad_v2_part").notna().all().all()
    view = opened.view()
    assert view.progress.done == set(view.plan.jobs)
    kinds = {view.plan.cards[name].kind for name in (*METRICS, "hellaswag", "qqp")}
    assert kinds == {card.kind for card in shipped_cards().values()} - {"masked_lm"}

    scores = view.scores(metric="all")
    for (_, target, language), part in scores.groupby(["intermediate", "target", "language"]):
        assert set(part["metric"]) == METRICS[target], (target, language)
        assert list(part["main"]).count(True) == 1
        assert (part["n"] == 8).all(), (target, language)
    percent = scores[~scores["metric"].str.startswith("threshold")]["value"]
    assert percent.between(0, 100).all()

    # 14/24 with mean pooling stands beside whatever representation a target has.
    beside = scores[scores["metric"].str.endswith("@14/24")]
    assert set(beside["target"]) == {"bucc2018", "lareqa"}
    assert not beside["main"].any()
    for target, said in (("bucc2018", beside), ("tatoeba", scores)):
        rows = said[said["target"] == target]
        how = {(one["layer"], one["pooling"]) for one in map(json.loads, rows["representation"])}
        assert how == {(14 / 24, "mean")}

    check_flags(scores[scores["main"].astype(bool)])
    check_rankings(view, scores, tmp_path / "predictions")


def check_rankings(view: View, scores: Any, folder: Path) -> None:
    """What the worker kept of LAReQA scores, as a submission, what the worker made of it."""
    seed = view.plan.study.seeds[0]
    export_predictions(view, folder, targets=["lareqa"], intermediate="mnli", seed=seed)
    stored = scores[(scores["target"] == "lareqa") & (scores["intermediate"] == "mnli")]
    stored = stored[(stored["seed"] == seed) & stored["metric"].isin(RANKING)]
    rows = stored[["language", "metric", "value"]].itertuples(index=False, name=None)
    wanted = {(language, metric): value for language, metric, value in rows}
    scored = score_folder(folder, shipped_cards(), DATA).rows()
    assert {(row["language"], row["metric"]): row["value"] for row in scored} == wanted


def check_flags(scores: Any) -> None:
    """What a row or a selection has in common with a target is said in every score."""

    def flagged(text: str) -> set[str]:
        part = scores[scores["overlap"].str.contains(text)]
        return set(part["intermediate"] + ">" + part["target"])

    trained = set(METRICS) - {"bucc2018", "tatoeba", "lareqa"}
    assert flagged("same data as the training task") == {
        "mnli>xnli", *(f"mixture>{target}" for target in trained)
    }  # fmt: skip
    rows = ("none", "mnli", "mixture")
    assert flagged("selected on squad_part/dev") == {f"{row}>xquad" for row in rows}
    assert flagged("same documents: trained on") == {
        "mixture>lareqa", *(f"{row}>xquad" for row in rows)
    }  # fmt: skip
    assert not flagged("^selected on|; selected on|same examples|oracle")
