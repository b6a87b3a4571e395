"""What a matrix says, before any markup: its cells as text, and the sentences under it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from sweeper.analysis.cell import NO_DATA, PARTIAL, Column, MatrixCell
from sweeper.analysis.crossed import EXAMPLES, SEEDS
from sweeper.analysis.family import ALPHA
from sweeper.analysis.matrix import TransferMatrix
from sweeper.report.values import rounded
from sweeper.states import DONE


@dataclass(frozen=True)
class Shown:
    """A cell's texts. ``value`` is empty where there is none, then ``state`` says why.

    ``interval`` is that of a gain, "[+0.3, +1.9]"; a score has its ``error`` alone. ``stars`` say
    what is significant. ``seeds`` is "2/3" where some seeds lack, else empty. ``flagged`` stands
    for an overlap, ``collapsed`` for runs that do no better than one answer to everything.
    """

    value: str
    error: str
    interval: str
    stars: str
    seeds: str
    state: str
    best: bool
    flagged: bool
    collapsed: bool

    @property
    def spread(self) -> str:
        """The interval, else the error with its sign; empty without either."""
        return self.interval or (f"± {self.error}" if self.error else "")

    @property
    def marks(self) -> str:
        """† and ‡, where they stand."""
        return ("†" if self.flagged else "") + ("‡" if self.collapsed else "")

    @property
    def after(self) -> str:
        """What stands after the value in one line: stars, spread, seeds, marks."""
        seeds = f"({self.seeds} seeds)" if self.seeds else ""
        told = filter(None, (self.spread, seeds, self.marks))
        return self.stars + "".join(f" {one}" for one in told)


def shown(matrix: TransferMatrix, row: str, column: Column) -> Shown:
    """The texts of one cell."""
    cell = matrix.cell(row, column)
    digits = places(column.unit)
    signed = matrix.value == "gain"
    value = "" if cell.value is None else rounded(cell.value, digits, signed=signed)
    some = value and cell.state != DONE and len(cell.seeds) < len(matrix.seeds)
    return Shown(
        value=value,
        error="" if cell.standard_error is None else f"{cell.standard_error:.{digits}f}",
        interval=_interval(cell, digits) if matrix.value == "gain" else "",
        stars=cell.stars,
        seeds=f"{len(cell.seeds)}/{len(matrix.seeds)}" if some else "",
        state=cell.state,
        best=row in matrix.best_rows(column),
        flagged=bool(cell.overlap),
        collapsed=bool(cell.collapsed),
    )


def _interval(cell: MatrixCell, digits: int) -> str:
    if cell.interval is None:
        return ""
    low, high = (rounded(end, digits, signed=True) for end in cell.interval)
    return f"[{low}, {high}]"


BRACKETS = "In brackets: the target is trained in this language, so it is not zero-shot."


def head(column: Column) -> str:
    """What stands above a column of its target's table; a trained language in brackets."""
    if column.group is None:
        return column.target
    return column.group if column.zero_shot else f"({column.group})"


def places(unit: str) -> int:
    """Decimal places worth showing."""
    return 3 if unit == "nats" else 1


def title(matrix: TransferMatrix, *, spread: bool = True) -> str:
    """What the numbers are, in one line; ``spread`` where errors or intervals stand by them."""
    averaged = "" if matrix.by == "language" else "zero-shot languages and "
    over = f"mean over {averaged}{_seeds(matrix, spread)}"
    if matrix.value == "gain":
        return f"Gain over none in points, paired by seed: {over}"
    return f"{'Scores' if matrix.by == 'language' else 'Zero-shot scores'}: {over}"


def _seeds(matrix: TransferMatrix, spread: bool) -> str:
    count = len(matrix.seeds)
    said = f"{count} seed{'s' if count > 1 else ''}"
    if not spread:
        return said
    if matrix.value == "gain" and matrix.draws:
        return f"{said} [95 % interval]"
    return f"{said} ± standard error" if count > 1 else f"{said}, so there is no standard error"


