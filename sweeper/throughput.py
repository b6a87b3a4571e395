"""What a store has measured: the seconds of its done jobs, beside what they were modelled to take.

Taken from the ``trials`` table of every study in the store with the same encoder, since how fast a
job is does not depend on which study asked for it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from sweeper.errors import StoreError
from sweeper.estimates import SETTINGS, Sample, likeness
from sweeper.graph import Job, Plan
from sweeper.prices import Prices
from sweeper.resolving import open_study
from sweeper.sizes import Encoder, encoder
from sweeper.store import tables
from sweeper.store.commits import Commits
from sweeper.store.files import StoreFiles
from sweeper.workload import Seconds, seconds, work_of

_NEWEST = 400
"""Jobs whose times are read: the newest. A table is a small file, of which a bucket has many."""
SHARED = " / "
"""In the name of a device: before how many jobs share it."""
_WORK = ("compute", "evaluate", "score")


def measured(
    files: StoreFiles, planned: Plan, prices: Prices, commits: Commits | None = None
) -> dict[str, list[Sample]]:
    """Driver's name of a device -> the done jobs of this plan's encoder on it."""
    found = encoder(planned.study)
    if found is None:
        return {}
    plans = dict(_plans(files, found))
    markers = (commits or Commits(files, tolerant=True)).by_address.values()
    newest = sorted(markers, key=lambda commit: commit.committed)[-_NEWEST:]
    names = [name for commit in newest if (name := commit.table("trials"))]
    samples: dict[str, list[Sample]] = {}
    for row in tables.read(files, "trials", names).to_pylist():
        known = plans.get(row["study"])
        job = known.jobs.get(row["job"]) if known else None
        if known and job and row["status"] == "done" and row["device"]:
            sample = _sample(known, job, row, found, prices)
            if sample:
                samples.setdefault(row["device"].partition(SHARED)[0], []).append(sample)
    return samples


def _plans(files: StoreFiles, found: Encoder) -> Iterator[tuple[str, Plan]]:
    for name in files.names("studies"):
        try:
            planned, _ = open_study(files, name)
        except StoreError:  # of an older sweeper: nothing is known of its jobs
            continue
        if encoder(planned.study) == found:
            yield name, planned


def _sample(
    planned: Plan, job: Job, row: Mapping[str, Any], found: Encoder, prices: Prices
) -> Sample | None:
    """A row of ``trials`` as a sample; None where it is of other work than the plan now says."""
    if job.kind in ("train", "tune"):
        said, ran = job.declared["training"], json.loads(row["parameters"] or "{}")
        if any(ran.get(name) != said[name] for name in SETTINGS):
            return None
    _, device = prices.called(row["device"])
    modelled = seconds(work_of(planned, job), found, device)
    growing = (*_WORK, "data") if job.kind == "prepare" else _WORK
    work = sum(row[f"seconds_{phase}"] or 0.0 for phase in growing)
    whole = row["committed"] - row["started"]
    if work <= 0 or modelled.work <= 0:
        return None
    # Of jobs that shared a GPU each had its part of the time.
    shared = int(row["device"].rpartition(SHARED)[2]) if SHARED in row["device"] else 1
    took = Seconds(work / shared, max(0.0, whole - work) / shared)
    return Sample(likeness(planned, job), modelled, took, row["peak_memory"] or 0)
