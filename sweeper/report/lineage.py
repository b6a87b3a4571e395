"""Where a checkpoint comes from: the base model, every training after it, and their data."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sweeper.analysis.view import View
from sweeper.graph import Cell, Job
from sweeper.store import tables
from sweeper.store.markers import Commit
from sweeper.tasks.card import Card


@dataclass(frozen=True)
class Base:
    """The encoder that everything begins with: a hub id, a folder's name, or made from scratch.

    ``revision`` is the hub's commit, None otherwise.
    """

    name: str
    revision: str | None = None
    hub: bool = False
    scratch: dict[str, Any] | None = None


@dataclass(frozen=True)
class Step:
    """One training of the lineage, as its attempt recorded it.

    ``training`` are its settings, searched ones included, ``found`` those that a search of the
    stage itself found; ``steps``, ``examples``, ``device`` and
    ``versions`` are empty for a store that kept none.
    """

    job: str
    address: str
    attempt: str
    what: str
    tasks: tuple[str, ...]
    languages: dict[str, tuple[str, ...]]
    training: dict[str, Any]
    found: dict[str, Any]
    steps: int | None = None
    examples: int | None = None
    device: str = ""
    versions: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Data:
    """A split that was read for a checkpoint, and what for.

    ``limit`` is how many first examples of a language were used, None for all; ``sources`` say
    where the rows came from, ``datasets`` are those of the hub among them.
    """

    task: str
    title: str
    split: str
    languages: tuple[str, ...]
    use: str
    licence: str
    limit: int | None
    sources: tuple[str, ...]
    datasets: tuple[str, ...]


@dataclass(frozen=True)
class Lineage:
    """The way from the base to one cell's checkpoint: trainings in order, and their data."""

    base: Base
    steps: tuple[Step, ...]
    data: tuple[Data, ...]


def lineage(view: View, cell: Cell) -> Lineage:
    """What the checkpoint of a cell was made from.

    Args:
        view: The study.
        cell: One of the plan's, whose checkpoint is known.
    """
    addressing = view.progress.addressing
    key = addressing.checkpoint_job(cell.score)
    jobs: list[Job] = []
    while key is not None:
        jobs.insert(0, view.plan.jobs[key])
        key = view.plan.jobs[key].declared["parent"]
    steps = tuple(_step(view, job) for job in jobs)
    return Lineage(_base(view), steps, tuple(_data(view, cell, jobs)))


def _base(view: View) -> Base:
    scratch, base = view.plan.study.base.scratch, view.progress.addressing.resolved.base
    if scratch is not None:
        sizes = scratch.model_dump(exclude={"training"})
        return Base(f"made from scratch on {scratch.text}", scratch=sizes)
    assert base is not None
    reference = base["ref"]
    if "hub" in reference:
        return Base(str(reference["hub"]), str(reference["revision"]), hub=True)
    return Base(Path(base["name"]).name)  # where it lay on that host is nobody's business


def _step(view: View, job: Job) -> Step:
    commit = view.progress.addressing.commit(job.key)
    assert commit is not None, job.key
    row = _recorded(view, commit)
    return Step(
        job=job.key,
        address=commit.address,
        attempt=commit.attempt,
        what=_what(view, job),
        tasks=tuple(job.declared["tasks"]),
        languages={t: view.plan.training_languages(t) for t in job.declared["tasks"]},
        training=view.progress.addressing.training(job),
        found=view.progress.addressing.found(job) or {},
        steps=row.get("steps"),
        examples=row.get("examples"),
        device=row.get("device") or "",
        versions=json.loads(row.get("versions") or "{}"),
    )


def _what(view: View, job: Job) -> str:
    if job.kind == "tune":
        return "target"
    made = view.plan.study.base.scratch is not None and job.declared["parent"] is None
    return "base" if made else "intermediate"


def _recorded(view: View, commit: Commit) -> dict[str, Any]:
    """The row of `trials` that a commit brought."""
    name = commit.table("trials")
    rows = tables.read(view.files, "trials", [name] if name else []).to_pylist()
    return rows[0] if rows else {}


# ---- data -------------------------------------------------------------------------------------


def _data(view: View, cell: Cell, jobs: Iterable[Job]) -> Iterator[Data]:
    """Every split that was read, in the order of its use; a task trained on twice stands once."""
    plan, uses = view.plan, {}
    for job in jobs:
        for task in job.declared["tasks"]:
            uses[task, "train", "trained on"] = plan.training_languages(task)
        search = view.progress.addressing.stage_search(job)
        for name in search.selections if search else ():
            task, split, code = name.split("/")
            uses[task, split, "selected on"] = (code,)
    if plan.targets[cell.target].selection is not None:
        task, split, code = plan.selection_of(cell.target).split("/")
        uses[task, split, "selected on"] = (code,)
    scored: dict[str, tuple[str, ...]] = {}
    for split, code in plan.jobs[cell.score].declared["units"].values():
        scored[split] = (*scored.get(split, ()), code)
    for split, codes in scored.items():
        uses[cell.target, split, "scored on"] = codes
    for (task, split, use), codes in uses.items():
        card = plan.cards[task]
        found = list(_resolutions(view, card, split, codes))
        hub = [one["dataset"] for one in found if "dataset" in one]
        yield Data(
            task=task,
            title=card.title,
            split=split,
            languages=codes,
            use=use,
            licence=card.licence,
            limit=plan.limits().get(f"{task}/{split}"),
            sources=tuple(dict.fromkeys(map(_source, found))),
            datasets=tuple(dict.fromkeys(hub)),
        )


def _resolutions(
    view: View, card: Card, split: str, codes: Iterable[str]
) -> Iterator[dict[str, Any]]:
    """What each language of a split was resolved to, part by part."""
    for code in codes:
        found = view.progress.addressing.resolved.sources[f"{card.name}/{split}/{code}"]
        for part in found.get("parts", {"": found}).values():
            yield {**part, "source": found["source"]}


def _source(resolution: dict[str, Any]) -> str:
    if resolution["source"] == "hub":
        return f"{resolution['dataset']} at {resolution['revision'][:12]}"
    if resolution["source"] == "local":
        return "local files"
    return f"generator {resolution['generator']}"
