"""Writes the report: gathers the answers of one study and puts them into the page."""

from __future__ import annotations

import base64
import gzip
import json
import math
import os
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeper.analysis.averaging import transfer
from sweeper.analysis.matrix import TransferMatrix
from sweeper.analysis.view import View
from sweeper.progress import DONE
from sweeper.report.cells import notes, title
from sweeper.report.export import FOR_MACHINES, export
from sweeper.report.watching import Watched
from sweeper.report.webpage import figures, sweeps

if TYPE_CHECKING:
    import pandas as pd

REFRESH_SECONDS = 10
"""How often a page of a running sweep is written anew, and reads itself anew."""


def write(view: View, path: Path, *, live: bool = False) -> None:
    """Write a study's report to a file, which is replaced at once and never half there.

    Args:
        view: The study.
        path: The HTML file.
        live: Whether the page is to reload itself, since another will take its place.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(render(view, live=live), encoding="utf-8")
    draft.replace(path)


def follow(view: View, path: Path, wait: Callable[[float], None]) -> None:
    """Write a sweep's report anew until nobody is at work on it; then once more, for good.

    Args:
        view: The study.
        path: The HTML file.
        wait: Waits for some seconds.
    """
    watched = Watched(view.files, view.plan.study.name)
    while not watched.over:
        write(watched.view, path, live=True)
        wait(REFRESH_SECONDS)
        watched.look()
    write(watched.view, path)


def render(view: View, *, live: bool = False) -> str:
    """A study's report as one HTML document that needs no network."""
    from jinja2 import Environment, PackageLoader
    from plotly.offline import get_plotlyjs

    page = Environment(
        loader=PackageLoader("sweeper.report", "webpage"), autoescape=True, trim_blocks=True
    )
    return page.get_template("page.html").render(
        **_said(view),
        plotly=get_plotlyjs(),
        data=_json(_drawn(view)),
        files=_json(_files(view)),
        refresh=REFRESH_SECONDS if live else None,
    )


