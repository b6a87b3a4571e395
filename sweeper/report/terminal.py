"""What the commands print, readable at 80 columns and without colours."""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import IO, TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from sweeper.analysis.cell import Column
from sweeper.analysis.matrix import TransferMatrix
from sweeper.report.cells import Shown, head, notes, places, shown, title
from sweeper.states import BLOCKED, DONE, FAILED

if TYPE_CHECKING:
    import pandas as pd

    from sweeper.analysis.best import Best

STATE_STYLES = {DONE: "green", FAILED: "red", BLOCKED: "red", "partial": "yellow"}


def console(stream: IO[str] | None = None) -> Console:
    """A console for a stream (default: standard output); plain where it is no terminal."""
    out = Console(file=stream or sys.stdout, highlight=False, soft_wrap=False)
    if not out.is_terminal and "COLUMNS" not in os.environ:
        out.width = 80
    return out


def say(out: Console, text: str = "", style: str = "") -> None:
    """A line or paragraph of plain text: no markup is read from it."""
    out.print(Text(text, style=style))


def table(*headers: str, right: Sequence[int] = ()) -> Table:
    """An empty table in the house style; ``right`` are the columns of numbers."""
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    for place, header in enumerate(headers):
        justify: Any = "right" if place in right else "left"
        made.add_column(Text(header), justify=justify, overflow="fold")
    return made


# ---- matrices ---------------------------------------------------------------------------------


def print_matrix(out: Console, matrix: TransferMatrix, *, with_notes: bool = True) -> None:
    """A matrix, in as many tables as its columns need, and what a reader must know of it."""
    say(out, title(matrix), "bold")
    out.print()
    _print_tables(out, matrix, _cell)
    if with_notes:
        print_notes(out, matrix)


