"""What a transfer matrix is made of: its columns, and its cells with all that is known of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from sweeper.analysis.family import stars
from sweeper.states import BLOCKED, DONE, FAILED

RUNNING, NOT_RUN, NO_DATA, PARTIAL = "running", "not run", "no data", "partial"

STATES = (DONE, PARTIAL, RUNNING, NOT_RUN, FAILED, BLOCKED, NO_DATA)
"""What a cell's state can be."""


@dataclass(frozen=True)
class Member:
    """A target's part of a column: the split and the languages that are averaged."""

    target: str
    split: str
    languages: tuple[str, ...]


@dataclass(frozen=True)
class Column:
    """A target, a part of its languages, or a category of targets.

    ``group`` is the language, family or script of a column that is a part of a target, else None.
    ``members`` are what every cell of the column is the mean of: of a category several targets
    (then ``target`` is the category's name), else one. Their languages are the zero-shot ones of
    the target's first split (all, for retrieval). ``others`` are its further splits, which are
    scored but in no matrix. ``selection`` says how winners were picked.
    """

    target: str
    group: str | None
    members: tuple[Member, ...]
    metric: str
    unit: str  # percent, nats
    others: tuple[str, ...]
    zero_shot: bool
    selection: str
    higher_is_better: bool

    @property
    def name(self) -> str | tuple[str, str]:
        """The label of the column in `TransferMatrix.values`."""
        return self.target if self.group is None else (self.target, self.group)

    @property
    def label(self) -> str:
        """The same in words: "xnli" or "xnli de"."""
        return self.target if self.group is None else f"{self.target} {self.group}"

    @property
    def split(self) -> str:
        """The split that is shown; of a category "test, dev" where its targets differ."""
        return ", ".join(dict.fromkeys(member.split for member in self.members))

    @property
    def languages(self) -> tuple[str, ...]:
        """All languages that are in the column."""
        return tuple(dict.fromkeys(c for member in self.members for c in member.languages))


@dataclass(frozen=True)
class MatrixCell:
    """One cell.

    Attributes:
        value: The score or gain; None where there is none.
        standard_error: Of the mean over seeds; None for fewer than two seeds and for a
            ``deterministic`` cell, whose seeds are one computation.
        seeds: Those that the value is the mean of.
        state: One of `STATES`; ``partial`` where some seeds or languages lack.
        overlap: What the scores share with their training or selection.
        deterministic: Every seed is the same computation.
        n: Examples behind a seed's value, over all languages; None without a value.
        interval: 95 %, from the paired bootstrap; None where it was not asked for or there is
            nothing to take it from.
        covers: What the interval is over: "seeds and examples", "seeds" for a metric that is no
            mean over examples, "examples" (these very checkpoints) for one computation or fewer
            than 3 seeds.
        p: Of a gain, of no effect on other seeds and examples; see `sweeper.analysis.crossed`.
        p_holm: The same, corrected for the matrix's family by Holm; this one has the stars.
        q: The same by Benjamini and Hochberg.
        p_examples: Of these very checkpoints being alike (McNemar, or permutation): says nothing
            of other seeds.
        untested: Why there is no ``p``, in words; "" where there is one.
        collapsed: Seeds whose score, or whose control's, is not above that of one answer to
            everything. They count like any other.
    """

    value: float | None
    standard_error: float | None
    seeds: tuple[int, ...]
    state: str
    overlap: tuple[str, ...] = ()
    deterministic: bool = False
    n: int | None = None
    interval: tuple[float, float] | None = None
    covers: str = ""
    p: float | None = None
    p_holm: float | None = None
    q: float | None = None
    p_examples: float | None = None
    untested: str = ""
    collapsed: tuple[int, ...] = ()

    @property
    def stars(self) -> str:
        """``*`` where ``p_holm`` is below 0.05, ``**`` below 0.01, ``***`` below 0.001."""
        return stars(self.p_holm)


Cells: TypeAlias = dict[tuple[str, str | tuple[str, str]], MatrixCell]

Known: TypeAlias = Mapping[str, Mapping[str, MatrixCell]]
"""What was judged before, by row: of columns by their `sweeper.analysis.uncertainty.inputs`."""


@dataclass(frozen=True)
class Unjudged:
    """A matrix whose cells are to be judged: their values, by which rows and columns."""

    value: str
    rows: tuple[str, ...]
    columns: tuple[Column, ...]
    cells: Cells
    draws: int
