"""What can go from a store, for people and as data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from sweeper.collecting import Collected, Garbage
from sweeper.disk import size
from sweeper.report.terminal import say, table


def print_collected(
    out: Console, address: str, found: Collected, removed: Sequence[Garbage] | None
) -> None:
    """A line per sort of garbage; what ``removed`` says is gone, if anything was to be."""
    for seen in found.living:
        host = seen.heartbeat.get("host", "an unknown host")
        said = f"A sweep runs on this store (driver {seen.driver[:8]} on {host}): what it uses"
        say(out, f"{said} stays, and so do leases, drafts and new losers.", "yellow")
    shown = found.garbage if removed is None else removed
    if not shown:
        say(out, f"Nothing in {address} can go.")
        return
    made = table("what", "places", "files", "size", right=(1, 2, 3))
    for what in dict.fromkeys(one.what for one in shown):
        own = [one for one in shown if one.what == what]
        count, total = sum(one.files for one in own), sum(one.bytes for one in own)
        made.add_row(Text(what), f"{len(own):,}", f"{count:,}", size(total))
    out.print(made)
    out.print()
    whole = size(sum(one.bytes for one in shown))
    if removed is None:
        say(out, f"{whole} can go: nothing was removed. `--yes` removes it, `--json` lists it.")
    else:
        say(out, f"{whole} removed.")


def data_of(found: Collected, removed: Sequence[Garbage] | None) -> dict[str, Any]:
    """The same as data, with every name."""
    bytes_by_sort: Counter[str] = Counter()
    for one in found.garbage:
        bytes_by_sort[one.what] += one.bytes
    return {
        "living_drivers": [seen.driver for seen in found.living],
        "bytes": bytes_by_sort,
        "garbage": found.garbage,
        "removed": None if removed is None else [one.name for one in removed],
    }
