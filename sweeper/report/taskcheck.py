"""Reading every row of the tasks that are there, and holding it against their cards."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from sweeper.errors import StudyError, SweeperError, suggest
from sweeper.report.terminal import say
from sweeper.resolving import has_files, source_of
from sweeper.tasks import readers, sources
from sweeper.tasks.card import Card

SHOWN = 3
"""How many of the rows that were left out are shown."""


@dataclass(frozen=True)
class Checked:
    """One split of a task in one language.

    ``rows`` is None where it is not there or could not be read (then ``problem`` says why).
    ``stated`` is what the card says; ``skipped`` are the rows that were left out, and why.
    """

    task: str
    split: str
    language: str
    rows: int | None = None
    stated: int | None = None
    problem: str = ""
    there: bool = True
    skipped: tuple[str, ...] = ()

    @property
    def good(self) -> bool:
        """Whether all that is there is as the card says; what is absent is no fault."""
        return not self.problem and (
            self.rows is None or self.stated is None or self.rows == self.stated
        )


def check_tasks(
    cards: Mapping[str, Card],
    names: Sequence[str],
    root: Path | None,
    *,
    keep_going: bool = False,
) -> Iterator[list[Checked]]:
    """Per task, what each of its units has; units whose files lack are not opened.

    Args:
        cards: The tasks.
        names: Those to check; none: all that are made by code or have local files. A task on the
            hub is read only where it is named.
        root: The folder of the local files.
        keep_going: Leave rows out that break a rule; in place of stopping at the first.

    Raises:
        StudyError: there is no task of a name.
    """
    for name in names:
        if name not in cards:
            raise StudyError(f"There is no task {name!r}.{suggest(name, cards)}")
    for name in names or sorted(cards):
        card = cards[name]
        source = source_of(card, root)
        if source == "hub" and not names:
            continue
        units = [(split, code) for split, one in card.splits.items() for code in one.languages]
        if source == "local" and not names and not _any(card, units, root):
            continue
        yield [_check(card, split, code, source, root, keep_going) for split, code in units]


def _any(card: Card, units: Iterable[tuple[str, str]], root: Path | None) -> bool:
    return root is not None and any(has_files(card, *unit, root) for unit in units)


def _check(
    card: Card, split: str, code: str, source: str, root: Path | None, keep_going: bool
) -> Checked:
    stated = card.splits[split].rows_in(code)
    place = (card.name, split, code)
    if source != "synthetic" and split not in card.source(source).told():  # type: ignore[union-attr]
        return Checked(*place, stated=stated, there=False)
    if source == "local" and (root is None or not has_files(card, split, code, root)):
        return Checked(*place, stated=stated, there=False)
    skipped: list[str] | None = [] if keep_going else None
    try:
        found = sources.resolve(card, split, [code], source=source, root=root)[code]
        rows = readers.read(card, split, code, found, root, skipped=skipped)
    except SweeperError as error:
        return Checked(*place, None, stated, str(error), skipped=tuple(skipped or ()))
    return Checked(*place, len(rows), stated, skipped=tuple(skipped or ()))


# ---- what is printed --------------------------------------------------------------------------


def print_check(out: Console, checks: Iterable[list[Checked]]) -> bool:
    """The outcome per task and split, every mismatch in a line; whether all is as the cards say.

    Lines appear as tasks are read.
    """
    good, tasks, rows = True, 0, 0
    for units in checks:
        tasks += 1
        for split in dict.fromkeys(unit.split for unit in units):
            mine = [unit for unit in units if unit.split == split]
            say(out, _line(mine))
            for unit in mine:
                for text in _faults(unit):
                    say(out, f"  {text}", "yellow")
            rows += sum(unit.rows or 0 for unit in mine)
            good = good and all(unit.good for unit in mine)
    verdict = "all as their cards say" if good else "not all as their cards say"
    say(out, f"{tasks} tasks, {rows:,} rows read, {verdict}", "bold")
    return good


def _line(units: Sequence[Checked]) -> str:
    there = [unit for unit in units if unit.there]
    place = f"{units[0].task}/{units[0].split}"
    if not there:
        return f"{place}: not there"
    rows = sum(unit.rows or 0 for unit in there)
    missing = [unit.language for unit in units if not unit.there]
    few = f", not there: {' '.join(missing)}" if missing else ""
    good = sum(unit.good for unit in there)
    some = "" if good == len(there) else f", {good} of {len(there)} languages as the card says"
    unstated = sum(unit.stated is None for unit in there)
    some += f" (the card has no count for {unstated} of {len(there)})" if unstated else ""
    left_out = sum(len(unit.skipped) for unit in there)
    skipped = f", {left_out} broken rows left out" if left_out else ""
    return f"{place}: {rows:,} rows{some}{skipped}{few}"


def _faults(unit: Checked) -> Iterator[str]:
    if unit.problem:
        yield f"{unit.language}: {unit.problem}"
    elif not unit.good:
        yield f"{unit.language}: {unit.rows:,} rows, the card says {unit.stated:,}"
    for text in unit.skipped[:SHOWN]:
        yield f"{unit.language}: left out: {text}"
    if len(unit.skipped) > SHOWN:
        yield f"{unit.language}: and {len(unit.skipped) - SHOWN} more left out"