def notes(matrix: TransferMatrix) -> list[str]:
    """What a reader must know: languages, selection, mixtures, limits, what lacks or overlaps."""
    cells = [
        (row, column.target, matrix.cell(row, column))
        for column in matrix.columns
        for row in matrix.rows
    ]
    return [
        *_columns(matrix),
        *_rows(matrix),
        *limit_notes(matrix.limits),
        *fixed_notes((row, target) for row, target, cell in cells if cell.deterministic),
        *overlap_notes((row, target, cell.overlap) for row, target, cell in cells),
        *_collapsed(matrix),
        *_tests(matrix),
        *_incomplete(matrix),
    ]


def _columns(matrix: TransferMatrix) -> Iterator[str]:
    seen = set()
    for column in matrix.columns:
        if column.target in seen:
            continue
        seen.add(column.target)
        mine = [c for c in matrix.columns if c.target == column.target]
        codes = [code for c in mine for code in c.languages]
        trained = [code for c in mine if not c.zero_shot for code in c.languages]
        if not codes:
            languages = "no language of it is zero-shot, so there is no mean"
        else:
            languages = _averaged(matrix.by, mine)
        if trained:
            languages += f" (trained on: {' '.join(trained)})"
        yield (
            f"{column.target}: {column.metric} ({column.unit}) on {column.split}, {languages}; "
            f"{_selection(column)}."
        )
        if column.others:
            yield (
                f"{column.target} is scored on {', '.join(column.others)} too, which is in no "
                "table here: see `sweeper export scores`."
            )


def _averaged(by: str, columns: list[Column]) -> str:
    """Which languages are averaged, in words."""
    if by == "language":
        return " ".join(code for column in columns for code in column.languages)
    if by in ("family", "script"):
        return "; ".join(f"{column.group}: {' '.join(column.languages)}" for column in columns)
    members = columns[0].members
    if len(members) == 1:
        return f"mean of {' '.join(members[0].languages)}"
    each = "; ".join(f"{one.target}: {' '.join(one.languages)}" for one in members)
    return f"mean over targets of the mean over languages ({each})"


def _selection(column: Column) -> str:
    rule = column.selection
    own = ("no ", f"{column.members[0].target}: ")  # of a category, target by target
    return rule if rule.startswith(own) else f"chosen: {rule}"


def _rows(matrix: TransferMatrix) -> Iterator[str]:
    """What the rows train on whose names do not say it."""
    for row, tasks in matrix.trained_on.items():
        if tasks != row:
            yield f"{row}: trained on {tasks}."


def limit_notes(limits: Mapping[str, int]) -> Iterator[str]:
    """One sentence on the limits of a study ("task/split" -> how many), if it has any."""
    found: dict[int, list[str]] = {}
    for place, limit in limits.items():
        found.setdefault(limit, []).append(place)
    if found:
        each = "; ".join(f"{limit:,} of {', '.join(places)}" for limit, places in found.items())
        yield f"By the study's limits only the first examples of a language: {each}."


