"""What a matrix says, before any markup: its cells as text, and the sentences under it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from sweeper.analysis.matrix import Column, TransferMatrix
from sweeper.progress import DONE


@dataclass(frozen=True)
class Shown:
    """A cell's texts. ``value`` is empty where there is none, then ``state`` says why.

    ``seeds`` is "2/3" where some seeds lack, else empty.
    """

    value: str
    error: str
    seeds: str
    state: str
    best: bool
    flagged: bool

    @property
    def after(self) -> str:
        """What stands after the value: error, seeds, marks."""
        error = f" ± {self.error}" if self.error else ""
        seeds = f" ({self.seeds} seeds)" if self.seeds else ""
        return f"{error}{seeds}{' †' if self.flagged else ''}"


def shown(matrix: TransferMatrix, row: str, column: Column) -> Shown:
    """The texts of one cell."""
    cell = matrix.cell(row, column)
    sign = "+" if matrix.value == "gain" else ""
    digits = places(column.unit)
    value = "" if cell.value is None else f"{cell.value:{sign}.{digits}f}"
    some = value and cell.state != DONE and len(cell.seeds) < len(matrix.seeds)
    return Shown(
        value=value,
        error="" if cell.standard_error is None else f"{cell.standard_error:.{digits}f}",
        seeds=f"{len(cell.seeds)}/{len(matrix.seeds)}" if some else "",
        state=cell.state,
        best=row in matrix.best_rows(column),
        flagged=bool(cell.overlap),
    )


def places(unit: str) -> int:
    """Decimal places worth showing."""
    return 3 if unit == "nats" else 1


def title(matrix: TransferMatrix) -> str:
    """What the numbers are, in one line."""
    seeds = _seeds(matrix)
    averaged = "zero-shot languages and " if matrix.by == "task" else ""
    if matrix.value == "gain":
        return f"Gain over none in points, paired by seed: mean over {averaged}{seeds}"
    scores = "Zero-shot scores" if matrix.by == "task" else "Scores"
    return f"{scores}: mean over {averaged}{seeds}"


def _seeds(matrix: TransferMatrix) -> str:
    count = len(matrix.seeds)
    error = " ± standard error" if count > 1 else ", so there is no standard error"
    return f"{count} seed{'s' if count > 1 else ''}{error}"


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
        elif matrix.by == "task":
            languages = f"mean of {' '.join(codes)}"
        else:
            languages = f"{' '.join(codes)}"
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


def _selection(column: Column) -> str:
    rule = column.selection
    return rule if rule.startswith("no ") else f"chosen: {rule}"


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
    found: dict[str, dict[str, None]] = {}
    for row, column, flags in cells:
        for flag in flags:
            found.setdefault(flag, {})[f"{row} on {column}"] = None
    for flag, places in found.items():
        yield f"† {flag}: {', '.join(places)}."


def _incomplete(matrix: TransferMatrix) -> Iterator[str]:
    states = [cell.state for cell in matrix.cells.values()]
    lacking = [state for state in states if state != DONE]
    if lacking:
        counted = ", ".join(f"{lacking.count(s)} {s}" for s in sorted(set(lacking)))
        yield f"Incomplete: {len(lacking)} of {len(states)} cells ({counted})."


def bold(matrix: TransferMatrix) -> list[str]:
    """What bold stands for, where a cell is bold."""
    any_best = any(matrix.best_rows(column) for column in matrix.columns)
    return ["Bold: the best of its column."] if any_best else []
