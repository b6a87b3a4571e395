"""The answers to the usual questions, kept beside a generation of compacted files.

`sweeper store compact` works them out once. They hold for as long as nothing was committed,
withdrawn, dropped or given up since, no driver is at work, and the study is the same; then a
matrix of a store of any size is one small file. Else answers are worked out anew, but for the
columns of gains that rest on the very same scores and examples as they did: their intervals and
tests, for which examples would be read, stay.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sweeper.analysis.averaging import VALUES, Scores, transfer, transfers
from sweeper.analysis.best import Best, best
from sweeper.analysis.cell import Column, MatrixCell, Member
from sweeper.analysis.columns import AXES
from sweeper.analysis.matrix import TransferMatrix
from sweeper.analysis.view import View
from sweeper.errors import StoreError
from sweeper.failures import given_up
from sweeper.store.commits import Commits
from sweeper.store.drivers import Drivers
from sweeper.store.files import StoreFiles, digest

if TYPE_CHECKING:
    import pandas as pd

FORMAT = 3
"""Rises when an answer is worked out or written otherwise."""

EVERY = tuple((value, by) for value in VALUES for by in AXES)
"""All matrices: value and axis."""

_DECIDING = ("commits", "withdrawn", "dropped", "pruned")


class Answers:
    """A study's answers: those that are kept, if they hold; else from a `View`, made when asked.

    Args:
        files: The store.
        study: The study's name; default: the only one.
        view: The study as it is now, where that is at hand.
    """

    def __init__(
        self, files: StoreFiles, study: str | None = None, view: View | None = None
    ) -> None:
        self.files = files
        self.study = study
        self._found = _found(files, study)
        self._kept = self._found if _holds(files, self._found) else {}
        if view is not None:
            self.view = view

    @cached_property
    def view(self) -> View:
        """The study as it is now."""
        return View(self.files, self.study)

    def matrix(self, value: str = "score", by: str = "task") -> TransferMatrix:
        """As `transfer` gives it, with its usual languages and draws."""
        return self.matrices([(value, by)])[value, by]

    def matrices(
        self, wanted: Sequence[tuple[str, str]] = EVERY
    ) -> dict[tuple[str, str], TransferMatrix]:
        """Several by value and axis, for which examples are read once; by default all."""
        kept = self._kept.get("matrices", {})
        if all(f"{value}/{by}" in kept for value, by in wanted):
            return {(value, by): _matrix(kept[f"{value}/{by}"]) for value, by in wanted}
        gains = any(value == "gain" for value, _ in wanted)
        return transfers(self.view, wanted, known=_known(self._found) if gains else None)

    def values(self, value: str = "score", by: str = "task") -> pd.DataFrame:
        """The matrix's values alone, for which no examples are read."""
        found = self._kept.get("matrices", {}).get(f"{value}/{by}")
        return (_matrix(found) if found else transfer(self.view, value, by, draws=0)).values

    def best(self, target: str) -> Best:
        """As `best` gives it, of all rows and languages."""
        found = self._kept.get("best", {}).get(target)
        return self._best(found) if found else best(self.view, target)

    @property
    def targets(self) -> list[str]:
        """The study's targets."""
        return list(self._kept.get("targets") or self.view.plan.columns)

    @property
    def skipped(self) -> dict[str, int]:
        """As `View.skipped`."""
        found = self._kept.get("skipped")
        return self.view.skipped() if found is None else dict(found)

    def _best(self, said: Mapping[str, Any]) -> Best:
        given = dict(said)
        relative = given.pop("relative")
        if relative is None:
            return Best(**given, fetch=lambda: str(given["address"]))
        given["address"] = self.files.where(relative)
        return Best(**given, fetch=lambda: str(self.files.local(relative)))


def keep(files: StoreFiles) -> list[str]:
    """Work out the answers of all studies for the newest generation; returns their names.

    Of those that are worked out beside a sweep, the columns that were judged alone serve later.

    Raises:
        StoreError: the store was never compacted, or cannot be written.
    """
    compacted = files.compacted
    if compacted is None:
        raise StoreError("Answers are kept with compacted files. Run `sweeper store compact`.")
    commits = Commits(files)
    names = files.names("studies")
    for name in names:
        # What is at work says so in the answers, and ends without a mark that would tell.
        state = "" if Drivers(files).living() else _state(files, name)
        view = View(files, name, commits)
        said = json.dumps({"state": state, **_answers(view)}, allow_nan=False)
        # Not canonical JSON, whose keys are sorted: settings and limits are told in their order.
        files.put(f"{compacted.folder}/answers/{name}.json", said.encode())
    return names


