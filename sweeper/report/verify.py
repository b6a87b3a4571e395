"""What `sweeper store verify` shows: while it reads, and of what it found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console

from sweeper.analysis.again import done_again
from sweeper.disk import size
from sweeper.errors import StoreError
from sweeper.report.listing import counted, first, line
from sweeper.report.terminal import duration, say
from sweeper.store.agreement import Second
from sweeper.store.files import StoreFiles
from sweeper.store.records import Fault
from sweeper.store.verify import Verified


def consequences(files: StoreFiles, verified: Verified) -> dict[str, list[str]] | str:
    """Study -> the jobs that are done again once repaired, or why that cannot be told."""
    unread = {
        fault.withdraws
        for fault in verified.faults
        if fault.withdraws and fault.name == f"commits/{fault.withdraws}"
    }
    try:
        return done_again(files, verified.jobs, unread, verified.unmarked)
    except StoreError as error:
        return str(error)


def data_of(
    verified: Verified, again: dict[str, list[str]] | str, repaired: int
) -> dict[str, Any]:
    """All that was found, for programs."""
    return {
        "counts": dict(verified.counts),
        "faults": [asdict(fault) for fault in verified.faults],
        "withdrawing": verified.withdrawing,
        "rests_on": verified.rests_on,
        "done_again": again if isinstance(again, dict) else None,
        "leftovers": [asdict(one) for one in verified.leftovers],
        "disagreeing": [asdict(one) for one in verified.disagreeing],
        "repaired": repaired,
        "seconds": round(verified.seconds, 3),
    }


def print_verified(
    out: Console,
    root: str | Path,
    verified: Verified,
    again: dict[str, list[str]] | str,
    repaired: int,
) -> None:
    """What was looked at, what is damaged, what that means, and what a repair does or did."""
    say(out, f"{root}: {_looked_at(verified)}")
    withdrawing = [fault for fault in verified.faults if fault.withdraws]
    others = [fault for fault in verified.faults if not fault.withdraws]
    if withdrawing:
        out.print()
        _print_damage(out, withdrawing, verified.rests_on)
        _print_repair(out, len(verified.withdrawing), repaired)
    if others:
        out.print()
        say(out, f"{counted(len(others), 'fault')} that no repair mends", "bold red")
        for fault in first(out, others):
            line(out, f"  {fault.name}: {fault.problem.rstrip('.')}. {fault.remedy}")
    _print_leftovers(out, verified)
    _print_disagreeing(out, verified.disagreeing)
    if withdrawing or verified.unmarked:
        out.print()
        _print_again(out, again)
    out.print()
    if not verified.faults:
        say(out, "The store is whole.", "bold")
    elif repaired and not others:
        say(out, "The store is whole again; the next run does what it lost.", "bold")
    else:
        say(out, "The store is damaged.", "bold red")


def _looked_at(verified: Verified) -> str:
    counts = verified.counts
    parts = [counted(counts["markers"], "marker"), counted(counts["files"], "file")]
    parts += [counted(counts["rows"], "row"), counted(counts["asks"], "ask")]
    kinds = ("dropped", "withdrawn")
    parts += [f"{counts[kind]:,} {kind}" for kind in kinds if counts[kind]]
    seconds = verified.seconds
    spent = f"{seconds:.1f} s" if seconds < 10 else duration(seconds)
    return f"{', '.join(parts)}; {size(counts['bytes'])} read in {spent}"


def _print_damage(out: Console, faults: Sequence[Fault], rests_on: Mapping[str, int]) -> None:
    say(out, f"{counted(len(faults), 'fault')} of commits", "bold red")
    for fault in first(out, faults):
        job = f"{fault.job}: " if fault.job else ""
        line(out, f"  {job}{fault.name}: {fault.problem}")
        resting = rests_on.get(fault.withdraws)
        if resting:
            stay = "commit that was made from its checkpoint stays"
            several = "commits that were made from its checkpoint stay"
            say(out, f"    {resting:,} {stay if resting == 1 else several}")


def _print_repair(out: Console, count: int, repaired: int) -> None:
    out.print()
    if repaired:
        say(out, f"{counted(repaired, 'commit')} no longer counted; nothing was deleted.")
    else:
        say(
            out,
            f"--repair makes {counted(count, 'commit')} count as not there; it deletes nothing.",
        )


def _print_again(out: Console, again: dict[str, list[str]] | str) -> None:
    if isinstance(again, str):
        say(out, f"What the next run does again cannot be told: {again}")
    elif not again:
        say(out, "The next run does nothing again: no study needs what is lost.")
    else:
        for study, keys in again.items():
            say(out, f"The next run of {study} does {counted(len(keys), 'job')} again:")
            for key in first(out, keys):
                line(out, f"  {key}")


def _print_leftovers(out: Console, verified: Verified) -> None:
    found = verified.leftovers
    for what in sorted({one.what for one in found}):
        own = [one for one in found if one.what == what]
        count, total = sum(one.files for one in own), sum(one.bytes for one in own)
        out.print()
        say(out, f"{counted(count, 'file')} ({size(total)}) that no marker names: {what}")
        for one in first(out, own):
            job = f"{one.job}: " if one.job else ""
            line(out, f"  {job}{one.name} ({counted(one.files, 'file')}, {size(one.bytes)})")
    if found:
        out.print()
        say(out, "`sweeper gc --yes` removes them; a study that needs them makes them again.")


def _print_disagreeing(out: Console, several: Sequence[Second]) -> None:
    if not several:
        return
    out.print()
    said = "that does not count" if len(several) == 1 else "that do not count"
    say(out, f"{counted(len(several), 'attempt')} {said} scored otherwise (nondeterminism):")
    for one in first(out, several):
        told, more = one.differences[0], len(one.differences) - 1
        line(
            out,
            f"  {one.job}: {told.what} {told.kept} by {one.kept}, which counts, "
            f"{told.other} by {one.other}{f', and {more:,} more' if more else ''}",
        )
