"""Figures of the sweep itself: what led to what, who worked when, and what it cost."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sweeper.analysis.where import runs, where
from sweeper.graph import BASE, Job, Plan
from sweeper.progress import Progress
from sweeper.report.terminal import duration
from sweeper.report.webpage.figures import Figure, plain

KINDS = {"prepare": "#888888", "train": "#0072B2", "tune": "#C08000", "score": "#009E73"}
_FAILED = "#C0392B"

MOST_BARS = 2000
"""Attempts that a timeline shows one by one; of more, the longest ones."""

TALLEST = 1500
"""Pixels that the lines of all workers may take."""


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
        "layout": {
            "height": max(320, 26 * len(names)),
            "minwidth": 640,
            "margin": {"l": 5, "r": 5, "t": 20, "b": 20},
        },
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


@dataclass(frozen=True)
class Link:
    """A job of the chain that ended last: what it waited for, and how long for a free worker."""

    job: str
    after: str
    waited: float
    seconds: float


@dataclass(frozen=True)
class Timeline:
    """Who worked when: the figure (None if nobody did), how busy all were, the last chain."""

    figure: Figure | None
    said: str
    chain: list[Link]


def timeline(trials: Sequence[Mapping[str, Any]], plan: Plan) -> Timeline:
    """Who worked when, a line per worker that says how much of the time it was at a job."""
    rows = sorted((row for row in trials if row["worker"]), key=lambda row: row["started"])
    if not rows:
        return Timeline(None, "", [])
    ends: dict[str, Mapping[str, Any]] = {}
    for row in rows:
        if row["status"] != "failed":
            ends[row["job"]] = max(row, ends.get(row["job"], row), key=lambda r: r["committed"])
    names = _workers(rows)
    longest = sorted(rows, key=_seconds, reverse=True)[:MOST_BARS]
    shown: dict[str, list[Mapping[str, Any]]] = {}
    for row in sorted(longest, key=lambda row: row["started"]):
        shown.setdefault("failed" if row["status"] == "failed" else row["kind"], []).append(row)
    traces = [
        {
            "type": "bar",
            "orientation": "h",
            "name": kind,
            "marker": {"color": KINDS.get(kind, _FAILED)},
            "y": [names[row["worker"]] for row in found],
            "base": [row["started"] * 1000 for row in found],
            "x": [_seconds(row) * 1000 for row in found],
            "customdata": [_story(row, plan, ends) for row in found],
            "hovertemplate": "%{customdata}<extra></extra>",
        }
        for kind in (*KINDS, "failed")
        if (found := shown.get(kind))
    ]
    left = len(rows) - len(longest)
    layout = {
        "height": 150 + min(26 * len(names), TALLEST),
        "barmode": "overlay",
        "minwidth": 640,
        "xaxis": {"type": "date", "title": {"text": "UTC"}, "fixedrange": False},
        "yaxis": {
            "type": "category",
            "categoryorder": "array",
            "categoryarray": list(names.values()),
            "autorange": "reversed",
        },
        "hovermode": "closest",
        "dragmode": "zoom",
    }
    some = f" The {MOST_BARS:,} longest of {len(rows):,} attempts are drawn." if left else ""
    return Timeline({"data": traces, "layout": layout}, _busy(rows) + some, _chain(plan, ends))


def _busy(rows: Sequence[Mapping[str, Any]]) -> str:
    """How long it took, and how well the workers were kept busy, in a sentence."""
    found = where(rows)
    several = f" in {found.runs} runs" if found.runs > 1 else ""
    busy = ""
    if found.busy is not None:
        share = _share(found.busy, 1)
        busy = f" Of the time in which a job was ready for it, a worker worked {share}."
    return f"{duration(found.wall)}{several}, at most {found.slots} at once.{busy}"


def _seconds(row: Mapping[str, Any]) -> float:
    return float(row["committed"] - row["started"])


def _workers(rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Worker -> its name in the figure, with the share of its runs' time that it was at a job."""
    spent: defaultdict[str, float] = defaultdict(float)
    there: defaultdict[str, float] = defaultdict(float)
    for run in runs(rows):
        length = max(a.committed for a in run) - min(a.started for a in run)
        for name in {attempt.worker for attempt in run}:
            there[name] += length
        for attempt in run:
            spent[attempt.worker] += attempt.seconds
    return {
        name: f"worker {number}: {_share(spent[name], there[name])} busy"
        for number, name in enumerate(dict.fromkeys(row["worker"] for row in rows), 1)
    }


def _share(part: float, whole: float) -> str:
    return f"{100 * part / whole if whole else 100:.0f} %"


def _last_need(
    key: str, plan: Plan, ends: Mapping[str, Mapping[str, Any]]
) -> Mapping[str, Any] | None:
    """The attempt that ended last of those that a job needs; None where it needed none."""
    job = plan.jobs.get(key)
    needs = [ends[need] for need in job.needs if need in ends] if job else []
    return max(needs, key=lambda row: row["committed"], default=None)


def _chain(plan: Plan, ends: Mapping[str, Mapping[str, Any]]) -> list[Link]:
    """From the job that ended last back to the first: each waited for the one before it."""
    found = []
    row = max(ends.values(), key=lambda row: row["committed"], default=None)
    while row is not None:
        before = _last_need(row["job"], plan, ends)
        after = before["job"] if before else ""
        found.append(Link(row["job"], after, _waited(row), _seconds(row)))
        row = before
    return found[::-1]


def _waited(row: Mapping[str, Any]) -> float:
    """Seconds for which a job was ready and no worker at it; clocks of hosts may differ."""
    return max(0.0, float(row["started"] - row["released"]))


def _story(row: Mapping[str, Any], plan: Plan, ends: Mapping[str, Mapping[str, Any]]) -> str:
    """What a job did, and whom it waited for."""
    lines = [
        f"<b>{plain(row['job'])}</b>",
        f"{plain(row['status'])} in {_seconds(row):.1f} s, on {plain(row['worker'])}",
        f"ready {_waited(row):.1f} s before it began",
    ]
    if last := _last_need(row["job"], plan, ends):
        lines.append(f"the last that it waited for: {plain(last['job'])}")
    return "<br>".join(lines)


def cost(trials: Iterable[Mapping[str, Any]], rows: Sequence[str]) -> tuple[Figure | None, str]:
    """Time of workers per row and kind of job, failed attempts too; and their sum in words."""
    seconds: defaultdict[tuple[str, str], float] = defaultdict(float)
    failed = 0.0
    for row in trials:
        name = row["intermediate"] if row["intermediate"] in rows else "shared"
        seconds[name, row["kind"]] += _seconds(row)
        failed += _seconds(row) if row["status"] == "failed" else 0.0
    total = sum(seconds.values())
    if not total:
        return None, ""
    unit, length = ("hours", 3600.0) if total > 3600 else ("minutes", 60.0)
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
        "legend": {"traceorder": "normal"},
        "xaxis": {"title": {"text": f"worker {unit}"}},
        "yaxis": {"autorange": "reversed", "type": "category"},
    }
    lost = f", {failed / length:.3g} of them in failed attempts" if failed else ""
    return {"data": traces, "layout": layout}, (
        f"{total / length:.3g} worker {unit} in all{lost}. What rows share counts as shared."
    )
