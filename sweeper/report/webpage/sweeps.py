"""Figures of the sweep itself: what led to what, who worked when, and what it cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from sweeper.graph import BASE, Job, Plan
from sweeper.progress import Progress
from sweeper.report.webpage.figures import Figure, plain

KINDS = {"prepare": "#999999", "train": "#0072B2", "tune": "#E69F00", "score": "#009E73"}
_FAILED = "#D55E00"

MOST_BARS = 2000
"""Attempts that a timeline shows one by one; of more, the longest ones."""


def flow(plan: Plan, progress: Progress) -> Figure:
    """The plan's graph, its jobs grouped: base, rows, searches by training task, targets."""
    links: Counter[tuple[str, str]] = Counter()
    jobs: Counter[str] = Counter()
    done: Counter[str] = Counter()
    for key, job in plan.jobs.items():
        if job.kind == "prepare":
            continue
        group = _group(job)
        jobs[group] += 1
        done[group] += key in progress.done
        parents = {
            _group(plan.jobs[need]) for need in job.needs if plan.jobs[need].kind != "prepare"
        }
        for parent in parents or {"base model"}:
            if parent != group:
                links[parent, group] += 1
    names = list(dict.fromkeys([name for link in links for name in link]))
    place = {name: number for number, name in enumerate(names)}
    return {
        "data": [
            {
                "type": "sankey",
                "arrangement": "snap",
                "node": {
                    "label": [plain(name) for name in names],
                    "customdata": [
                        f"{done[name]} of {jobs[name]} jobs done" if jobs[name] else ""
                        for name in names
                    ],
                    "hovertemplate": "%{label}<br>%{customdata}<extra></extra>",
                    "color": [_colour(name) for name in names],
                    "pad": 14,
                    "thickness": 14,
                },
                "link": {
                    "source": [place[a] for a, _ in links],
                    "target": [place[b] for _, b in links],
                    "value": list(links.values()),
                    "color": "rgba(128,128,128,0.3)",
                    "hovertemplate": "%{source.label} → %{target.label}<br>"
                    "%{value} jobs<extra></extra>",
                },
            }
        ],
        "layout": {"height": max(320, 26 * len(names)), "minwidth": 640},
    }


def _group(job: Job) -> str:
    if job.key == BASE:
        return "base model"
    if job.kind == "train":
        return f"train {job.intermediate}"
    return f"search {job.target}" if job.kind == "tune" else f"score {job.target}"


def _colour(group: str) -> str:
    kind = {"search": "tune", "base": "train"}.get(group.split()[0], group.split()[0])
    return KINDS.get(kind, KINDS["train"])


def timeline(trials: Iterable[Mapping[str, Any]], plan: Plan) -> tuple[Figure, str]:
    """Who worked when, a line per worker; and a sentence on what is left out, if anything is."""
    rows = [row for row in trials if row["worker"]]
    shown = sorted(rows, key=lambda row: row["started"] - row["committed"])[:MOST_BARS]
    workers = {
        name: f"worker {n}" for n, name in enumerate(dict.fromkeys(r["worker"] for r in rows), 1)
    }
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for row in sorted(shown, key=lambda row: row["started"]):
        groups.setdefault("failed" if row["status"] == "failed" else row["kind"], []).append(row)
    ends: dict[str, float] = {}
    for row in rows:
        if row["status"] != "failed":
            ends[row["job"]] = max(row["committed"], ends.get(row["job"], 0.0))
    traces = [
        {
            "type": "bar",
            "orientation": "h",
            "name": kind,
            "marker": {"color": KINDS.get(kind, _FAILED)},
            "y": [workers[row["worker"]] for row in found],
            "base": [row["started"] * 1000 for row in found],
            "x": [(row["committed"] - row["started"]) * 1000 for row in found],
            "customdata": [_story(row, plan, ends) for row in found],
            "hovertemplate": "%{customdata}<extra></extra>",
        }
        for kind in (*KINDS, "failed")
        if (found := groups.get(kind))
    ]
    left = len(rows) - len(shown)
    note = f"The {MOST_BARS:,} longest of {len(rows):,} attempts." if left else ""
    layout = {
        "height": 150 + 26 * len(workers),
        "barmode": "overlay",
        "minwidth": 640,
        "xaxis": {"type": "date", "title": {"text": "UTC"}},
        "yaxis": {"type": "category", "autorange": "reversed"},
        "hovermode": "closest",
    }
    return {"data": traces, "layout": layout}, note


def _story(row: Mapping[str, Any], plan: Plan, ends: Mapping[str, float]) -> str:
    """What a job did, and whom it waited for."""
    seconds, waited = row["committed"] - row["started"], row["started"] - row["released"]
    lines = [
        f"<b>{plain(row['job'])}</b>",
        f"{plain(row['status'])} in {seconds:.1f} s, on {plain(row['worker'])}",
        f"ready {max(waited, 0):.1f} s before it began",
    ]
    job = plan.jobs.get(row["job"])
    needs = [need for need in job.needs if need in ends] if job else []
    if needs:
        last = max(needs, key=lambda need: ends[need])
        lines.append(f"the last that it waited for: {plain(last)}")
    return "<br>".join(lines)


def cost(trials: Iterable[Mapping[str, Any]], rows: list[str]) -> tuple[Figure, str]:
    """Time of workers per row and kind of job, failed attempts too; and their sum in words."""
    seconds: Counter[tuple[str, str]] = Counter()
    for row in trials:
        name = row["intermediate"] if row["intermediate"] in rows else "shared"
        seconds[name, row["kind"]] += row["committed"] - row["started"]
    unit, length = ("hours", 3600.0) if seconds.total() > 3600 else ("minutes", 60.0)
    names = [*rows, "shared"]
    traces = [
        {
            "type": "bar",
            "orientation": "h",
            "name": kind,
            "marker": {"color": colour},
            "y": [plain(name) for name in names],
            "x": [seconds[name, kind] / length for name in names],
            "hovertemplate": "%{y}, " + kind + ": %{x:.3g} " + unit + "<extra></extra>",
        }
        for kind, colour in KINDS.items()
    ]
    layout = {
        "height": 150 + 26 * len(names),
        "barmode": "stack",
        "xaxis": {"title": {"text": f"worker {unit}"}},
        "yaxis": {"autorange": "reversed", "type": "category"},
    }
    return {"data": traces, "layout": layout}, (
        f"{seconds.total() / length:.3g} worker {unit} in all, failed attempts too."
    )
