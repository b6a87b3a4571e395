"""Trials that lost their search: their checkpoints take room, and nobody needs them any more."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator

from sweeper.errors import StoreError
from sweeper.graph import Job, Search
from sweeper.progress import Progress

log = logging.getLogger("sweeper")


def losers(progress: Progress) -> Iterator[str]:
    """Addresses of trials that lost a search which is scored: their checkpoints can go."""
    scores: dict[str, list[Job]] = {}
    for job in progress.plan.jobs.values():
        if job.kind == "score" and "search" in job.declared["checkpoint"]:
            scores.setdefault(job.declared["checkpoint"]["search"], []).append(job)
    for name, jobs in scores.items():
        # Another job may have brought a score a moment ago.
        if all(progress.held.has(job.key) for job in jobs):
            yield from _losers_of(progress, progress.plan.searches[name])
    for search in progress.plan.searches.values():
        if search.stage in progress.done:
            yield from _losers_of(progress, search)


def losers_after(progress: Progress, key: str) -> Iterator[str]:
    """The losers that the end of one job, a score or a stage, makes known."""
    stage = progress.addressing.stage_search(progress.plan.jobs[key])
    if stage:
        yield from _losers_of(progress, stage)
    source = progress.plan.jobs[key].declared.get("checkpoint", {}).get("search")
    if source is None:
        return
    search = progress.plan.searches[source]
    children = {child for trial in search.trials for child in progress.children[trial]}
    scores = [child for child in children if progress.plan.jobs[child].kind == "score"]
    if all(map(progress.held.has, scores)):
        yield from _losers_of(progress, search)


def drop(progress: Progress, found: Iterable[str]) -> None:
    """Delete losers' checkpoints; one that cannot be deleted costs room, and nothing else."""
    for loser in found:
        try:
            progress.commits.drop(loser)
        except StoreError as error:
            log.warning("the checkpoint of a loser is kept: %s", error)


def _losers_of(progress: Progress, search: Search) -> Iterator[str]:
    addressing = progress.addressing
    # A stage takes over settings and no weights: all of its trials have lost.
    names = () if search.stage else search.selections
    won = [addressing.winner(search, name) for name in names]
    # By address: a sampler may draw the winner's parameters for another trial too.
    kept = {addressing.address(found[0].key) for found in won if found}
    commits = [addressing.commit(trial) for trial in search.trials]
    lost = {c.address for c in commits if c and c.address not in kept and not c.dropped}
    # What lost here may have won in another study, which scores it now, or has and names it.
    yield from sorted(
        address
        for address in lost
        if address not in progress.commits.scored and not progress.claims.in_use(address)
    )
