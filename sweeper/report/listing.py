"""Long lists for people: their first lines, and how many there are besides."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

from rich.console import Console
from rich.text import Text

Item = TypeVar("Item")

_SHOWN = 20
"""Lines of one sort that people are shown; `--json` has all."""


def first(out: Console, items: Sequence[Item], rest: str = "more") -> Iterator[Item]:
    """The items to show; then a line says how many are left out, which ``rest`` names."""
    yield from items[:_SHOWN]
    if len(items) > _SHOWN:
        out.print(Text(f"  and {len(items) - _SHOWN:,} {rest} (--json has all)"))


def line(out: Console, text: str) -> None:
    """A line that is not wrapped: names in it can be copied."""
    out.print(Text(text), soft_wrap=True)


def counted(number: int, name: str) -> str:
    """A number of things: "1 row", "2,000 rows"."""
    return f"{number:,} {name}" if number == 1 else f"{number:,} {name}s"
