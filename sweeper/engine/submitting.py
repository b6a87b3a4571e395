"""`submit`: the driver of a study as a job of a cluster's job server."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sweeper.engine.environment import secrets_for
from sweeper.engine.jobserver import JobServer, Submitted
from sweeper.engine.parcel import STUDY
from sweeper.redaction import redacted
from sweeper.store.files import digest
from sweeper.study import Study


def submit(
    server: JobServer,
    study: Study,
    store: str,
    part: Sequence[str],
    limits: Sequence[str],
    tell: Callable[[str], object],
) -> str:
    """Have a cluster run a study into a store; returns the job's name.

    A job that is at the same already is left to it, with the limits that it has, and its name
    returned. Of another version of the study both run, and share the store's work.

    Args:
        server: Of the cluster.
        study: Travels there.
        store: As every host of the cluster reaches it.
        part: Options of `sweeper run` that say what is done, such as ``--rows=none``.
        limits: Those that say how much of the cluster it may take, such as ``--max-gpus=4``.
        tell: Takes what happens, a sentence at a time.
    """
    about = {
        "sweeper": "run",
        "study": study.name,
        "store": redacted(store),
        "plan": digest([study.model_dump_json(exclude_unset=True), *part]),
        "limits": " ".join(limits),
    }
    for job in submitted(server, study.name, store):
        if not job.lives:
            continue
        if job.about["plan"] == about["plan"]:
            tell(f"{job.id} is at it already ({job.state}); nothing was submitted.")
            has = job.about.get("limits", "")  # not there if an older sweeper submitted it
            if about["limits"] != has:
                tell(
                    f"It goes on with {has or 'no limits'}: `sweeper stop` it first to submit it "
                    "with others."
                )
            return job.id
        tell(f"{job.id} runs another version of {study.name}; both share the store's work.")
    run = ["run", STUDY, "--store", store, "--address", "auto", *part, *limits]
    name = server.submit(f"sweeper-{study.name}", run, study, secrets_for(store), about)
    at = f" --address {server.address}"
    there = f"{study.name} --store {about['store']}{'' if '://' in store else at}"
    tell(
        f"Submitted {name} to {server.address}: this machine may go away.\n"
        f"  what it prints:  sweeper logs --driver {study.name}{at}\n"
        f"  how far it is:   sweeper status {there}\n"
        f"  to end it:       sweeper stop {there}"
    )
    return name


def submitted(
    server: JobServer, study: str | None = None, store: str | None = None
) -> list[Submitted]:
    """The sweeps that were submitted, of a study and to a store if they are said; latest first."""
    return [
        job
        for job in server.jobs()
        if job.about["sweeper"] == "run"
        and study in (None, job.about["study"])
        and (store is None or job.about["store"] == redacted(store))
    ]
