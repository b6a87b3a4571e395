"""Which checkpoint to use for a target, and why that one."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from sweeper.analysis.view import View
from sweeper.errors import StoreError
from sweeper.graph import Cell, Job
from sweeper.overlaps import overlap
from sweeper.study import CONTROL
from sweeper.tasks import kinds

TIES = "lower dev loss, earlier epoch, lower learning rate, lower trial number"


@dataclass(frozen=True)
class Best:
    """A target's checkpoint, how it was chosen, and what it scored.

    ``address`` is where it lies: an absolute folder, an address in a bucket, or the hub id of a
    base model that was scored as it is. ``path`` is what ``from_pretrained`` loads. ``dev_score``
    is the value of ``metric`` on the ``selection`` split, ``dev_loss`` is in nats; a retrieval
    target has neither (None), since it selects nothing. ``scores`` has the value per language of
    the target's first split, empty until it is scored.
    """

    intermediate: str
    target: str
    seed: int
    address: str
    parameters: dict[str, Any]
    metric: str
    selection: str | None
    dev_score: float | None
    dev_loss: float | None
    epoch: int | None
    scores: dict[str, float] = field(default_factory=dict)
    why: str = ""
    fetch: Callable[[], str] = field(kw_only=True, repr=False, compare=False)

    @cached_property
    def path(self) -> str:
        """A folder of this host, or a hub id. From a bucket it is fetched, at the first use."""
        return self.fetch()


@dataclass(frozen=True)
class _Place:
    """Where a checkpoint lies, and how it comes to this host."""

    address: str
    fetch: Callable[[], str]


@dataclass(frozen=True)
class Winner:
    """What one seed of a row selected: trial, best epoch, and those it left behind."""

    cell: Cell
    job: Job
    best: dict[str, Any]
    ranking: list[tuple[Job, dict[str, Any]]]


def best(
    view: View, target: str, intermediate: str | None = None, language: str | None = None
) -> Best:
    """The checkpoint to use for a target.

    The row (unless named) is the one with the highest dev score, averaged over seeds; of its
    seeds, the one with the highest dev score. No target language selects anything, so
    ``language`` only narrows the scores that are shown. A retrieval target has no selection
    split: the row named is taken, or the control, with the study's first seed.

    Raises:
        StoreError: an unknown name, or nothing has been selected yet.
    """
    shown = view.chosen(target=target, intermediate=intermediate, language=language)
    codes = {part.language for part in shown}
    if view.plan.targets[target].training_task is None:
        return _retrieval(view, target, intermediate, codes)
    return _selected(view, target, intermediate, codes)


# ---- trained targets --------------------------------------------------------------------------


def _selected(view: View, target: str, intermediate: str | None, codes: set[str]) -> Best:
    rows = [intermediate] if intermediate else view.plan.rows
    name = view.plan.selection_of(target)
    winners = {row: winners_of(view, row, target, name) for row in rows}
    most = max(len(found) for found in winners.values())
    if not most:
        raise StoreError(_nothing_yet(view, target, intermediate))
    compared = [row for row in rows if len(winners[row]) == most]
    sign = _sign(view, target)
    compared.sort(key=lambda row: _row_order(winners[row], sign))
    row = compared[0]
    ordered = sorted(winners[row], key=lambda won: _seed_order(view, won, sign))
    won = ordered[0]
    commit = view.progress.addressing.commit(won.job.key)
    assert commit is not None
    if commit.dropped:
        raise StoreError(
            f"The checkpoint of {won.job.key}, the best for {target}, was deleted when another "
            f"study of this store ({', '.join(view.files.names('studies'))}) had it lose its "
            "search; its scores are kept. Run this study into a store of its own to have it."
        )
    return Best(
        intermediate=row,
        target=target,
        seed=won.cell.seed,
        **vars(_in_store(view, f"{commit.folder}/{won.best['checkpoint']}")),
        parameters=view.progress.addressing.training(won.job),
        metric=won.best["metric"],
        selection=name,
        dev_score=won.best["value"],
        dev_loss=won.best["loss"],
        epoch=won.best["epoch"],
        scores=_scores(view, won.cell, codes),
        why=" ".join(
            [
                *_why_row(view, compared, winners, sign, named=intermediate is not None),
                *_why_seed(ordered),
                *_why_trial(view, won),
                *_flags(view, won.cell),
            ]
        ),
    )


def _sign(view: View, target: str) -> int:
    """-1 where a higher metric is better, so that sorting puts the best first."""
    selection = view.plan.targets[target].selection
    assert selection is not None
    kind = kinds.get(view.plan.cards[selection.task or target].kind)
    return -1 if kind.higher_is_better else 1


def winners_of(view: View, row: str, target: str, selection: str) -> list[Winner]:
    """The winner of every seed of a row whose search has ended."""
    addressing = view.progress.addressing
    found = []
    for cell in view.plan.cells:
        if (cell.intermediate, cell.target) != (row, target):
            continue
        if addressing.checkpoint_job(cell.score) is None:
            continue
        search = view.plan.searches[view.plan.jobs[cell.score].declared["checkpoint"]["search"]]
        ranking = addressing.ranking(search, selection)
        found.append(Winner(cell, *ranking[0], ranking))
    return found


def _mean(winners: list[Winner]) -> float:
    return statistics.fmean(won.best["value"] for won in winners)


def _loss(won: Winner) -> float:
    return math.inf if won.best["loss"] is None else float(won.best["loss"])


def _row_order(winners: list[Winner], sign: int) -> tuple[float, float]:
    return sign * _mean(winners), statistics.fmean(map(_loss, winners))


def _seed_order(view: View, won: Winner, sign: int) -> tuple[float, ...]:
    rate = view.progress.addressing.training(won.job)["learning_rate"]
    assert won.job.trial is not None
    best = won.best
    return (sign * best["value"], _loss(won), best["epoch"], rate, won.job.trial, won.cell.seed)


def _why_row(
    view: View, compared: list[str], winners: dict[str, list[Winner]], sign: int, *, named: bool
) -> list[str]:
    row = compared[0]
    seeds = len(winners[row])
    mean = _mean(winners[row])
    first_seed = winners[row][0]
    split = view.plan.selection_of(first_seed.cell.target)
    over = f"over {seeds} seed" + ("s" if seeds > 1 else "")
    value = f"{mean:.2f} ({first_seed.best['metric']} on {split}, {over})"
    if named:
        return [f"{row} was asked for; its mean dev score is {value}."]
    first = "highest" if sign < 0 else "lowest"
    said = [f"{row} has the {first} mean dev score of the rows: {value}"]
    if len(compared) > 1:
        behind = [f"{other} {_mean(winners[other]):.2f}" for other in compared[1:4]]
        said.append(f", before {', '.join(behind)}")
        if _mean(winners[compared[1]]) == mean:
            said.append("; the tie went to the lower mean dev loss")
    left_out = len(winners) - len(compared)
    if left_out:
        said.append(f"; {left_out} of {len(winners)} rows have fewer seeds done and were left out")
    return ["".join(said) + "."]


def _why_seed(ordered: list[Winner]) -> list[str]:
    won = ordered[0]
    if len(ordered) == 1:
        return [f"Seed {won.cell.seed}: {won.best['value']:.2f}."]
    behind = ", ".join(f"seed {o.cell.seed} {o.best['value']:.2f}" for o in ordered[1:4])
    tie = ordered[1].best["value"] == won.best["value"]
    rule = f" (a tie, decided by {TIES}, lower seed)" if tie else ""
    first = f"seed {won.cell.seed} with {won.best['value']:.2f}"
    return [f"Of its seeds, {first} before {behind}{rule}."]


def _why_trial(view: View, won: Winner) -> list[str]:
    search = view.plan.searches[won.job.declared["search"]]
    pruned = sum(key in view.progress.pruned for key in search.trials)
    others = [f"{pruned} more were stopped early."] if pruned else []
    trials = len(won.ranking)
    said = f"Trial {won.job.trial}, epoch {won.best['epoch']}"
    if search.follows:
        return [f"{said}: its parameters are those that won in the search {search.follows}."]
    if trials == 1:
        return [f"{said}: the only trial that finished.", *others]
    second_job, second = won.ranking[1]
    tie = second["value"] == won.best["value"]
    rule = f" (a tie, decided by {TIES})" if tie else ""
    behind = f"trial {second_job.trial}, epoch {second['epoch']}, with {second['value']:.2f}"
    return [f"{said} won among {trials} trials before {behind}{rule}.", *others]


def _flags(view: View, cell: Cell) -> list[str]:
    job = view.plan.jobs[cell.score]
    found = {overlap(view.plan, job, name) for name in job.declared["units"]}
    flags = {flag for several in found for flag in several.split("; ") if flag}
    return [f"Note: {flag}." for flag in sorted(flags)]


def _nothing_yet(view: View, target: str, intermediate: str | None) -> str:
    cells = [
        cell
        for cell in view.plan.cells
        if cell.target == target and intermediate in (None, cell.intermediate)
    ]
    trials = {need for cell in cells for need in view.plan.jobs[cell.score].needs}
    trials = {key for key in trials if view.plan.jobs[key].kind in ("tune", "train")}
    done = len(trials & view.progress.done)
    row = f" of the row {intermediate!r}" if intermediate else ""
    return (
        f"Nothing is selected yet for {target}{row}: {done} of {len(trials)} trainings are done, "
        "and a winner needs every trial of its search. Go on with `sweeper run` on the same "
        "study and store, or look at `sweeper status` for what failed."
    )


# ---- retrieval targets ------------------------------------------------------------------------


def _retrieval(view: View, target: str, intermediate: str | None, codes: set[str]) -> Best:
    row = intermediate or CONTROL
    cell = next(c for c in view.plan.cells if (c.intermediate, c.target) == (row, target))
    addressing = view.progress.addressing
    source = view.plan.jobs[cell.score].declared["checkpoint"]["train"]
    if source and source not in view.progress.done:
        raise StoreError(_nothing_yet(view, target, row))
    said = (
        f"{target} has no selection split: nothing is trained on it, and its test scores may not "
        "choose, so rows and seeds are not ranked."
    )
    chosen = (
        f" {row} was asked for"
        if intermediate
        else f" This is the control ({CONTROL}); name another row with `intermediate`"
    )
    representation = view.plan.targets[target].representation
    return Best(
        intermediate=row,
        target=target,
        seed=cell.seed,
        **vars(_trained(view, source) if source else _base(view)),
        parameters=representation.model_dump(),
        metric=view.metric(target),
        selection=None,
        dev_score=None,
        dev_loss=None,
        epoch=None,
        scores=_scores(view, cell, codes),
        why=f"{said}{chosen}; of its seeds it is the first ({cell.seed})."
        + (f" The last checkpoint of {addressing.plan.jobs[source].key}." if source else ""),
    )


def _trained(view: View, key: str) -> _Place:
    commit = view.progress.addressing.commit(key)
    assert commit is not None
    return _in_store(view, f"{commit.folder}/checkpoint")


def _base(view: View) -> _Place:
    base = view.progress.addressing.resolved.base
    assert base is not None
    name = str(base["ref"].get("folder") or base["ref"]["hub"])
    return _Place(name, lambda: name)


def _in_store(view: View, relative: str) -> _Place:
    return _Place(view.files.where(relative), lambda: str(view.files.local(relative)))


def _scores(view: View, cell: Cell, codes: set[str]) -> dict[str, float]:
    """Language -> value of the main metric on the target's first split."""
    split = view.plan.targets[cell.target].splits[0]
    parts = [
        part
        for part in view.parts
        if part.job == cell.score and part.split == split and part.language in codes
    ]
    found = view.scores(parts)
    return dict(zip(found["language"], found["value"].astype(float), strict=True))
