"""Is a store that went through faults the same as one that was left in peace?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from optuna.trial import TrialState

from sweeper import Store
from sweeper.store.files import StoreFiles
from sweeper.tuning.searches import Searches


def commits(store: Path) -> int:
    """How many markers a store in a folder has."""
    folder = store / "commits"
    return sum(not p.name.startswith(".") for p in folder.iterdir()) if folder.is_dir() else 0


Address = str | Path


def faults(calm: Address, other: Address) -> list[str]:
    """What differs from the calm store, what was done twice, and what Optuna knows otherwise."""
    return [*_commits(calm, other), *_repeated(other), *_asks(other), *_matrix(calm, other)]


def _commits(calm: Address, other: Address) -> Iterator[str]:
    want, have = (set(StoreFiles(s).names("commits")) for s in (calm, other))
    yield from (f"lost: {name}" for name in sorted(want - have))
    yield from (f"extra: {name}" for name in sorted(have - want))
    addresses = Counter(name.rpartition(".")[0] for name in have)
    yield from (f"{n} markers of {address}" for address, n in addresses.items() if n > 1)


def _repeated(other: Address) -> Iterator[str]:
    """Attempts that were started when their address had a marker already."""
    files = StoreFiles(other)
    for name in files.names("commits"):
        marker = files.read(f"commits/{name}")
        for attempt in files.names(f"attempts/{marker['address']}"):
            # An attempt's name begins with its start in milliseconds.
            if int(attempt.split("-")[0], 16) / 1000 > marker["committed"]:
                yield f"done again after its commit: {marker['job']}"


def _asks(other: Address) -> Iterator[str]:
    """Searches whose asks, commits and Optuna studies disagree."""
    plan, progress = Store(other).progress()
    searches = Searches(progress)
    for search in plan.searches.values():
        folder = progress.addressing.search_address(search)
        asked = len(StoreFiles(other).names(f"asks/{folder}"))
        done = sum(progress.addressing.commit(trial) is not None for trial in search.trials)
        study = searches.study(search)
        told = sum(trial.state == TrialState.COMPLETE for trial in study.trials)
        if {asked, done, told, len(study.trials)} != {len(search.trials)}:
            yield (
                f"{search.key}: {len(search.trials)} trials, {asked} asked, {done} committed, "
                f"{told} of {len(study.trials)} complete in Optuna"
            )


def _matrix(calm: Address, other: Address) -> Iterator[str]:
    """Scores that are not the same to the last bit."""
    key = ["intermediate", "target", "seed", "split", "language", "metric"]
    one, two = (Store(s).scores(metric="all").set_index(key)["value"] for s in (calm, other))
    for name in one.index.symmetric_difference(two.index):
        yield f"scored in one store only: {name}"
    both = one.index.intersection(two.index)
    for name in both[one.loc[both].to_numpy() != two.loc[both].to_numpy()]:
        yield f"another score: {name}: {one[name]} and {two[name]}"
