"""What the matrix says in short: which row helps each target most, and which hurts it most."""

from __future__ import annotations

from dataclasses import dataclass

from sweeper.analysis.matrix import TransferMatrix
from sweeper.report.cells import Shown, shown

UNTESTED = "Nothing of this was tested, so all of it may be chance."
STARS = (
    "A star: beyond chance, corrected for all tests of the matrix. Without one it may be chance."
)
NO_STAR = "None of this is beyond chance, corrected for all tests of the matrix."


@dataclass(frozen=True)
class Finding:
    """A target, and the rows with its highest and its lowest gain, each with its cell's texts.

    ``helps`` is None where no row has a gain above 0, ``hurts`` where none has one below.
    """

    target: str
    helps: tuple[str, Shown] | None
    hurts: tuple[str, Shown] | None


def findings(gains: TransferMatrix) -> list[Finding]:
    """A finding per target of which any gain is known.

    Args:
        gains: The matrix of gains by task.
    """
    found = []
    for column in gains.columns:
        known = {
            row: value
            for row in gains.rows
            if (value := gains.cell(row, column).value) is not None
        }
        if known:
            most, least = max(known, key=known.__getitem__), min(known, key=known.__getitem__)
            found.append(
                Finding(
                    column.target,
                    (most, shown(gains, most, column)) if known[most] > 0 else None,
                    (least, shown(gains, least, column)) if known[least] < 0 else None,
                )
            )
    return found


def certainty(gains: TransferMatrix) -> str:
    """Whether what `findings` says may be chance, and where its marks are told, in sentences."""
    effects = [effect for one in findings(gains) for effect in (one.helps, one.hurts) if effect]
    marks = sorted({mark for _, cell in effects for mark in cell.marks})
    told = f" {' and '.join(marks)}: see 'How to read it' below the matrix." if marks else ""
    if not gains.family:
        return UNTESTED + told
    return (STARS if any(cell.stars for _, cell in effects) else NO_STAR) + told
