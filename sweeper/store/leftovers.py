"""Files that no marker names, and what became of the attempts that they are of."""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass

from sweeper.store.drivers import Drivers
from sweeper.store.files import StoreFiles
from sweeper.store.folder import DRAFT
from sweeper.store.records import Records, job_of_attempt

DEAD = "attempts that died, or were not the first to end"
PRUNED = "attempts at trials that were stopped early"
UNMARKED = "attempts that ended, but have no marker that can be read"
RESUME = "resume points of jobs that are done"
DRAFTS = "drafts"


@dataclass(frozen=True)
class Leftover:
    """Files that no marker names: those of one attempt, a draft, or resume points.

    ``what`` is one of the sorts above, ``job`` the key of the job that an attempt was made for
    ("" where that is not known).
    """

    name: str
    files: int
    bytes: int
    what: str
    address: str = ""
    job: str = ""


def leftovers(files: StoreFiles, records: Records) -> Iterator[Leftover]:
    """Files that no marker names, but those of attempts that a living driver says it runs."""
    commits = [commit for commit in records.named.values() if commit]
    known = {name for commit in commits for name in commit.files} | set(records.failed_tables)
    known |= {f"{commit.folder}/job.json" for commit in commits}
    attempts = {commit.folder for commit in commits}
    done = {commit.address for commit in records.counting()}
    living = Drivers(files).living()
    running = [seen.heartbeat.get("running", {}) for seen in living]
    working = {one["attempt"] for said in running for one in said.values()}
    groups: dict[str, list[int]] = {}
    for name, size in {**files.sizes(""), **files.drafts()}.items():
        group = "" if name in known else _group(name, attempts, done)
        if group and working.isdisjoint(group.split("/")):
            groups.setdefault(group, []).append(size)
    for group, sizes in sorted(groups.items()):
        yield Leftover(group, len(sizes), sum(sizes), *_what(files, records, group, groups, done))


def _group(name: str, attempts: set[str], done: set[str]) -> str:
    """Under which name a file that no marker names is listed; "" if it is no leftover."""
    top, *parts = name.split("/")
    if top == "attempts":
        attempt = "/".join([top, *parts[:2]])
        return name if attempt in attempts else attempt
    if top == "resume":
        # Of a job that is not done they are what it goes on from: a pruned trial, too.
        return f"resume/{parts[0]}" if parts[0] in done else ""
    return name if top == "tables" or name.split("/")[-1].startswith(DRAFT) else ""


def _what(
    files: StoreFiles, records: Records, name: str, there: Container[str], done: set[str]
) -> tuple[str, str, str]:
    """The sort of a leftover, its address, and the job that it was made for."""
    parts = name.split("/")
    if parts[0] == "resume":
        return RESUME, parts[1], ""
    if parts[-1].startswith(DRAFT):
        return DRAFTS, "", ""
    if parts[0] == "attempts":
        address, attempt = parts[1], parts[2] if len(parts) > 2 else ""
    else:
        address, _, attempt = parts[-1].removesuffix(".parquet").partition("-")
    death = records.deaths.get(f"{address}/{attempt}")
    if death is not None:
        return (PRUNED if death.get("error") == "pruned" else DEAD), address, death["job"]
    ended = f"tables/trials/{address}-{attempt}.parquet"  # written last, but for the marker
    if address in done or ended not in there:
        return DEAD, address, ""
    return UNMARKED, address, job_of_attempt(files, address, attempt)