def _json(data: Any) -> str:
    """JSON for a script element, which no text in it can end."""
    text = json.dumps(_finite(data), separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _finite(data: Any) -> Any:
    """Data in which what is no number is null, for JSON has no NaN."""
    if isinstance(data, dict):
        return {name: _finite(value) for name, value in data.items()}
    if isinstance(data, list | tuple):
        return [_finite(value) for value in data]
    if isinstance(data, float) and not math.isfinite(data):
        return None
    return data.item() if hasattr(data, "item") else data


# ---- what is said -----------------------------------------------------------------------------


def _said(view: View) -> dict[str, Any]:
    """What the page's text says."""
    plan, progress = view.plan, view.progress
    study = plan.study
    matrix = transfer(view)
    states: dict[str, int] = {}
    for cell in matrix.cells.values():
        states[cell.state] = states.get(cell.state, 0) + 1
    return {
        "study": study.name,
        "description": study.description or "",
        "made": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "done": len(progress.done),
        "jobs": len(plan.jobs),
        "complete": matrix.complete and not progress.left,
        "states": {state: count for state, count in sorted(states.items()) if state != DONE},
        "heading": {value: title(transfer(view, value)) for value in ("score", "gain")},
        "notes": notes(matrix),
        "failures": [{"job": job, "why": why} for job, why in sorted(progress.failures.items())],
        "blocked": len(progress.blocked()),
        "provenance": _provenance(view),
        "source": study.model_dump_json(exclude_unset=True, indent=2),
    }


def _provenance(view: View) -> list[tuple[str, str]]:
    """What the scores rest on, by name."""
    resolved = view.progress.addressing.resolved
    rows = view.trials()
    devices = sorted(set(rows["device"].dropna())) if len(rows) else []
    versions = sorted(set(rows["versions"].dropna())) if len(rows) else []
    base = (
        json.dumps(resolved.base["ref"], sort_keys=True) if resolved.base else "made by this study"
    )
    return [
        ("base encoder", base),
        ("seeds", ", ".join(map(str, view.plan.study.seeds))),
        ("devices", ", ".join(devices) or "none yet"),
        *(
            ("libraries", ", ".join(f"{k} {v}" for k, v in json.loads(one).items()))
            for one in versions
        ),
        ("store", view.files.address),
        ("sweeper", version("sweeper")),
    ]


# ---- what is drawn ----------------------------------------------------------------------------


def _drawn(view: View) -> dict[str, Any]:
    """Figure -> choice -> what Plotly draws."""
    look = figures.styles(view.plan.rows)
    trials: list[dict[str, Any]] = view.trials().to_dict("records")  # type: ignore[assignment]
    line, note = sweeps.timeline(trials, view.plan)
    bars, spent = sweeps.cost(trials, view.plan.rows)
    of_language = transfer(view, "score", "language")
    return {
        "axes": [["task", "targets"], ["language", "languages of a target"]],
        "matrix": _matrices(view),
        "languages": {
            target: figures.languages(_only(of_language, target), look)
            for target in view.plan.columns
        },
        "curves": _curves(view, look),
        "flow": {"": sweeps.flow(view.plan, view.progress)},
        "timeline": {"": line},
        "cost": {"": bars},
        "said": {"timeline": note, "cost": spent},
    }


def _matrices(view: View) -> dict[str, Any]:
    """What the two choices and the target say, joined by bars -> heat map."""
    chosen = _chosen(view)
    found = {}
    for value in ("score", "gain"):
        found[f"{value}|task"] = figures.heat_map(transfer(view, value), chosen)
        by_language = transfer(view, value, "language")
        for target in view.plan.columns:
            found[f"{value}|language|{target}"] = figures.heat_map(
                _only(by_language, target), chosen
            )
    return found


def _only(matrix: TransferMatrix, target: str) -> TransferMatrix:
    """The columns of one target."""
    from dataclasses import replace

    return replace(matrix, columns=tuple(c for c in matrix.columns if c.target == target))


def _chosen(view: View) -> dict[tuple[str, str], str]:
    """(row, target) -> what each seed's search chose."""
    addressing = view.progress.addressing
    found: dict[tuple[str, str], list[str]] = {}
    for cell in view.plan.cells:
        name = view.plan.jobs[cell.score].declared["checkpoint"].get("search")
        won = (
            name
            and cell.score in view.progress.done
            and addressing.winner(view.plan.searches[name], view.plan.selection_of(cell.target))
        )
        if won:
            job, best = won
            settings = addressing.parameters(job) or {}
            told = ", ".join(
                f"{k} {v:g}" if isinstance(v, float) else f"{k} {v}" for k, v in settings.items()
            )
            found.setdefault((cell.intermediate, cell.target), []).append(
                f"seed {cell.seed}: {told or 'as given'}, epoch {best['epoch']}"
            )
    return {place: "; ".join(several) for place, several in found.items()}


def _curves(view: View, look: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Training task -> dev scores over learning rates, of its first selection split."""
    addressing = view.progress.addressing
    points: dict[str, list[dict[str, Any]]] = {}
    metrics: dict[str, str] = {}
    for search in view.plan.searches.values():
        split = search.selections[0]
        for job, best in addressing.ranking(search, split):
            metrics[search.training_task] = f"{best['metric']} on {split}"
            points.setdefault(search.training_task, []).append(
                {
                    "row": search.intermediate,
                    "seed": search.seed,
                    "epoch": best["epoch"],
                    "rate": addressing.training(job)["learning_rate"],
                    "value": best["value"],
                }
            )
    return {task: figures.curves(found, metrics[task], look) for task, found in points.items()}


# ---- what can be downloaded -------------------------------------------------------------------


def _files(view: View) -> dict[str, str]:
    """File name -> base64 of its gzipped CSV."""
    made: dict[str, TransferMatrix | pd.DataFrame] = {
        "scores.csv": _read(view.scores()),
        "trials.csv": _read(view.trials()),
    }
    for value in ("score", "gain"):
        for by in ("task", "language"):
            made[f"matrix_{value}_by_{by}.csv"] = transfer(view, value, by)
    return {
        name: base64.b64encode(gzip.compress(export(one, "csv"), mtime=0)).decode()
        for name, one in made.items()
    }


def _read(frame: pd.DataFrame) -> pd.DataFrame:
    """A table without the columns that no person reads; hashes do not compress."""
    return frame.drop(columns=[name for name in (*FOR_MACHINES, "made_from") if name in frame])
