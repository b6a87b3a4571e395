"""The markers of compacted files that nobody has asked for yet."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from itertools import compress
from typing import Generic, TypeVar

from sweeper.store.compacted import Compacted

T = TypeVar("T")


class Waiting:
    """Markers that the compacted files have, and that are not read.

    Args:
        compacted: The files; None where there are none.
        there: The names of the store's markers: no other counts.

    Attributes:
        names: All that the files have. One that somebody has deleted since is not to be written
            anew under its old name: the files would go on saying what it said.
        rows: Those that wait, and the row of each.
    """

    def __init__(self, compacted: Compacted | None, there: Container[str]) -> None:
        self._compacted = compacted
        markers = compacted.markers if compacted else {}
        self.names = list(markers)
        self.rows = {name: row for name, row in markers.items() if name in there}

    def having(self, unit: str) -> list[str]:
        """Those that may have a unit."""
        if not self.rows or self._compacted is None:
            return []
        names = [self.names[row] for row in self._compacted.having(unit)]
        return [name for name in names if name in self.rows]

    def among(self, units: Sequence[str]) -> list[str]:
        """Those of many units that one of them may have."""
        if not self.rows or self._compacted is None:
            return []
        return list(compress(units, self._compacted.among(units)))

    def contested(self, units: Iterable[str]) -> list[str]:
        """Those of some units that several markers may have."""
        return list(filter(self._compacted.contested, units)) if self._compacted else []

    def take(self, name: str) -> str:
        """What a marker says; it waits no longer."""
        assert self._compacted is not None
        return self._compacted.content(self.rows.pop(name))


class ByUnit(Mapping[str | None, T], Generic[T]):
    """Something by unit, which may be brought when it is first asked for.

    Args:
        look: Brings what there is of a unit into `known`.
        complete: Brings everything there.
    """

    def __init__(self, look: Callable[[str], None], complete: Callable[[], None]) -> None:
        self.known: dict[str | None, T] = {}
        self._look, self._complete = look, complete

    def __getitem__(self, unit: str | None) -> T:
        if unit is not None and unit not in self.known:
            self._look(unit)
        return self.known[unit]

    def __contains__(self, unit: object) -> bool:
        if unit not in self.known and isinstance(unit, str):
            self._look(unit)
        return unit in self.known

    def has(self, units: Iterable[str]) -> bool:
        """Whether all of some units are there."""
        wanted = set(units)
        return self.known.keys() >= wanted or all(unit in self for unit in wanted)

    def __iter__(self) -> Iterator[str | None]:
        self._complete()
        return iter(self.known)

    def __len__(self) -> int:
        self._complete()
        return len(self.known)
