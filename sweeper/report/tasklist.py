"""The list of tasks: what each is, and whether its data is there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from sweeper.tasks import kinds
from sweeper.tasks.card import Card, fill


def print_tasks(out: Console, cards: Mapping[str, Card], root: Path | None) -> None:
    """Every card: kind, role, languages, licence, and whether its data is there now."""
    made = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    made.add_column(style="bold", no_wrap=True)
    made.add_column()
    for name in sorted(cards):
        card = cards[name]
        what = f"{card.title}: {card.kind.replace('_', ' ')}; {role(card)}; {_languages(card)}"
        made.add_row(Text(name), Text(what))
        made.add_row("", Text(f"data: {data_state(card, root)}"))
        made.add_row("", Text(f"licence: {card.licence}", style="dim"))
    out.print(made)
    out.print()
    where = (
        f"Local files are looked for in SWEEPER_DATA, {root}."
        if root
        else "SWEEPER_DATA is not set: a task that is not made by code comes from the hub."
    )
    out.print(Text(where), soft_wrap=True)


def role(card: Card) -> str:
    """What a task can be in a study."""
    found = []
    if "train" in card.splits:
        found.append("intermediate")
    if card.training_task or not kinds.get(card.kind).needs_training:
        source = card.training_task
        found.append(f"target (from {source})" if source and source != card.name else "target")
    return ", ".join(found) or "intermediate"


def _languages(card: Card) -> str:
    codes = sorted({code for split in card.splits.values() for code in split.languages})
    return " ".join(codes) if len(codes) <= 5 else f"{len(codes)} languages"


def data_state(card: Card, root: Path | None) -> str:
    """Where a task's rows would come from now, and whether they are there."""
    if "synthetic" in card.sources:
        return "made by code"
    hub, local = card.sources.get("hub"), card.sources.get("local")
    if hub and (root is None or local is None):
        return f"from the hub, {hub.dataset}"
    if root is None or local is None:
        return "your own files: set SWEEPER_DATA to their folder"
    wanted = [
        fill(pattern, code)
        for split in local.told()
        for code in card.splits[split].languages
        for pattern in local.patterns(split)
    ]
    files = list(dict.fromkeys(wanted))
    there = sum(any(root.glob(f)) if "*" in f else (root / f).is_file() for f in files)
    if there == len(files):
        return f"local files, all {there} there"
    return f"local files, {there} of {len(files)} there"
