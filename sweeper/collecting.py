"""What of a store nothing needs any more, and its removal.

The order of looking is what makes it safe beside sweeps that run: files are listed first, then it
is asked who is at work on what, then, when something is removed, whether it was committed since.
An attempt that was listed and is at work has a lease (`sweeper.store.leases`) from before it had
files; one whose lease is gone by then has a marker, or is dead.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sweeper.errors import StoreError
from sweeper.losers import losers
from sweeper.progress import Progress
from sweeper.resolving import open_study
from sweeper.store import leases
from sweeper.store.commits import Commits
from sweeper.store.drivers import Drivers, Seen
from sweeper.store.files import StoreFiles
from sweeper.store.leftovers import DRAFTS, leftovers
from sweeper.store.records import Records

LOSERS = "checkpoints that lost their search"
DRIVERS = "leases and heartbeats of drivers that ended"
UNNEEDED = "checkpoints and data that no study needs"


@dataclass(frozen=True)
class Garbage:
    """Something to remove: a file or folder of the store, of a sort.

    The sorts are those above, and those of `sweeper.store.leftovers`.

    ``address`` is that of the commit whose checkpoint it is; "" for what no marker names.
    """

    what: str
    name: str
    files: int
    bytes: int
    address: str = ""


@dataclass(frozen=True)
class Collected:
    """What can go, and who works on the store: while somebody does, less can."""

    garbage: list[Garbage]
    living: list[Seen]


def collect(
    files: StoreFiles,
    *,
    unneeded: bool = False,
    drivers: Drivers | None = None,
    wait: Callable[[float], None] = time.sleep,
) -> Collected:
    """Look for what nothing needs; nothing is removed.

    Args:
        files: The store.
        unneeded: Also what was committed and no study of the store, as it was last run, needs.
        drivers: The store's drivers as this process sees them, for tests.
        wait: Sleeps so many seconds while a driver may be dead or alive: half a minute at most.

    Raises:
        StoreError: something cannot be read, or ``unneeded`` is asked for while a sweep runs.
    """
    seen = drivers or Drivers(files)
    left = list(leftovers(files, Records(files)))
    living = _living(seen, wait)
    if unneeded and living:
        raise StoreError(
            f"A sweep runs on this store (driver {living[0].driver[:8]} on "
            f"{living[0].heartbeat.get('host', 'an unknown host')}), and what no study needs can "
            "only be told when none does. Stop it first (`sweeper stop`), or leave that out."
        )
    at_work = _at_work(files, seen, living)
    found = [
        Garbage(one.what, one.name, one.files, one.bytes)
        for one in left
        if at_work.isdisjoint(_words(one.name)) and not (living and one.what == DRAFTS)
    ]
    commits = Commits(files)
    found += _dropped(files, commits, at_work)
    if not living:
        plans = [Progress(*open_study(files, name), files, commits=commits)
                 for name in files.names("studies")]  # fmt: skip
        found += _lost(files, commits, plans)
        found += _of_drivers(files)
        if unneeded:
            found += _not_needed(files, commits, plans, {one.address for one in found})
    return Collected(found, living)


def remove(files: StoreFiles, collected: Collected) -> list[Garbage]:
    """Remove what was found; returns what was removed: not what was committed since.

    Raises:
        StoreError: a sweep began meanwhile, of which nothing was known when this was found.
    """
    told = {seen.driver for seen in collected.living}
    told |= {one.name for one in collected.garbage if one.what == DRIVERS}
    came = [n for n in files.names("drivers") if told.isdisjoint((f"drivers/{n}", n[:-5]))]
    if came and not collected.living:
        raise StoreError(
            "A sweep has begun on this store at this moment. Start `sweeper gc` again."
        )
    commits = Commits(files)
    named = {name for commit in commits.by_address.values() for name in commit.files}
    folders = {commit.folder for commit in commits.by_address.values()}
    removed = []
    for one in collected.garbage:
        if not one.address and (one.name in named or one.name in folders):
            continue
        if one.address:
            commits.drop(one.address)
        else:
            files.remove(one.name)
        removed.append(one)
    return removed


# ---- who is at work ---------------------------------------------------------------------------


def _living(drivers: Drivers, wait: Callable[[float], None]) -> list[Seen]:
    """The drivers that live: one that was seen neither to move nor to end is looked at longer."""
    while any(not seen.moved for seen in drivers.living()):
        wait(1.0)
    return drivers.living()


def _at_work(files: StoreFiles, drivers: Drivers, living: list[Seen]) -> set[str]:
    """The attempts that living drivers run, and the addresses that these make or read."""
    found = {
        str(one["attempt"])
        for seen in living
        for one in seen.heartbeat.get("running", {}).values()
    }
    for name, lease in leases.held(files).items():
        if drivers.alive(lease["driver"]):
            found |= {name.rpartition(".")[0], lease["attempt"], *lease["reads"]}
    return found - {""}


def _words(name: str) -> set[str]:
    """The addresses and attempts that the name of a file or folder may have."""
    parts = name.split("/")
    address, _, attempt = parts[-1].removesuffix(".parquet").partition("-")
    return {*parts, address, attempt}


# ---- what can go ------------------------------------------------------------------------------


def _garbage(files: StoreFiles, what: str, name: str, address: str = "") -> Iterator[Garbage]:
    """A folder of a commit, unless it is empty or gone."""
    sizes = files.sizes(name)
    if sizes:
        yield Garbage(what, name, len(sizes), sum(sizes.values()), address)


def _dropped(files: StoreFiles, commits: Commits, at_work: set[str]) -> Iterator[Garbage]:
    """What was to be deleted when it lost, and is still there."""
    gone = [one for one in commits.by_address.values() if one.dropped]
    there = files.there(one.folder for one in gone)
    for commit in gone:
        if commit.folder in there and commit.address not in at_work:
            yield from _garbage(files, LOSERS, commit.folder, commit.address)


def _lost(files: StoreFiles, commits: Commits, plans: list[Progress]) -> Iterator[Garbage]:
    """Losers of searches that are scored, unless another study has a use for them."""
    droppable: set[str] = set()
    kept: set[str] = set()
    for progress in plans:
        lost = set(losers(progress))
        trials = {trial for search in progress.plan.searches.values() for trial in search.trials}
        found = {commit.address for key in trials if (commit := progress.addressing.commit(key))}
        droppable |= lost
        kept |= found - lost
    for address in sorted(droppable - kept):
        yield from _garbage(files, LOSERS, commits.by_address[address].folder, address)


def _of_drivers(files: StoreFiles) -> Iterator[Garbage]:
    """What drivers leave behind; only when none lives: a lease holds off those that come."""
    for folder in ("leases", "drivers", "stops"):
        for name, size in files.sizes(folder).items():
            yield Garbage(DRIVERS, f"{folder}/{name}", 1, size)


def _not_needed(
    files: StoreFiles, commits: Commits, plans: list[Progress], found: set[str]
) -> Iterator[Garbage]:
    """What a commit made, of which no unit is one of any study of the store."""
    needed = {
        unit
        for progress in plans
        for key in progress.plan.jobs
        for unit in (progress.addressing.units(key) or {}).values()
    }
    for address, commit in sorted(commits.by_address.items()):
        if (
            needed.isdisjoint(commit.units.values())
            and not commit.dropped
            and address not in found
        ):
            yield from _garbage(files, UNNEEDED, commit.folder, address)
