"""Reading every row of the tasks that are there, and holding it against their cards."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from sweeper.errors import StudyError, SweeperError, suggest
from sweeper.report.terminal import say
from sweeper.tasks import kinds, readers, sources
from sweeper.tasks.card import Card
from sweeper.tasks.kinds.base import Row, texts_of
from sweeper.tasks.presence import has_files, missing_files, source_of

SHOWN = 3
"""How many of the rows that were left out are shown."""


@dataclass(frozen=True)
class Checked:
    """One split of a task in one language.

    ``rows`` is None where it is not there or could not be read (then ``problem`` says why).
    ``stated`` is what the card says; ``skipped`` are the rows that were left out, and why;
    ``lacking`` the files that are not there. ``wanted``: the task was named, so they should be.
    ``blank`` are the ids of rows with an empty text, which official data has, too.
    """

    task: str
    split: str
    language: str
    rows: int | None = None
    stated: int | None = None
    problem: str = ""
    there: bool = True
    skipped: tuple[str, ...] = ()
    lacking: tuple[Path, ...] = ()
    wanted: bool = False
    blank: tuple[str, ...] = ()

    @property
    def good(self) -> bool:
        """Whether all is as the card says; what is absent is a fault where it was asked for."""
        if self.problem or self.skipped or (self.wanted and self.lacking):
            return False
        return self.rows is None or self.stated is None or self.rows == self.stated


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
        check = _Check(cards[name], root, keep_going, wanted=bool(names))
        if names or check.anything_here():
            yield check.answers([check.unit(*unit) for unit in check.units])


class _Check:
    """Reads one task, unit by unit."""

    def __init__(self, card: Card, root: Path | None, keep_going: bool, *, wanted: bool) -> None:
        self.card = card
        self.root = root
        self.keep_going = keep_going
        self.wanted = wanted
        self.source = source_of(card, root)
        self.kind = kinds.get(card.kind)
        self.asked: dict[tuple[str, str], dict[str, str]] = {}
        self.answered: dict[tuple[str, str], set[str]] = {}
        self.units = [(name, code) for name, one in card.splits.items() for code in one.languages]

    def anything_here(self) -> bool:
        """Whether some unit can be read without a network."""
        if self.source != "local":
            return self.source == "synthetic"
        return self.root is not None and any(
            has_files(self.card, split, code, self.root) for split, code in self.units
        )

    def unit(self, split: str, code: str) -> Checked:
        """One unit, read and counted."""
        card = self.card
        place, stated = (card.name, split, code), card.splits[split].rows_in(code)
        if self.source != "synthetic" and split not in card.source(self.source).told():  # type: ignore[union-attr]
            return Checked(*place, stated=stated, there=False)
        if self.source == "local" and self.root is not None:
            lacking = tuple(missing_files(card, split, code, self.root))
            if lacking:
                return Checked(
                    *place, stated=stated, there=False, lacking=lacking, wanted=self.wanted
                )
        skipped: list[str] | None = [] if self.keep_going else None
        try:
            found = sources.resolve(card, split, [code], source=self.source, root=self.root)[code]
            rows = readers.read(card, split, code, found, self.root, skipped=skipped)
        except SweeperError as error:
            return Checked(*place, None, stated, str(error), skipped=tuple(skipped or ()))
        self.asked[split, code] = self.kind.asked(rows)
        self.answered[split, code] = self.kind.answered(rows)
        blank = tuple(row["id"] for row in rows if _has_blank(row))
        return Checked(*place, len(rows), stated, skipped=tuple(skipped or ()), blank=blank)

    def answers(self, units: list[Checked]) -> list[Checked]:
        """The units, and of each what it asks for and no unit answers."""
        return [replace(unit, problem=unit.problem or self._unanswered(unit)) for unit in units]

    def _unanswered(self, unit: Checked) -> str:
        place = (unit.split, unit.language)
        pool = [place, *self.kind.companions(self.card, *place)]
        if not all(one in self.answered for one in pool):
            return ""  # what is not there may have the answers
        known = set().union(*(self.answered[one] for one in pool))
        lost = [name for name, key in self.asked[place].items() if key not in known]
        if not lost:
            return ""
        have = "1 has" if len(lost) == 1 else f"{len(lost):,} have"
        return (
            f"a question must have a right candidate in some language; {have} none, the first is "
            f"{lost[0]!r}. Mend the questions' keys or the candidates' answers."
        )


def _has_blank(row: Row) -> bool:
    return any(not text.strip() for texts in texts_of(row) for text in texts)


# ---- what is printed --------------------------------------------------------------------------


def print_check(
    out: Console, cards: Mapping[str, Card], checks: Iterable[Sequence[Checked]]
) -> bool:
    """The outcome per task and split, every mismatch in a line; whether all is as the cards say.

    Lines appear as tasks are read.
    """
    found: list[Checked] = []
    tasks = 0
    for units in checks:
        tasks += 1
        found += units
        for split in dict.fromkeys(unit.split for unit in units):
            mine = [unit for unit in units if unit.split == split]
            say(out, _line(mine))
            for text in _faults(mine):
                say(out, f"  {text}", "yellow")
        how = " ".join(cards[units[0].task].how_to_get.split())
        if how and any(unit.lacking for unit in units):
            say(out, f"  How to get it: {how}")
    good = all(unit.good for unit in found)
    rows = sum(unit.rows or 0 for unit in found)
    say(out, f"{tasks} task{_s(tasks)}, {rows:,} row{_s(rows)} read, {_verdict(found)}", "bold")
    return good


def _s(count: int) -> str:
    return "" if count == 1 else "s"


def _verdict(units: Sequence[Checked]) -> str:
    said = "all as their cards say" if all(u.good for u in units) else "not all as their cards say"
    unstated = sum(unit.there and unit.stated is None for unit in units)
    lacking = sum(bool(unit.lacking) for unit in units)
    beside = [f"{unstated} without a count in the card"] * bool(unstated)
    beside += [f"{lacking} not there"] * bool(lacking)
    of = f" (of {len(units)} parts, split and language: {', '.join(beside)})" if beside else ""
    return said + of


def _line(units: Sequence[Checked]) -> str:
    there = [unit for unit in units if unit.there]
    place = f"{units[0].task}/{units[0].split}"
    if not there:
        return f"{place}: not there"
    if all(unit.rows is None for unit in there):
        return f"{place}: not read"
    rows = sum(unit.rows or 0 for unit in there)
    said = [f"{rows:,} row{_s(rows)}"]
    stated = [unit for unit in there if unit.stated is not None]
    good = sum(unit.good for unit in stated)
    if good < len(stated):
        said.append(f"{good} of {len(stated)} languages as the card says")
    if len(stated) < len(there):
        of = f" for {len(there) - len(stated)} of {len(there)}" if len(there) > 1 else ""
        said.append(f"no count in the card{of}")
    left_out = sum(len(unit.skipped) for unit in there)
    if left_out:
        said.append(f"{left_out:,} broken row{_s(left_out)} left out")
    if len(there) < len(units):
        said.append(f"not there: {' '.join(u.language for u in units if not u.there)}")
    return f"{place}: {', '.join(said)}"


def _faults(units: Sequence[Checked]) -> Iterator[str]:
    """What is wrong with a split: a fault that several languages share is told once."""
    lacking = list(dict.fromkeys(path for unit in units for path in unit.lacking))
    if lacking:
        more = f" ({len(lacking)} files are missing)" if len(lacking) > 1 else ""
        yield f"there is no {lacking[0]}{more}"
    for problem in dict.fromkeys(unit.problem for unit in units if unit.problem):
        yield f"{' '.join(u.language for u in units if u.problem == problem)}: {problem}"
    for unit in units:
        if unit.rows is not None and unit.stated not in (None, unit.rows):
            yield f"{unit.language}: {unit.rows:,} rows, the card says {unit.stated:,}"
        if unit.blank:
            count = len(unit.blank)
            rows = "1 row has" if count == 1 else f"{count:,} rows have"
            yield f"{unit.language}: {rows} an empty text, the first is {unit.blank[0]!r}"
        for text in unit.skipped[:SHOWN]:
            yield f"{unit.language}: left out: {text}"
        if len(unit.skipped) > SHOWN:
            yield f"{unit.language}: and {len(unit.skipped) - SHOWN:,} more left out"
