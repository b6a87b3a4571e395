"""Larger prints: a plan, a store's status, a run's results, where the time went."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from sweeper.disk import checkpoints_needed, free_bytes, size
from sweeper.errors import StoreError
from sweeper.graph import Plan
from sweeper.progress import Progress
from sweeper.report.atwork import AtWork
from sweeper.report.data import jobs_by_kind
from sweeper.report.terminal import (
    duration,
    print_best_line,
    print_languages,
    print_matrix,
    print_notes,
    print_path,
    say,
    table,
)
from sweeper.states import BLOCKED, DONE, FAILED, PRUNED, UNNEEDED
from sweeper.store.drivers import Drivers
from sweeper.store.files import has_store

if TYPE_CHECKING:
    from sweeper.analysis.view import View
    from sweeper.analysis.where import Where

KINDS = {
    "prepare": "tokenise data, once per task, split and length",
    "train": "train the base model and the intermediate stages",
    "tune": "train a trial of a search",
    "score": "score a winner in every language",
}


# ---- plan and status --------------------------------------------------------------------------


def print_plan(
    out: Console,
    planned: Plan,
    progress: Progress | None,
    store: str | Path,
    ends: Sequence[str] | None = None,
) -> None:
    """A plan's jobs by kind, what is shared, what a store has, and the room for checkpoints."""
    study = planned.study
    say(out, f"{study.name}: {study.description}" if study.description else study.name, "bold")
    rows = ", ".join(planned.rows)
    seeds = ", ".join(map(str, study.seeds))
    say(out, f"  {_count(planned.rows, 'row')}: {rows}")
    for name, row in study.intermediates.items():
        if row.composition != name:
            say(out, f"    {name}: {row.composition}")
    say(out, f"  {_count(planned.columns, 'target')}: {', '.join(planned.columns)}")
    say(out, f"  {_count(study.seeds, 'seed')}: {seeds}")
    out.print()
    _print_jobs(out, planned, progress)
    for line in _sharing(planned, progress):
        say(out, line)
    say(out, _left(planned, progress, store))
    say(out, _room(planned, progress, store, ends))


def _count(things: object, name: str) -> str:
    count = len(things)  # type: ignore[arg-type]
    return f"{count} {name}{'' if count == 1 else 's'}"


def _print_jobs(out: Console, planned: Plan, progress: Progress | None) -> None:
    found = jobs_by_kind(planned, progress)
    made = table("job", "", *found, right=range(2, 2 + len(found)))
    for kind, meaning in KINDS.items():
        made.add_row(kind, Text(meaning, style="dim"), *(str(c[kind]) for c in found.values()))
    made.add_row("all", "", *(str(c.total()) for c in found.values()), style="bold")
    out.print(made)
    out.print()


def _sharing(planned: Plan, progress: Progress | None) -> list[str]:
    """What is done once and used often."""
    children = planned.children()
    used = Counter[str]()
    for key, job in planned.jobs.items():
        used[job.kind] += len(children[key])
    counts = Counter(job.kind for job in planned.jobs.values())
    scored = Counter(
        search
        for cell in planned.cells
        if (search := planned.jobs[cell.score].declared["checkpoint"].get("search"))
    )
    stages = f", {_count(range(counts['train']), 'trained stage')} start {used['train']} jobs"
    data = f"{_count(range(counts['prepare']), 'prepared data set')} read {used['prepare']} times"
    said = [f"Shared: {data}{stages if counts['train'] else ''}."]
    if any(count > 1 for count in scored.values()):
        said.append(f"  {len(scored)} searches serve {scored.total()} cells of the matrix.")
    if planned.beside:
        which = " and ".join(planned.study.checkpoints)
        said.append(
            f"  Beside the winners of dev their {which} weights are scored: "
            f"{len(planned.beside)} jobs."
        )
    if progress and progress.shared():
        said.append(f"  {progress.shared()} jobs are the same computation as another one.")
    return said


def _left(planned: Plan, progress: Progress | None, store: str | Path) -> str:
    if progress is None:
        if has_store(store):
            return (
                f"Store: {store} is there, but has not all of this study's data on record (or "
                "they changed since), so what it has done is known once `sweeper run` reads them."
            )
        return f"Store: {store} is not there yet; everything is left."
    done, left, failed = len(progress.done), len(progress.left), len(progress.failures)
    said = f"Store: {store} has {done} of {len(planned.jobs)} jobs; "
    some = f"{left} {'is' if left == 1 else 'are'} left"
    if failed:
        blocked = len(progress.blocked())
        below = f" and {blocked} blocked by that" if blocked else ""
        rest = f"; {some}" if left else ""
        return (
            f"{said}{failed} failed{below}{rest}. `sweeper status --store {store}` says why; mend "
            "that, and run again."
        )
    if left:
        return f"{said}{some}."
    spared = len(planned.jobs) - done - len(progress.pruned)
    extra = f" ({spared} more are not needed for that)" if spared else ""
    return f"{said}nothing is left{extra}."


def _room(
    planned: Plan, progress: Progress | None, store: str | Path, ends: Sequence[str] | None
) -> str:
    needed = checkpoints_needed(planned, progress, ends)
    room = free_bytes(store)
    free = "the bucket's room is not counted" if room is None else f"{size(room)} are free"
    if needed is None:
        return f"Disk: the size of this base model is not known here; {free}."
    if not needed:
        return f"Disk: no more checkpoints; {free}."
    return f"Disk: checkpoints need about {size(needed)}, and resume points come on top; {free}."


