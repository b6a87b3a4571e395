"""The list of tasks: what each is, how large, and whether its data is there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from sweeper.tasks import kinds
from sweeper.tasks.card import Card, Split
from sweeper.tasks.presence import has_files


def print_tasks(out: Console, cards: Mapping[str, Card], root: Path | None) -> None:
    """Every card: kind, role, languages, sizes, licence, source, and whether it is there now."""
    made = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    made.add_column(style="bold", no_wrap=True)
    made.add_column()
    for name in sorted(cards):
        card = cards[name]
        what = f"{card.title}: {card.kind.replace('_', ' ')}; {role(card)}; {_languages(card)}"
        made.add_row(Text(name), Text(what))
        made.add_row("", Text(f"rows: {sizes(card)}"))
        made.add_row("", Text(f"data: {data_state(card, root)}"))
        made.add_row("", Text(f"licence: {card.licence}", style="dim"))
    out.print(made)
    out.print()
    where = (
        f"Local files are looked for in SWEEPER_DATA (or --data), {root}."
        if root
        else "SWEEPER_DATA is not set: a task that is not made by code comes from the hub."
    )
    out.print(Text(where), soft_wrap=True)


def data_of_cards(cards: Mapping[str, Card], root: Path | None) -> list[dict[str, Any]]:
    """The same as data; ``rows`` are per split and language, null where the card knows none."""
    return [
        {
            "task": name,
            "title": card.title,
            "kind": card.kind,
            "role": role(card),
            "rows": {
                split: {code: said.rows_in(code) for code in said.languages}
                for split, said in card.splits.items()
            },
            "data": data_state(card, root),
            "licence": card.licence,
        }
        for name, card in sorted(cards.items())
    ]


def role(card: Card) -> str:
    """What a task can be in a study."""
    found = []
    trains = kinds.get(card.kind).needs_training
    if trains and "train" in card.splits:
        found.append("intermediate")
    if card.training_task or not trains:
        source = card.training_task
        found.append(f"target (from {source})" if source and source != card.name else "target")
    return ", ".join(found) or "intermediate"


def _languages(card: Card) -> str:
    codes = sorted({code for split in card.splits.values() for code in split.languages})
    return " ".join(codes) if len(codes) <= 5 else f"{len(codes)} languages"


def sizes(card: Card) -> str:
    """The rows that the card knows of each split, per language."""
    return ", ".join(f"{name} {_size(split)}" for name, split in card.splits.items())


def _size(split: Split) -> str:
    known = [rows for code in split.languages if (rows := split.rows_in(code)) is not None]
    count = len(split.languages)
    if not known:
        return "unknown" if count == 1 else f"{count} x unknown"
    low, high = min(known), max(known)
    some = f"{low:,}" if low == high else f"{low:,} to {high:,}"
    if len(known) < count:
        return f"{count} x unknown ({len(known)} known: {some})"
    return some if count == 1 else f"{count} x {some}"


def data_state(card: Card, root: Path | None) -> str:
    """Where a task's rows come from, and which of its files are there now."""
    if "synthetic" in card.sources:
        return "made by code"
    return "; ".join(_states(card, root))


def _states(card: Card, root: Path | None) -> Iterator[str]:
    hub, local = card.sources.get("hub"), card.sources.get("local")
    if local and root:
        counts = []
        for split in local.told():
            codes = card.splits[split].languages
            counts.append((split, sum(has_files(card, split, c, root) for c in codes), len(codes)))
        if all(there == count for _, there, count in counts):
            yield "local files, all there"
            return
        if any(there for _, there, _ in counts):
            said = ", ".join(f"{split} {there}/{count}" for split, there, count in counts)
            yield f"local files, of {said} languages"
            return
    if hub:
        yield f"from the hub, {hub.dataset}"
    elif root:
        yield f"not there: your own files{_how(card)}"
    else:
        yield f"your own files: set SWEEPER_DATA to their folder{_how(card)}"


def _how(card: Card) -> str:
    return f". {' '.join(card.how_to_get.split())}" if card.how_to_get else ""