def fixed_notes(cells: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Which cells, given by row and column, have no standard error since seeds do not matter."""
    found: dict[str, list[str]] = {}
    for row, column in dict.fromkeys(cells):
        found.setdefault(row, []).append(column)
    for row, columns in found.items():
        yield (
            f"{row} on {', '.join(columns)}: every seed is the same computation, so it has no "
            "standard error."
        )


def overlap_notes(cells: Iterable[tuple[str, str, Iterable[str]]]) -> Iterator[str]:
    """What † stands for, of cells given by row, column and flags."""
    found: dict[str, dict[tuple[str, str], None]] = {}
    for row, column, flags in cells:
        for flag in flags:
            found.setdefault(flag, {})[row, column] = None
    for flag, places in found.items():
        yield f"† {flag}: {listed(places)}."


_LONGEST = 300
"""Characters of a list of cells: who wants more of them looks at the marks, or at the CSV."""


def listed(cells: Iterable[tuple[str, str]]) -> str:
    """Cells, by row and column, in words: "a, b on x; b on y, z"; how many, if that is long."""
    columns: dict[str, dict[str, None]] = {}
    for row, column in cells:
        columns.setdefault(row, {})[column] = None
    rows: dict[tuple[str, ...], list[str]] = {}
    for row, mine in columns.items():
        rows.setdefault(tuple(mine), []).append(row)
    said = "; ".join(f"{', '.join(mine)} on {', '.join(of)}" for of, mine in rows.items())
    return said if len(said) <= _LONGEST else f"{sum(map(len, columns.values()))} cells"


def _collapsed(matrix: TransferMatrix) -> Iterator[str]:
    """What ‡ stands for."""
    found = [
        (row, f"{column.label} ({_numbered(cell.collapsed)})")
        for column in matrix.columns
        for row in matrix.rows
        if (cell := matrix.cell(row, column)).collapsed
    ]
    if found:
        compared = ", or none of that seed," if matrix.value == "gain" else ""
        yield (
            f"‡ a run{compared} is no better than the commonest answer alone; it counts all the "
            f"same: {listed(found)}."
        )


def _numbered(seeds: tuple[int, ...]) -> str:
    return f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}"


def _tests(matrix: TransferMatrix) -> Iterator[str]:
    """What intervals and stars are, over how many tests, and what was not tested."""
    if matrix.value != "gain" or not matrix.draws:
        return
    cells = [
        ((row, column.label), matrix.cell(row, column))
        for column in matrix.columns
        for row in matrix.rows
    ]
    yield (
        f"Intervals: 95 %, paired bootstrap of {matrix.draws:,} draws over seeds and examples."
        + _narrower(cells)
    )
    if matrix.family:
        tests = "only test" if matrix.family == 1 else f"{matrix.family} tests"
        yield (
            f"* p < {ALPHA}, ** p < 0.01, *** p < 0.001: seeds and examples as random effects "
            f"(min F'), corrected by Holm for the {tests} of this matrix."
        )
    reasons: dict[str, list[tuple[str, str]]] = {}
    for place, cell in cells:
        if cell.untested:
            reasons.setdefault(cell.untested, []).append(place)
    for reason, places in reasons.items():
        where = "" if len(places) == len(cells) else f" of {listed(places)}"
        yield f"No test{where}, so no stars: {reason}."


def _narrower(cells: list[tuple[tuple[str, str], MatrixCell]]) -> str:
    """Which intervals do not cover both seeds and examples, as sentences."""
    found: dict[str, list[tuple[str, str]]] = {}
    for place, cell in cells:
        if cell.interval is not None:
            found.setdefault(cell.covers, []).append(place)
    said = ""
    for covers, why in _NARROWER.items():
        if covers in found:
            every = len(found[covers]) == sum(map(len, found.values()))
            said += f" {why}: {'all' if every else listed(found[covers])}."
    return said


_NARROWER = {
    EXAMPLES: "Over examples alone, so for these very checkpoints",
    SEEDS: "Over seeds alone (Student's t), as the metric is no mean over examples",
}


def _incomplete(matrix: TransferMatrix) -> Iterator[str]:
    states = [cell.state for cell in matrix.cells.values()]
    lacking = [state for state in states if state not in (DONE, NO_DATA)]
    if lacking:
        counted = ", ".join(f"{lacking.count(s)} {s}" for s in sorted(set(lacking)))
        yield f"Incomplete: {len(lacking)} of {len(states)} cells ({counted})."


def bold(matrix: TransferMatrix) -> list[str]:
    """What bold stands for, where a cell is bold."""
    if not any(matrix.best_rows(column) for column in matrix.columns):
        return []
    # A partial cell may be higher, and is not bold.
    partial = any(cell.state == PARTIAL for cell in matrix.cells.values())
    return [f"Bold: the best of its column{', of cells with all seeds' if partial else ''}."]
