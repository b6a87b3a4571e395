"""What `sweeper store merge` did, for people and as data."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from rich.console import Console

from sweeper.disk import size
from sweeper.merging.disagreements import Attempt, Disagreement
from sweeper.merging.merge import Merged
from sweeper.report.copied import print_damage
from sweeper.report.listing import first, line
from sweeper.report.terminal import duration, say

_DIFFERENCES = 5


def merged_data(merged: Merged) -> dict[str, Any]:
    """All of it, for programs."""
    return {**asdict(merged), "seconds": round(merged.seconds, 3)}


def print_merged(out: Console, merged: Merged) -> None:
    """What was taken, and what of it is not as it was in the store that it comes from."""
    if merged.files:
        say(
            out,
            f"{merged.files:,} files ({size(merged.bytes)}) with {merged.markers:,} markers that "
            f"count taken into {merged.address} in {duration(merged.seconds)}.",
        )
    else:
        say(out, f"{merged.address} has all of it: nothing was taken.")
    for name, new in merged.studies.items():
        if name != new:
            said = f"Another study of the name {name} is there: this one is {new} now"
            say(out, f"{said} (`--study {new}`).")
    told = [text for one in merged.disagreements for text in _disagreement(one)]
    if merged.both:
        say(out, f"{merged.both:,} commits are of work that both stores had done.")
    if told:
        count = len(merged.disagreements)
        out.print()
        say(out, f"They disagree on {count:,} (nondeterminism); what was there counts:", "bold")
        _lines(out, told)
    if merged.asks:
        out.print()
        say(out, "Trials that the stores asked for with other parameters:", "bold")
        _lines(
            out,
            [
                f"  {one.search} trial {one.number}: {_short(one.kept)} stays; "
                f"{_short(one.other)} is trial {one.becomes} now"
                for one in merged.asks
            ],
        )
    for study, keys in merged.again.items():
        out.print()
        say(out, f"By that, the next run of {study} does {len(keys):,} jobs that were done:")
        _lines(out, [f"  {key}" for key in keys])
    print_damage(out, merged.faults)


def _disagreement(one: Disagreement) -> Iterator[str]:
    yield f"  {one.job} ({one.address})"
    for difference in one.differences[:_DIFFERENCES]:
        kept, other = _short(difference.kept), _short(difference.other)
        yield f"    {difference.what}: {kept} counts, {other} there"
    if len(one.differences) > _DIFFERENCES:
        yield f"    and {len(one.differences) - _DIFFERENCES:,} more"
    yield f"    {_made(one.kept)} counts; {_made(one.other)} there{_versions(one)}"


def _made(attempt: Attempt) -> str:
    pieces = f", {attempt.micro_batch} at once" if attempt.micro_batch else ""
    return f"{attempt.attempt} on {attempt.device or 'an unknown device'}{pieces}"


def _versions(one: Disagreement) -> str:
    """The libraries of which the two attempts had other versions."""
    ours, theirs = one.kept.versions, one.other.versions
    differ = [n for n in sorted(ours.keys() | theirs.keys()) if ours.get(n) != theirs.get(n)]
    told = [f"{n} {ours.get(n, 'none')} and {theirs.get(n, 'none')}" for n in differ]
    return f"; {', '.join(told)}" if told else "; the same versions"


def _short(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def _lines(out: Console, lines: list[str]) -> None:
    for text in first(out, lines, "more lines"):
        line(out, text)
