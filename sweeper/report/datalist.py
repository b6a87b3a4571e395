"""Where the data of a plan comes from, a line per task, and which files are not there."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.text import Text

from sweeper.graph import Plan
from sweeper.needs import Need, data_root, missing_folder, needs
from sweeper.report.terminal import print_path, say, table
from sweeper.tasks.presence import how_to_get

SOURCES = {"local": "files", "hub": "hub", "synthetic": "made by code"}


def print_data(out: Console, planned: Plan) -> None:
    """The tasks that a plan reads; nothing if all of them are made by code."""
    found = needs(planned)
    if all(need.source == "synthetic" for need in found):
        return
    made = table("data", "from", "rows", right=(2,))
    for need in found:
        made.add_row(Text(need.card.name), _source(need), _rows(need))
    out.print()
    out.print(made)
    out.print()
    for need in found:
        if need.missing:
            more = len(need.missing) - 1
            say(out, f"Missing of {need.card.name}:")
            print_path(out, f"{need.missing[0]}{f', and {more} more' if more else ''}")
    root, lost = data_root(planned.study), missing_folder(planned.study)
    if lost:
        say(out, str(lost), "yellow")
        return
    nowhere = [need.card for need in found if need.absence and not need.missing]
    for card in nowhere:
        say(out, f"{card.name} is read from files alone.{how_to_get(card)}", "yellow")
    if root is None:
        say(out, "No data folder is named (SWEEPER_DATA, or `data:` in the study).")
    if nowhere:
        options = " ".join(f"--without {card.name}" for card in nowhere)
        say(out, f"To plan and sweep without: `{options}`.")


def data_of_tasks(planned: Plan) -> list[dict[str, Any]]:
    """The same as data; ``rows`` are those that the card knows of, null if it knows not all."""
    return [
        {
            "task": need.card.name,
            "from": need.source,
            "rows": need.rows if need.counted else None,
            "missing": need.missing,
        }
        for need in needs(planned)
    ]


def _source(need: Need) -> Text:
    if not need.absence:
        return Text(SOURCES[need.source])
    count = len(need.missing)
    files = f": {count} file{'' if count == 1 else 's'}" if count else ""
    return Text(f"missing{files}", style="yellow")


def _rows(need: Need) -> str:
    if need.counted:
        return f"{need.rows:,}"
    return f"over {need.rows:,}" if need.rows else "unknown"
