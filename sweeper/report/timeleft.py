"""How long the rest of a sweep takes: its costs times measured speeds, over the slots."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from sweeper.graph import Plan
from sweeper.progress import Progress

if TYPE_CHECKING:
    from sweeper.analysis.view import View

_SAMPLE = 20
"""Jobs of a kind whose times are read: the newest."""


def time_left(
    progress: Progress, rates: Mapping[str, float], shares: Mapping[str, float], slots: int
) -> float | None:
    """Seconds till the end, about; None before anything can be measured.

    Costs of the jobs left times the measured seconds per cost of their kind (of any kind before
    one of it is done, if all cards say how many rows their tasks have), shared among the slots,
    but at least the longest chain.

    Args:
        progress: The plan against the store.
        rates: Kind -> measured seconds per cost.
        shares: Running job -> the share of it that is done.
        slots: How many jobs run at once.
    """
    left = set(progress.left)
    if not left:
        return 0.0
    known = {kind: rate for kind, rate in rates.items() if kind != "prepare"}
    jobs = progress.plan.jobs
    kinds = {jobs[key].kind for key in left}
    if not known or not (kinds - {"prepare", "score"} <= set(known) or _counted(progress.plan)):
        return None
    usual = sum(known.values()) / len(known)
    needs = {
        key: jobs[key].cost * rates.get(jobs[key].kind, usual) * (1 - shares.get(key, 0.0))
        for key in left
    }
    longest = 0.0
    chain: dict[str, float] = {}
    for key in reversed(jobs):
        if key in needs:
            below = [chain[child] for child in progress.children[key] if child in chain]
            chain[key] = needs[key] + max(below, default=0.0)
            longest = max(longest, chain[key])
    return max(longest, sum(needs.values()) / max(1, slots))


def share(phase: str, step: int, steps: int) -> float | None:
    """The share of a job that is done; None in a phase that does not say."""
    return min(1.0, step / steps) if phase in ("train", "score") and steps else None


def measured(view: View) -> dict[str, float]:
    """Kind -> seconds per cost, from the store: of the study's jobs that were done last."""
    done: dict[str, dict[str, tuple[float, float]]] = {}  # kind -> table -> (time, cost)
    for key in view.progress.done:
        job = view.plan.jobs[key]
        unit = next(iter((view.progress.addressing.units(key) or {}).values()), "")
        commit = view.progress.commits.by_unit.get(unit)
        name = commit.table("trials") if commit else None
        if commit and name and job.cost > 0:
            done.setdefault(job.kind, {})[name] = (commit.committed, job.cost)
    return {kind: _rate(view, found) for kind, found in done.items()}


def _rate(view: View, found: Mapping[str, tuple[float, float]]) -> float:
    from sweeper.store import tables

    newest = sorted(found, key=lambda name: found[name])[-_SAMPLE:]
    rows = tables.read(view.files, "trials", newest).to_pylist()
    seconds = sum(row["committed"] - row["started"] for row in rows)
    return float(seconds / sum(found[name][1] for name in newest))


def _counted(plan: Plan) -> bool:
    """Whether the cards of a plan say how many rows each split has: costs are no guess then."""
    tasks = {job.target for job in plan.jobs.values()}
    tasks |= {task for job in plan.jobs.values() for task in job.declared.get("tasks", ())}
    cards = [plan.cards[task] for task in tasks if task in plan.cards]
    return all(split.rows is not None for card in cards for split in card.splits.values())
