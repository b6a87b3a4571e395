"""Whether the checkpoints of a plan fit on the disk of its store."""

from __future__ import annotations

import shutil
from pathlib import Path

from sweeper.errors import EngineError
from sweeper.graph import Plan
from sweeper.progress import Progress

_AT_WORK = 8


def checkpoints_needed(planned: Plan, progress: Progress | None = None) -> int | None:
    """Bytes that checkpoints yet to be made take; None if the size of one is not known.

    They are the stages, a winner per search, and the trials of the searches at work: of eight of
    them, since their scores, which let the losers go, are handed out first. Resume points are
    not counted. Without a ``progress`` everything is yet to be made.
    """
    if planned.checkpoint_bytes is None:
        return None
    left = set(planned.jobs)
    if progress is not None:  # what failed is tried again
        left = {*progress.left, *progress.failures, *progress.blocked()}
    stages = sum(job.kind == "train" and job.key in left for job in planned.jobs.values())
    searches = [s for s in planned.searches.values() if not left.isdisjoint(s.trials)]
    largest = max((len(search.trials) for search in searches), default=0)
    at_work = largest * min(_AT_WORK, len(searches))
    return planned.checkpoint_bytes * (stages + len(searches) + at_work)


def free_bytes(folder: Path) -> int:
    """What the disk of a folder, which need not exist yet, has free."""
    return shutil.disk_usage(_existing(folder)).free


def check_disk(planned: Plan, folder: Path, progress: Progress | None = None) -> None:
    """Refuse a plan whose checkpoints cannot fit on the store's disk.

    Raises:
        EngineError: with the bytes needed and free.
    """
    needed = checkpoints_needed(planned, progress)
    free = free_bytes(folder)
    if needed is not None and needed > free:
        raise EngineError(
            f"The checkpoints of {planned.study.name} need {size(needed)}, and the disk of "
            f"{_existing(folder)} has {size(free)} free. Free some space, give a store on "
            "another disk, or take seeds, rows or targets out of the study."
        )


def size(count: float) -> str:
    """Bytes for people."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def _existing(folder: Path) -> Path:
    folder = folder.absolute()
    return next(path for path in [folder, *folder.parents] if path.exists())
