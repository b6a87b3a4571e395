"""What stands in the report: its text, its figures, and the tables to download."""

from __future__ import annotations

import base64
import gzip
import json
import math
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from sweeper.analysis.cell import NO_DATA
from sweeper.analysis.checkpoints import checkpoints, gains
from sweeper.analysis.columns import AXES
from sweeper.analysis.kept import Answers
from sweeper.analysis.matrix import TransferMatrix
from sweeper.analysis.view import View
from sweeper.report.cells import BRACKETS, bold, notes, title
from sweeper.report.export import export, for_people
from sweeper.report.webpage import figures, sweeps
from sweeper.report.webpage.heatmap import heat_map, roomy
from sweeper.report.webpage.summary import certainty, findings
from sweeper.states import DONE, PRUNED

if TYPE_CHECKING:
    import pandas as pd

_AXES = {
    "task": "targets",
    "language": "languages of a target",
    "family": "language families of a target",
    "script": "scripts of a target",
    "category": "categories of targets",
}
"""What the columns of a matrix are, in the words of the page."""


class Content:
    """One study's answers at one moment.

    Args:
        view: The study.
    """

    def __init__(self, view: View) -> None:
        self.view = view
        self.trials = view.trials()
        self._rows: list[dict[str, Any]] = self.trials.to_dict("records")  # type: ignore[assignment]
        self._line = sweeps.timeline(self._rows, view.plan)
        kept = Answers(view.files, view.plan.study.name, view)
        self.matrices = kept.matrices()

    # -- text ----------------------------------------------------------------------------------

    def said(self) -> dict[str, Any]:
        """What the page says in words."""
        plan, progress = self.view.plan, self.view.progress
        matrix = self.matrices["score", "task"]
        states = Counter(cell.state for cell in matrix.cells.values())
        return {
            "study": plan.study.name,
            "description": plan.study.description or "",
            "made": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
            "done": len(progress.done),
            "jobs": len(plan.jobs),
            "complete": not progress.left and not progress.failures,
            "cells": len(matrix.cells),
            "states": {s: n for s, n in sorted(states.items()) if s not in (DONE, NO_DATA)},
            "findings": findings(self.matrices["gain", "task"]),
            "certainty": certainty(self.matrices["gain", "task"]),
            "brackets": BRACKETS,
            "chain": self._line.chain,
            "beside": self._beside(),
            "failures": [
                {"job": job, "why": why} for job, why in sorted(progress.failures.items())
            ],
            "blocked": len(progress.blocked()),
            "provenance": self._provenance(),
            "source": plan.study.model_dump_json(exclude_unset=True, indent=2),
        }

    def _provenance(self) -> list[tuple[str, str]]:
        """What the scores rest on, by name."""
        base = self.view.progress.addressing.resolved.base
        devices = sorted(set(self.trials["device"].dropna()))
        versions = [json.loads(one) for one in sorted(set(self.trials["versions"].dropna()))]
        return [
            ("base encoder", _words(base["ref"]) if base else "made from scratch by this study"),
            ("seeds", ", ".join(map(str, self.view.plan.study.seeds))),
            ("devices", ", ".join(devices) or "none yet"),
            *(("libraries", ", ".join(f"{k} {v}" for k, v in one.items())) for one in versions),
            ("store", self.view.files.address),
            ("sweeper", version("sweeper")),
        ]

    def _beside(self) -> list[tuple[str, str, str, str]]:
        """Target, which checkpoint beside the selected one, its gain with interval, over what."""
        if not self.view.plan.study.checkpoints:
            return []
        found = gains(checkpoints(self.view)).to_dict("records")
        return [
            (
                one["target"],
                one["checkpoint"],
                f"{one['gain']:+.2f}{_interval(one['low'], one['high'])}",
                f"rows: {one['rows']}, seeds: {one['seeds']}",
            )
            for one in found
        ]

    # -- figures -------------------------------------------------------------------------------

    def drawn(self) -> dict[str, Any]:
        """Figure -> choice -> what Plotly draws."""
        plan = self.view.plan
        look = figures.styles(plan.rows)
        bars, spent = sweeps.cost(self._rows, plan.rows)
        scores = self.matrices["score", "language"]
        return {
            "axes": [[by, _AXES[by]] for by in AXES],
            "matrix": self._heat_maps(),
            "notes": {
                f"{value}|{by}": [*notes(matrix), *bold(matrix)]
                for (value, by), matrix in self.matrices.items()
            },
            "languages": {t: figures.languages(_only(scores, t), look) for t in plan.columns},
            "curves": self._curves(look),
            "flow": {"": sweeps.flow(plan, self.view.progress)},
            "timeline": {"": self._line.figure},
            "cost": {"": bars},
            "said": {"timeline": self._line.said, "cost": spent},
        }

    def _heat_maps(self) -> dict[str, Any]:
        """Value, columns and, where they are parts of a target, that one -> heat map."""
        chosen = self._chosen()
        found = {}
        for (value, by), matrix in self.matrices.items():
            if not matrix.rows:
                continue  # gains of a study that has the control alone
            if all(column.group is None for column in matrix.columns):
                parts = {f"{value}|{by}": matrix}
            else:
                targets = dict.fromkeys(column.target for column in matrix.columns)
                parts = {f"{value}|{by}|{one}": _only(matrix, one) for one in targets}
            for name, part in parts.items():
                trained = any(c.group is not None and not c.zero_shot for c in part.columns)
                told = title(part, spread=roomy(part))
                said = f"{told}.{f' {BRACKETS}' if trained else ''}"
                found[name] = {**heat_map(part, chosen), "title": said}
        return found

    def _chosen(self) -> dict[tuple[str, str], list[str]]:
        """(row, target) -> what each seed's search chose."""
        view, addressing = self.view, self.view.progress.addressing
        found: dict[tuple[str, str], list[str]] = {}
        for cell in view.plan.cells:
            name = view.plan.jobs[cell.score].declared["checkpoint"].get("search")
            if not name or cell.score not in view.progress.done:
                continue
            won = addressing.winner(view.plan.searches[name], view.plan.selection_of(cell.target))
            if won:
                job, best = won
                settings = [f"{k} {v}" for k, v in (addressing.parameters(job) or {}).items()]
                told = ", ".join([*settings, f"epoch {best['epoch']}"])
                place = (cell.intermediate, cell.target)
                found.setdefault(place, []).append(f"seed {cell.seed}: {told}")
        return found

    def _curves(self, look: dict[str, dict[str, Any]]) -> dict[str, Any]:
        """Training task, with its selection split where it has several -> learning-rate curves."""
        addressing = self.view.progress.addressing
        points: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for search in self.view.plan.searches.values():
            for split in search.selections:
                points.setdefault((search.training_task, split), []).extend(
                    {
                        "row": search.intermediate,
                        "seed": search.seed,
                        "epoch": best["epoch"],
                        "metric": best["metric"],
                        "rate": addressing.training(job)["learning_rate"],
                        "value": best["value"],
                    }
                    for job, best in addressing.ranking(search, split)
                )
        several = Counter(task for task, _ in points)
        return {
            f"{task}, chosen on {split}" if several[task] > 1 else task: {
                **figures.curves(found, split, look),
                "said": self._without_value(task),
            }
            for (task, split), found in points.items()
            if found
        }

    def _without_value(self, task: str) -> str:
        """How many trials of a training task diverged or were pruned, at which learning rates."""
        plan, progress = self.view.plan, self.view.progress
        lost: Counter[tuple[str, float]] = Counter()
        for search in plan.searches.values():
            for key in search.trials if search.training_task == task else ():
                commit = progress.addressing.commit(key)
                status = PRUNED if key in progress.pruned else commit and commit.outcome["status"]
                if status in ("diverged", PRUNED):
                    rate = progress.addressing.training(plan.jobs[key])["learning_rate"]
                    lost[status, rate] += 1
        each = (f"{count} {status} at {rate:g}" for (status, rate), count in sorted(lost.items()))
        return f"Without a mark: {', '.join(each)}." if lost else ""

    # -- downloads -----------------------------------------------------------------------------

    def files(self) -> dict[str, str]:
        """File name -> base64 of its gzipped CSV, as `sweeper export` writes it."""
        made: dict[str, TransferMatrix | pd.DataFrame] = {
            f"matrix_{value}_by_{by}.csv": matrix for (value, by), matrix in self.matrices.items()
        }
        made |= {"scores.csv": _read(self.view.scores()), "trials.csv": _read(self.trials)}
        return {
            name: base64.b64encode(gzip.compress(export(one, "csv"), mtime=0)).decode()
            for name, one in made.items()
        }


def _interval(low: float, high: float) -> str:
    return "" if math.isnan(low) else f" [{low:+.2f}, {high:+.2f}]"


def _words(ref: Mapping[str, Any]) -> str:
    """A reference to a model or a file, by name."""
    return ", ".join(f"{name} {value}" for name, value in sorted(ref.items()))


def _only(matrix: TransferMatrix, target: str) -> TransferMatrix:
    """The columns of one target."""
    return replace(matrix, columns=tuple(c for c in matrix.columns if c.target == target))


def _read(frame: pd.DataFrame) -> pd.DataFrame:
    """A table without the columns that no person reads; hashes do not compress."""
    return for_people(frame).drop(columns="made_from", errors="ignore")
