"""What the next run of each study would do again, if some commits counted as not there."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sweeper.progress import Progress
from sweeper.resolving import open_study
from sweeper.store.commits import Commits
from sweeper.store.files import StoreFiles


def done_again(
    files: StoreFiles,
    lost: Mapping[str, str],
    unread: Collection[str] = (),
    unmarked: Mapping[str, str] | None = None,
) -> dict[str, list[str]]:
    """Study -> the jobs that its next run does again, of those that were done.

    What nothing needs any more (the stages of a finished study) is not among them, nor is a score
    whose trial is done again: it stays, unless another trial then wins.

    Args:
        files: The store.
        lost: The markers that would not count, each with its job ("" if that is unknown).
        unread: Those of them that cannot be read, and so do not count today either.
        unmarked: Addresses whose marker is gone, so that they do not count today either, and jobs.

    Raises:
        StoreError: a study's snapshot, or another marker, cannot be read.
    """
    found = {}
    gone = unmarked or {}
    addresses = {name.rpartition(".")[0] for name in unread} | set(gone)
    jobs = {*lost.values(), *gone.values()}
    for study in files.names("studies"):
        planned, resolved = open_study(files, study)
        today, then = (
            Progress(planned, resolved, files, failures=False, commits=Commits(files, names))
            for names in (unread, lost)
        )
        again = [
            key
            for key in planned.jobs
            if key in then.left and _did(key, today, then, addresses, jobs)
        ]
        if again:
            found[study] = again
    return found


def _did(key: str, today: Progress, then: Progress, addresses: set[str], jobs: set[str]) -> bool:
    """Whether a job that would be left was done, by a commit that is lost or would not count."""
    if then.addressing.units(key) is None:  # what it is made from is lost, too
        return key in jobs
    return key not in today.left or then.attempt_address(key) in addresses
