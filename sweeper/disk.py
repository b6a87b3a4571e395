"""Whether the checkpoints of a plan fit on the disk of its store."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from sweeper.errors import EngineError
from sweeper.graph import Plan
from sweeper.progress import Progress
from sweeper.scope import needed
from sweeper.store.files import folder_of

_AT_WORK = 8


def yet_to_do(
    planned: Plan, progress: Progress | None = None, ends: Sequence[str] | None = None
) -> set[str]:
    """The jobs of the part that is asked for, all by default, that are yet to be done.

    What failed is tried again. Without a ``progress`` nothing is done.
    """
    part = set(planned.jobs) if ends is None else needed(planned, ends)
    if progress is None:
        return part
    return part & {*progress.left, *progress.failures, *progress.blocked()}


def checkpoints_needed(
    planned: Plan, progress: Progress | None = None, ends: Sequence[str] | None = None
) -> int | None:
    """Bytes that checkpoints yet to be made take; None if the size of one is not known.

    They are the stages, a winner per search, and the trials of the searches at work: of eight of
    them, since their scores, which let the losers go, are handed out first. A trial has its best
    epoch, and what the study keeps beside it. Resume points are not counted. ``progress`` and
    ``ends`` are those of `yet_to_do`.
    """
    if planned.checkpoint_bytes is None:
        return None
    left = yet_to_do(planned, progress, ends)
    stages = sum(job.kind == "train" and job.key in left for job in planned.jobs.values())
    searches = [s for s in planned.searches.values() if not left.isdisjoint(s.trials)]
    each = [1 if s.stage else 1 + len(planned.study.checkpoints) for s in searches]
    trials = [len(s.trials) * count for s, count in zip(searches, each, strict=True)]
    at_work = max(trials, default=0) * min(_AT_WORK, len(searches))
    return planned.checkpoint_bytes * (stages + sum(each) + at_work)


def free_bytes(store: str | Path) -> int | None:
    """What the disk of a store, which need not exist yet, has free; None for a bucket."""
    folder = folder_of(store)
    return None if folder is None else shutil.disk_usage(_existing(folder)).free


def check_disk(
    planned: Plan,
    store: str | Path,
    progress: Progress | None = None,
    ends: Sequence[str] | None = None,
) -> None:
    """Refuse a plan whose checkpoints cannot fit on the store's disk, if it has one.

    Raises:
        EngineError: with the bytes needed and free.
    """
    room = checkpoints_needed(planned, progress, ends)
    free = free_bytes(store)
    if room is not None and free is not None and room > free:
        raise EngineError(
            f"The checkpoints of {planned.study.name} need {size(room)}, and the disk of "
            f"{store} has {size(free)} free. Free some space, name the store that it will have "
            "(`--store`: on another disk, or in a bucket), or take seeds, rows or targets out of "
            "the study."
        )


def size(count: float) -> str:
    """Bytes for people."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def _existing(folder: Path) -> Path:
    return next(path for path in [folder, *folder.parents] if path.exists())
