"""What `sweeper store copy` did, for people and as data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console

from sweeper.disk import size
from sweeper.report.listing import first, line
from sweeper.report.terminal import duration, say
from sweeper.store.copying import Copied
from sweeper.store.records import Fault


def copied_data(copied: Copied) -> dict[str, Any]:
    """All of it, for programs."""
    return {**asdict(copied), "seconds": round(copied.seconds, 3)}


def print_copied(out: Console, copied: Copied) -> None:
    """What was copied, what a copy does not have, and what is damaged."""
    spent = duration(copied.seconds)
    if copied.files:
        say(
            out,
            f"{copied.files:,} files ({size(copied.bytes)}) with {copied.markers:,} markers "
            f"copied to {copied.address} in {spent}.",
        )
    else:
        say(out, f"{copied.address} has all of it: nothing was copied.")
    for sort, count in sorted(copied.left_out.items()):
        say(out, f"Left out: {sort} ({count:,})")
    print_damage(out, copied.faults)


def print_damage(out: Console, faults: Sequence[Fault]) -> None:
    """What is damaged where things were taken from, and so was not taken."""
    if not faults:
        return
    out.print()
    say(out, "Damaged there, and not taken: the commits of", "bold red")
    for fault in first(out, faults):
        job = f"{fault.job}: " if fault.job else ""
        line(out, f"  {job}{fault.name}: {fault.problem} {fault.remedy}")
    say(
        out,
        "`sweeper store verify --repair` makes them count as not there; the next run then does "
        "again what is needed of them.",
    )
