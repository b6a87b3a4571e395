"""Beginning an attempt: its orders, written where its worker reads them."""

from __future__ import annotations

from sweeper.graph import Job
from sweeper.inputs import Inputs
from sweeper.jobs import JobSpec
from sweeper.progress import Progress


def begun(progress: Progress, job: Job, attempt: str, released: float) -> JobSpec:
    """The orders of a new attempt at a job that was claimed; the store has them from now on.

    Args:
        progress: The plan against the store.
        job: The job.
        attempt: The attempt's name.
        released: When all that the job needs was there, in seconds since 1970.

    Raises:
        StoreError: they cannot be written.
    """
    missing = progress.missing(job.key)
    address = progress.attempt_address(job.key)
    made_from = progress.addressing.made_from(job.key) or {}
    inputs = Inputs(progress.addressing)
    spec = JobSpec(
        key=job.key,
        kind=job.kind,
        address=address,
        attempt=attempt,
        study=progress.plan.study.name,
        units=missing,
        inputs=inputs.of(job.key, missing),
        intermediate=job.intermediate,
        target=job.target,
        seed=job.seed,
        trial=job.trial,
        parents=tuple(progress.addressing.parents(job.key)),
        made_from={name: made_from[name] for name in missing},
        generation=progress.generation(address),
        released=released,
        pruned=progress.stop_record(job.key),
        reads=tuple(sorted(inputs.reads)),
    )
    progress.files.create(f"attempts/{address}/{spec.attempt}/job.json", spec.to_json())
    return spec