def _answers(view: View) -> dict[str, Any]:
    from sweeper.analysis.uncertainty import inputs

    scores, found = Scores(view), transfers(view, EVERY)
    matrices = {f"{value}/{by}": _plain(made) for (value, by), made in found.items()}
    judged = {
        f"{value}/{by}": [inputs(scores, made, column) for column in made.columns]
        for (value, by), made in found.items()
        if made.draws
    }
    winners = {}
    for target in view.plan.columns:
        try:
            winners[target] = _told(view, best(view, target))
        except StoreError:  # nothing is selected yet, and why is said when it is asked for
            continue
    targets, skipped = view.plan.columns, view.skipped()
    return {
        "format": FORMAT,
        "study": view.plan.study.name,
        "matrices": matrices,
        "judged": judged,
        "best": winners,
        "targets": targets,
        "skipped": skipped,
    }


def _told(view: View, found: Best) -> dict[str, Any]:
    said = {one.name: getattr(found, one.name) for one in fields(found) if one.name != "fetch"}
    inside = f"{view.files.address}/"
    address = str(said["address"])
    own = address.startswith(inside)
    return {**said, "relative": address.removeprefix(inside) if own else None}


def _found(files: StoreFiles, study: str | None) -> dict[str, Any]:
    """The answers that are kept of a study, whether they still hold or not; else nothing."""
    names = files.names("studies")
    name = study if study is not None else names[0] if len(names) == 1 else None
    if name not in names or files.compacted is None:
        return {}
    content = files.content(f"{files.compacted.folder}/answers/{name}.json")
    found: dict[str, Any] = json.loads(content) if content else {}
    return found if found.get("format") == FORMAT else {}


def _holds(files: StoreFiles, found: Mapping[str, Any]) -> bool:
    if not found or Drivers(files).living():
        return False
    return bool(found["state"] == _state(files, found["study"]))


def _known(found: Mapping[str, Any]) -> dict[str, dict[str, MatrixCell]]:
    """The columns that were judged, by their inputs: their cells by row."""
    known = {}
    for name, digests in found.get("judged", {}).items():
        said = found["matrices"][name]
        for place, one in enumerate(digests):
            cells = zip(said["rows"], said["cells"], strict=True)
            known[one] = {row: _cell(several[place]) for row, several in cells}
    return known


def _state(files: StoreFiles, study: str) -> str:
    """What decides the answers of a study."""
    names = {folder: files.names(folder) for folder in (*_DECIDING, f"studies/{study}")}
    # Of a job that was given up, a later attempt may have been begun, and died without a word.
    return digest([FORMAT, names, given_up(files)])


def _plain(matrix: TransferMatrix) -> dict[str, Any]:
    said = {one.name: getattr(matrix, one.name) for one in fields(matrix)}
    return {
        **said,
        "columns": [asdict(column) for column in matrix.columns],
        "cells": [
            [asdict(matrix.cell(row, column)) for column in matrix.columns] for row in matrix.rows
        ],
        "trained_on": dict(matrix.trained_on),
        "limits": dict(matrix.limits),
    }


def _matrix(said: Mapping[str, Any]) -> TransferMatrix:
    columns = tuple(_column(column) for column in said["columns"])
    cells = {
        (row, column.name): _cell(cell)
        for row, several in zip(said["rows"], said["cells"], strict=True)
        for column, cell in zip(columns, several, strict=True)
    }
    listed = {name: tuple(said[name]) for name in ("rows", "seeds")}
    return TransferMatrix(**{**said, **listed, "columns": columns, "cells": cells})


def _column(said: Mapping[str, Any]) -> Column:
    members = tuple(
        Member(one["target"], one["split"], tuple(one["languages"])) for one in said["members"]
    )
    return Column(**{**said, "members": members, "others": tuple(said["others"])})


def _cell(said: Mapping[str, Any]) -> MatrixCell:
    listed = {name: tuple(said[name]) for name in ("seeds", "overlap", "collapsed")}
    interval = tuple(said["interval"]) if said["interval"] else None
    return MatrixCell(**{**said, **listed, "interval": interval})
