"""What all file formats share: records, faults, lines of bytes, columns inside columns.

Files are read as bytes and split at newlines only, never at the other characters that Unicode
calls line breaks, which occur inside sentences.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from sweeper.errors import DataError, suggest

if TYPE_CHECKING:
    from sweeper.tasks.card import LocalSource


@dataclass(frozen=True)
class Record:
    """One raw row: field -> raw value, and where it stands.

    ``step`` is 1 when the entries of a list field stand on consecutive lines, else 0. ``fault`` is
    what is wrong with a row that could not be parsed, and that can be left out without the others
    changing their meaning; such a row has no values. ``name`` is the row's id, for rows that are
    not easily found by their number.
    """

    origin: str
    line: int
    values: Mapping[str, Any]
    step: int = 0
    fault: DataError | None = None
    name: str = ""

    def where(self, index: int = 0) -> str:
        """``file:line`` of the row, or of an entry of its list fields."""
        named = f" (id {self.name!r})" if self.name else ""
        return f"{self.origin}:{self.line + index * self.step}{named}"


Parser: TypeAlias = "Callable[[Sequence[Path], LocalSource, str], Iterator[Record]]"
"""(files of the unit, source, language) -> records. Faults are `DataError`s."""


def fault(path: Path | str, line: int, broken: str, advice: str) -> DataError:
    """The error for a line that breaks a rule (not raised yet)."""
    return DataError(f"{path}:{line}: {broken}. {advice.rstrip('.')}.")


def bad(path: Path, line: int, error: DataError) -> Record:
    """The record of a row that could not be parsed."""
    return Record(str(path), line, {}, fault=error)


def lines(path: Path) -> Iterator[tuple[int, str, bool]]:
    """(1-based number, line without its end, whether it has an end)."""
    for number, line, ended in decoded(path):
        if isinstance(line, DataError):
            raise line
        yield number, line, ended


def decoded(path: Path) -> Iterator[tuple[int, str | DataError, bool]]:
    """As `lines`, but a line that is not UTF-8 is given as its fault, not raised."""
    try:
        with path.open("rb") as stream:
            for number, raw in enumerate(stream, 1):
                yield number, _decoded(path, number, raw), raw.endswith(b"\n")
    except OSError as error:
        raise DataError(
            f"A data file must be readable; {path} is not: {error.strerror}. Mend the file."
        ) from None


def _decoded(path: Path, number: int, raw: bytes) -> str | DataError:
    try:
        return raw.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        return fault(
            path,
            number,
            f"a line must be UTF-8, its byte {error.start} is 0x{raw[error.start]:02x}",
            "Re-save the file as UTF-8",
        )


def pick(values: Mapping[str, Any], column: str | int | Sequence[str], where: str) -> Any:
    """The value of a column: of ``a.b`` the part b of a, of a list of columns the list of them.

    Where a is a list, that is the list of all b.

    Raises:
        DataError: there is no such column; the message begins with ``where``.
    """
    if not isinstance(column, str):
        return [pick(values, str(one), where) for one in _several(column)]
    if column in values:
        return values[column]
    found: Any = values
    for key in column.split("."):
        found = _step(found, key, column, where)
    return found


def picked(
    values: Mapping[str, Any], columns: Mapping[str, Any], origin: str, number: int
) -> Record:
    """The record of a row: its columns, or that it lacks one."""
    where = f"{origin}:{number}"
    try:
        found = {field: pick(values, column, where) for field, column in columns.items()}
    except DataError as error:
        return Record(origin, number, {}, fault=error)
    return Record(origin, number, found)


def _several(column: int | Sequence[str]) -> Sequence[object]:
    return [column] if isinstance(column, int) else column


def _step(value: Any, key: str, column: str, where: str) -> Any:
    if isinstance(value, (list, tuple)):
        return [_step(one, key, column, where) for one in value]
    if not isinstance(value, Mapping) or key not in value:
        known = suggest(key, value) if isinstance(value, Mapping) and value else ""
        raise DataError(
            f"{where}: a row must have the key {column!r}.{known} Mend the row, or the card's "
            "`columns:`."
        )
    return value[key]


def load_json(path: Path) -> Any:
    """The JSON document that a file is; `DataError` names the line where it is none."""
    text = "\n".join(line for _, line, _ in lines(path))
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise fault(
            path,
            error.lineno,
            f"the file must be a JSON document; {error.msg} at column {error.colno}",
            "Get the file again",
        ) from None