def print_status(out: Console, view: View, drivers: Drivers | None = None) -> None:
    """A study's jobs by kind and state, who is at work, what failed and what was left out."""
    print_states(out, view)
    left = view.progress.left
    if not left and not view.progress.failures:
        say(out, "Complete: every cell of the matrix is scored.")
    elif left:
        _print_left(out, view, drivers or Drivers(view.files))
    print_failures(out, view)
    print_skipped(out, view.skipped())
    out.print()


def _print_left(out: Console, view: View, drivers: Drivers) -> None:
    """How many jobs are left, and whether somebody is at work on them."""
    at_work = AtWork(drivers, view.plan.study.name)
    count = len(view.progress.left)
    some = "1 job is" if count == 1 else f"{count} jobs are"
    on = "it" if count == 1 else "them"
    if at_work.living:
        say(out, f"{some} left.")
    else:
        say(out, f"{some} left, and nobody is at work on {on}; `sweeper run` goes on with {on}.")
    for line in [at_work.told(seen, once=True) for seen in at_work.shown]:
        say(out, line)
    for line in at_work.parts(view):
        say(out, line)


def print_states(out: Console, view: View) -> None:
    """A study's jobs by kind and state."""
    counts = view.progress.counts()
    states = [s for s in _STATES if any(found[s] for found in counts.values())]
    say(out, view.plan.study.name, "bold")
    made = table("job", *states, "all", right=range(1, len(states) + 2))
    for kind in (kind for kind in KINDS if kind in counts):
        found = counts[kind]
        made.add_row(kind, *(str(found[s]) for s in states), str(found.total()))
    out.print(made)


_STATES = (DONE, PRUNED, "ready", "waiting", FAILED, BLOCKED, UNNEEDED)


def print_failures(out: Console, view: View) -> None:
    """What failed, why, how many jobs that blocks, and where to read more."""
    blocked = Counter(view.progress.blocked().values())
    for key, reason in view.progress.failures.items():
        say(out, f"failed: {key}", "red")
        say(out, f"  {reason}")
        if blocked[key]:
            say(out, f"  {_count(range(blocked[key]), 'job')} blocked by it")
        out.print(Text(f"  sweeper logs '{key}' --store {view.files.address}"), soft_wrap=True)


# ---- results ----------------------------------------------------------------------------------


def print_results(out: Console, view: View) -> None:
    """Scores, gains, scores per language, the best checkpoints, and where the store is."""
    from sweeper.analysis.averaging import transfer

    scores = transfer(view)
    print_matrix(out, scores, with_notes=False)
    if len(view.plan.rows) > 1:
        print_matrix(out, transfer(view, "gain", draws=0), with_notes=False)
    print_notes(out, scores)
    print_languages(out, transfer(view, by="language"))
    print_best_lines(out, view)
    print_skipped(out, view.skipped())
    out.print()
    say(out, "Store", "bold")
    print_path(out, view.files.address)


def print_skipped(out: Console, found: Mapping[str, int]) -> None:
    """How many broken rows of which data were left out (`--keep-going`); nothing if none."""
    if not found:
        return
    out.print()
    say(out, f"{_count(range(sum(found.values())), 'broken row')} left out", "bold")
    for name, count in found.items():
        say(out, f"  {name}: {count:,} row{'' if count == 1 else 's'}", "yellow")
    say(out, "  What is wrong: `sweeper tasks check TASK --keep-going`, or the job's `message`.")


def print_best_lines(out: Console, view: View) -> None:
    """The best checkpoint of each target, as far as any is selected."""
    from sweeper.analysis.best import best

    say(out, "Best checkpoint of each target (`sweeper best` says why)", "bold")
    out.print()
    for target in view.plan.columns:
        try:
            print_best_line(out, best(view, target))
        except StoreError as error:
            say(out, f"{target}: {error}")


# ---- where the time went ----------------------------------------------------------------------


def print_where(out: Console, found: Where) -> None:
    """Shares of wall time times slots, and the engine's figures."""
    from sweeper.analysis.where import percentile

    if not found.slots:
        say(out, "No attempt has ended yet, so there is no time to account for.")
        return
    runs = "" if found.runs == 1 else f" in {found.runs} runs"
    say(out, f"{duration(found.wall)}{runs} on {_count(range(found.slots), 'slot')}", "bold")
    out.print()
    made = table("where", "", "slot time", "share", right=(2, 3))
    for name, meaning in _MEANINGS.items():
        seconds = found.seconds[name]
        share = seconds / found.total if found.total else 0.0
        made.add_row(name, Text(meaning, style="dim"), f"{seconds:.1f} s", f"{100 * share:.1f} %")
    made.add_row("all", "", f"{found.total:.1f} s", "100.0 %", style="bold")
    out.print(made)
    out.print()
    if found.gaps:
        middle, late = percentile(found.gaps, 0.5), percentile(found.gaps, 0.95)
        say(
            out,
            f"From a worker's commit to its next job's first batch, that job being ready: "
            f"median {middle:.2f} s, p95 {late:.2f} s ({_count(found.gaps, 'time')}).",
        )
    cold = percentile(found.cold_starts, 0.5)
    say(out, f"Cold starts: {len(found.cold_starts)}, median {cold:.1f} s.")
    if found.busy is not None:
        share = 100 * found.busy
        say(out, f"Of the time in which a job was ready for it, a worker worked {share:.1f} %.")


_MEANINGS = {
    "setup": "loading models and tokenizers",
    "data": "reading and tokenising",
    "compute": "training steps",
    "evaluate": "dev splits, to select",
    "score": "target languages",
    "save": "checkpoints, resume points, tables",
    "other": "inside jobs, no phase counts it",
    "failed attempts": "all of their time",
    "cold start": "before a worker's first job",
    "waiting": "workers between jobs, and at the end",
}
