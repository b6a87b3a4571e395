"""Asking sweeps to save and stop from elsewhere, and telling what came of it."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable

from sweeper.errors import StoreError, suggest
from sweeper.report.terminal import duration
from sweeper.store.drivers import Drivers, Seen, stop_marker

ASKED = "stopped by `sweeper stop`"
"""What the reason of a stop begins with that a person asked for from elsewhere."""

_LOOK_SECONDS = 1.0


def stop(
    drivers: Drivers,
    study: str | None,
    tell: Callable[[str], object],
    wait: Callable[[float], None] = time.sleep,
) -> None:
    """Ask the living drivers of a study (or of all) to stop, and wait until each has or is dead.

    The request outlives this process: who interrupts the waiting leaves it in place.

    Args:
        drivers: The store's drivers as this process sees them.
        study: The name of a study, or None.
        tell: Takes what happens, a sentence at a time.
        wait: Waits for some seconds, for tests.

    Raises:
        StoreError: the store has no such study, or cannot be written.
    """
    known = drivers.files.names("studies")
    if study is not None and study not in known:
        raise StoreError(f"The store has no study {study!r}.{suggest(study, known)}")
    asked = [seen for seen in drivers.living() if study in (None, seen.heartbeat.get("study"))]
    if not asked:
        tell(f"Nothing runs{f' of {study}' if study else ''}: no driver of this store is alive.")
        return
    for seen in asked:
        why = f"{ASKED} on {platform.node()}"
        drivers.files.create(stop_marker(seen.driver), {"why": why})
        tell(f"Asked {_name(seen)} to save and stop. {_at_work(seen)}")
    while asked:
        asked = [seen for seen in asked if not _is_over(drivers, seen, tell)]
        if asked:
            wait(_LOOK_SECONDS)


def _at_work(seen: Seen) -> str:
    """What it was at when it last showed itself, some seconds ago."""
    jobs = seen.heartbeat.get("running", {})
    begun = sum(bool(said["phase"]) for said in jobs.values())
    if not jobs:
        return "By its last beat it was between two jobs, or waiting for one."
    waiting = len(jobs) - begun
    more = f", and {waiting} that waited for a worker" if waiting else ""
    return f"By its last beat it ran {begun} job{'' if begun == 1 else 's'}{more}."


def _is_over(drivers: Drivers, seen: Seen, tell: Callable[[str], object]) -> bool:
    drivers.look(seen.driver)
    if drivers.lives(seen):
        return False
    if seen.ended:
        tell(f"Ended: {_name(seen)} ({seen.heartbeat['why'] or 'its sweep was over'}).")
    elif seen.gone:
        tell(f"Dead: {_name(seen)}; there is no such process any more, so nothing runs there.")
    else:
        still = duration(drivers.clock() - seen.changed)
        tell(f"Seems dead: {_name(seen)}; its last beat has not changed for {still}.")
    return True


def _name(seen: Seen) -> str:
    said = seen.heartbeat
    if not said:
        return f"driver {seen.driver[:8]}"
    return f"driver {seen.driver[:8]} of {said['study']} on {said['host']} (process {said['pid']})"