def _print_tables(out: Console, matrix: TransferMatrix, cell: Callable[[Shown], Text]) -> None:
    """The cells in tables that fit the width; by language, each table is of one target."""
    by_target = any(column.group is not None for column in matrix.columns)
    targets = dict.fromkeys(column.target for column in matrix.columns)
    for target in targets if by_target else [None]:
        columns = [column for column in matrix.columns if target in (None, column.target)]
        corner = target or "intermediate"
        texts = {
            column.name: [cell(shown(matrix, row, column)) for row in matrix.rows]
            for column in columns
        }
        plain = [head(column) for column in columns]
        plain += [text.plain for found in texts.values() for text in found]
        first = max(map(len, [corner, *matrix.rows]))
        for group in _even(columns, (out.width - first) // (3 + max(map(len, plain)))):
            made = table(corner, *map(head, group), right=range(1, len(group) + 1))
            for place, row in enumerate(matrix.rows):
                made.add_row(Text(row), *(texts[column.name][place] for column in group))
            out.print(made)
            out.print()


def _even(columns: list[Column], most: int) -> Iterator[list[Column]]:
    """The columns in as few groups as can be, of about one size."""
    groups = math.ceil(len(columns) / max(1, most))
    size = math.ceil(len(columns) / groups)
    for start in range(0, len(columns), size):
        yield columns[start : start + size]


def print_notes(out: Console, matrix: TransferMatrix) -> None:
    """The sentences under a matrix."""
    print_list(out, notes(matrix))
    out.print()


def print_list(out: Console, sentences: Iterable[str]) -> None:
    """Sentences below a table, each with a dash before it."""
    made = Table(box=None, show_header=False, pad_edge=False, padding=(0, 1, 0, 0), style="dim")
    for sentence in sentences:
        made.add_row("-", Text(sentence))
    out.print(made)


def _cell(cell: Shown) -> Text:
    if not cell.value:
        return Text(cell.state, style=STATE_STYLES.get(cell.state, "dim"))
    made = Text(cell.value, style="bold" if cell.best else "")
    if cell.stars:
        made.append(cell.stars)
    if cell.interval:
        made.append(f" {cell.interval}", style="not bold dim")
    elif cell.error:
        made.append(f" ± {cell.error}", style="not bold dim")
    if cell.seeds:
        made.append(f" ({cell.seeds})", style="not bold yellow")
    if cell.marks:
        made.append(f" {cell.marks}", style="not bold")
    return made


def print_languages(out: Console, matrix: TransferMatrix) -> None:
    """Scores per language, a table per target, from a matrix by language."""
    count = len(matrix.seeds)
    say(out, f"Scores per language: mean over {count} seed{'s' if count > 1 else ''}", "bold")
    out.print()
    _print_tables(out, matrix, _mean_only)
    trained = [column for column in matrix.columns if not column.zero_shot]
    if trained:
        say(out, "  (in brackets: the target is trained in this language, not zero-shot)", "dim")
        out.print()


def _mean_only(cell: Shown) -> Text:
    return _cell(replace(cell, error="", flagged=False, collapsed=False))


# ---- best -------------------------------------------------------------------------------------


def print_best_line(out: Console, found: Best) -> None:
    """A target's checkpoint in two lines: what it is, and where it lies."""
    if found.selection is None:
        said = f"{found.intermediate}, seed {found.seed} (no selection split: rows not ranked)"
    else:
        said = (
            f"{found.intermediate}, seed {found.seed}; "
            f"dev {found.metric} {_number(found.dev_score)} on {found.selection}"
        )
    line = Text(f"{found.target}: ", style="bold")
    out.print(line.append(said, style="not bold"))
    print_path(out, found.address)


def print_best(out: Console, found: Best) -> None:
    """All that is known of a target's checkpoint."""
    print_best_line(out, found)
    made = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    made.add_column(style="dim", no_wrap=True)
    made.add_column(overflow="fold")
    if found.selection is not None:
        loss = "" if found.dev_loss is None else f", loss {found.dev_loss:.4f} nats"
        value = f"{found.metric} {_number(found.dev_score)}{loss}, epoch {found.epoch}"
        made.add_row("dev", Text(value))
    digits = places("nats" if found.metric == "loss" else "percent")
    scores = "  ".join(f"{code} {value:.{digits}f}" for code, value in found.scores.items())
    made.add_row("scores", Text(scores or "not scored yet"))
    settings = [f"{name}={value}" for name, value in found.parameters.items() if value is not None]
    made.add_row("settings", Text(", ".join(settings)))
    made.add_row("why", Text(found.why))
    out.print(Padding(made, (0, 0, 0, 2)))
    out.print()


def print_path(out: Console, path: str) -> None:
    """A path on a line of its own, never wrapped, so that it can be copied."""
    out.print(Text(f"  {path}"), soft_wrap=True)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


_MOST_ROWS = 100


def print_rows(out: Console, found: pd.DataFrame) -> None:
    """The first rows of a table, and how many there are.

    Where not even the headers fit side by side, each row is a block with a line per column.
    """
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    numbers = [
        place
        for place, name in enumerate(found.columns)
        if is_numeric_dtype(found[name]) and not is_bool_dtype(found[name])
    ]
    headers = [str(name) for name in found.columns]
    shown = found.head(_MOST_ROWS).itertuples(index=False, name=None)
    rows = [[_told(value) for value in row] for row in shown]
    words = (max(map(len, header.split()), default=0) for header in headers)
    if sum(words) + 3 * (len(headers) - 1) > out.width:
        _print_blocks(out, headers, rows)
    else:
        made = table(*headers, right=numbers)
        for row in rows:
            made.add_row(*map(Text, row))
        out.print(made)
    if len(found) > _MOST_ROWS:
        say(out, f"({_MOST_ROWS} of {len(found):,} rows; `--csv` has all)", "dim")


def _print_blocks(out: Console, headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Rows one below the other, their columns too."""
    if not rows:
        say(out, f"No rows, of {', '.join(headers)}.")
    for place, row in enumerate(rows):
        if place:
            out.print()
        block = Table(box=None, show_header=False, pad_edge=False, padding=(0, 3, 0, 0))
        block.add_column(style="bold", no_wrap=True)
        block.add_column(overflow="fold")
        for header, value in zip(headers, row, strict=True):
            block.add_row(Text(header), Text(value))
        out.print(block)


def _told(value: Any) -> str:
    if value is None or value is math.nan or str(value) in ("nan", "<NA>"):
        return "-"
    if not isinstance(value, float):
        return str(value)
    return f"{value:.3g}" if abs(value) < 1 else f"{value:.4g}"


def moment(seconds: float) -> str:
    """A time, in seconds since 1970, to the minute of this host's zone."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


def duration(seconds: float) -> str:
    """A time span for people: ``4 s``, ``12 min``, ``3 h 20 min``."""
    if seconds < 60:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"
