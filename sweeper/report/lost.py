"""What was committed of a job and counts no longer: withdrawn, or of a damaged marker."""

from __future__ import annotations

from sweeper.progress import Progress
from sweeper.report.terminal import moment
from sweeper.states import UNNEEDED
from sweeper.store.markers import Withdrawal, withdrawals


def lost_outcome(progress: Progress, key: str) -> list[str]:
    """Lines that say whose outcome of a job no longer counts, and why; none where all counts."""
    units, there = progress.addressing.units(key) or {}, progress.commits.by_unit
    lacking = {unit for unit in units.values() if unit not in there}
    if not lacking:
        return []
    address = progress.attempt_address(key)  # of a marker that cannot be read its name tells
    damaged = progress.commits.damaged
    found = [
        f"  It was committed, but {why[0].lower()}{why[1:]}"
        for name, why in damaged.items()
        if name.rpartition(".")[0] == address
    ]
    told = [line for one in withdrawals(progress.files) for line in _told(one, address, lacking)]
    if told:
        needed = progress.state(key) != UNNEEDED
        when = "by the next run" if needed else "when something needs it"
        told.append(f"  It is made again {when}; until then nothing of it counts.")
    return found + told


def _told(one: Withdrawal, address: str, lacking: set[str]) -> list[str]:
    commit = one.commit
    if one.marker.rpartition(".")[0] != address and (
        commit is None or lacking.isdisjoint(commit.units.values())
    ):
        return []
    by = f" by attempt {commit.attempt} ({moment(commit.committed)})" if commit else ""
    return [f"  It was committed{by}, and withdrawn ({moment(one.withdrawn)}):", f"  {one.why}"]
