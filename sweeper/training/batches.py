"""From prepared features to padded batches, in NumPy: rows, their order, masks.

The tables stay memory-mapped: a batch copies its own tokens and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sweeper.errors import DataError, ModelError
from sweeper.training import seeds

IGNORE = -100
"""The label of a position that is not predicted."""

POOL = 50
"""How many batches a pool holds inside which training groups by length."""

Ints = npt.NDArray[np.int64]


class Features:
    """The feature rows of one or more prepared units as one sequence of rows.

    Attributes:
        lengths: subwords per row, shape (rows,).
        sizes: subwords that a row takes on the device, shape (rows,): here its length.
        example: the example a row belongs to, shape (rows,); distinct across units.
        starts: where the units begin and the last one ends, shape (units + 1,).
        examples_before: per unit the number that its first example has in ``example``.
    """

    def __init__(self, tables: Sequence[pa.Table]) -> None:
        self._tables = tables
        self._columns: dict[str, Ints] = {}
        self._tokens: list[npt.NDArray[Any]] = []
        self._labels: list[npt.NDArray[Any]] = []
        parts: list[Ints] = []
        starts: list[Ints] = []
        lengths: list[Ints] = []
        examples: list[Ints] = []
        self.examples_before: list[int] = []
        names = set(tables[0].column_names) if tables else set()
        seen = 0
        for table in tables:
            number = np.asarray(table["example"], dtype=np.int64)
            examples.append(number + seen)
            self.examples_before.append(seen)
            seen += int(number.max()) + 1 if len(number) else 0
            for batch in table.to_batches():
                ids = batch.column("input_ids")
                offsets = np.asarray(ids.offsets, dtype=np.int64)
                parts.append(np.full(len(ids), len(self._tokens), np.int64))
                starts.append(offsets[:-1])
                lengths.append(np.diff(offsets))
                self._tokens.append(np.asarray(ids.values))
                if "labels" in names:
                    self._labels.append(_token_labels(batch, offsets))
        self._part = _concatenated(parts)
        self._start = _concatenated(starts)
        self.lengths = _concatenated(lengths)
        self.sizes = self.lengths
        self.example = _concatenated(examples)
        self.starts: Ints = np.cumsum([0, *(table.num_rows for table in tables)])

    def __len__(self) -> int:
        return len(self.lengths)

    def tokens(self, rows: Ints, fill: int) -> Ints:
        """The subwords of ``rows``, padded with ``fill``: shape (rows, longest of them)."""
        return self._padded(self._tokens, rows, fill)

    def column(self, name: str) -> Ints:
        """A column of one integer per row, shape (rows,)."""
        if name not in self._columns:
            parts = [np.asarray(table[name], dtype=np.int64) for table in self._tables]
            self._columns[name] = np.concatenate(parts)
        return self._columns[name]

    def token_labels(self, rows: Ints) -> Ints:
        """The labels of ``rows``, one per subword, padded with `IGNORE`."""
        return self._padded(self._labels, rows, IGNORE)

    def _padded(self, values: list[npt.NDArray[Any]], rows: Ints, fill: int) -> Ints:
        lengths = self.lengths[rows]
        padded = np.full((len(rows), int(lengths.max())), fill, np.int64)
        places = zip(self._part[rows], self._start[rows], lengths, strict=True)
        for row, (part, start, length) in enumerate(places):
            padded[row, :length] = values[part][start : start + length]
        return padded


class Groups:
    """The examples of some features as rows, each with all its sequences (its choices).

    Attributes:
        sequences: the features.
        counts: sequences per row, shape (rows,).
        lengths: subwords of a row's longest sequence, shape (rows,).
        sizes: subwords that a row takes on the device, shape (rows,).
        example: as in `Features`; every row is another one.
        starts: as in `Features`.
    """

    def __init__(self, features: Features) -> None:
        self.sequences = features
        self._first = np.flatnonzero(np.diff(features.example, prepend=-1))
        self.counts: Ints = np.diff(np.append(self._first, len(features)))
        self.lengths = _longest(features.lengths, self._first)
        self.sizes = self.lengths * self.counts
        self.example = features.example[self._first]
        self.starts: Ints = np.searchsorted(self._first, features.starts)

    def __len__(self) -> int:
        return len(self._first)

    def first(self, rows: Ints) -> Ints:
        """The first sequence of each of ``rows``."""
        return self._first[rows]

    def members(self, rows: Ints) -> Ints:
        """All sequences of ``rows``, row by row."""
        return spans(self._first[rows], self.counts[rows])


Rows: TypeAlias = Features | Groups
"""What training draws its batches from, and evaluation runs over."""


def spans(starts: Ints, counts: Ints) -> Ints:
    """Runs of ``counts`` whole numbers from each of ``starts``, one after the other."""
    before = np.cumsum(counts) - counts
    return np.repeat(starts - before, counts) + np.arange(int(counts.sum()))


def _concatenated(parts: list[Ints]) -> Ints:
    return np.concatenate(parts) if parts else np.empty(0, np.int64)


def _longest(lengths: Ints, first: Ints) -> Ints:
    # reduceat wants a place at least.
    return np.maximum.reduceat(lengths, first) if len(first) else np.empty(0, np.int64)


def _token_labels(batch: pa.RecordBatch, offsets: Ints) -> npt.NDArray[Any]:
    labels = batch.column("labels")
    own = np.asarray(labels.offsets, dtype=np.int64)
    if not np.array_equal(own - own[0], offsets - offsets[0]):
        raise DataError(
            "Prepared features must have one label per subword, and these do not. Remove the "
            "folder of the prepared unit, so that it is prepared again."
        )
    # Shift, so that a row's labels stand where its subwords stand.
    values = np.asarray(labels.values)[own[0] :]
    return np.concatenate([np.empty(offsets[0], values.dtype), values]) if offsets[0] else values


@dataclass
class Collated:
    """One padded batch.

    A row is what is drawn and counted; it is one sequence, or several (the choices of an example).

    Attributes:
        ids: shape (sequences, length).
        lengths: subwords per sequence, shape (sequences,).
        labels: shape (rows, ...), or the shape of ``ids`` if they are ``aligned`` with it.
        items: how many are predicted: the divisor of the batch's loss.
        aligned: whether there is a label per subword; `IGNORE` where nothing is predicted.
        sequences: sequences per row, shape (rows,); None: one each.
    """

    ids: Ints
    lengths: Ints
    labels: Ints
    items: int
    aligned: bool = False
    sequences: Ints | None = None

    def __len__(self) -> int:
        return len(self.lengths if self.sequences is None else self.sequences)

    @property
    def predicted(self) -> Ints:
        """How many items each row predicts, shape (rows,)."""
        return (self.labels != IGNORE).sum(1) if self.aligned else np.ones(len(self), np.int64)

    def piece(self, start: int, stop: int) -> Collated:
        """Rows ``start`` to ``stop``, cut to the longest of them."""
        first, last, counts = start, stop, None
        if self.sequences is not None:
            first, last = (int(self.sequences[:at].sum()) for at in (start, stop))
            counts = self.sequences[start:stop]
        lengths = self.lengths[first:last]
        longest = int(lengths.max())
        labels = self.labels[start:stop]
        if self.aligned:
            labels = labels[:, :longest]
        ids = self.ids[first:last, :longest]
        return Collated(ids, lengths, labels, self.items, self.aligned, counts)


class Masker:
    """Masked-LM masking, as in Devlin et al. 2019, section 3.1.

    Of the chosen subwords 80 % become the mask, 10 % a random subword, 10 % stay. Special tokens
    are neither chosen nor drawn.
    """

    def __init__(self, tokenizer: Any) -> None:
        if tokenizer.mask_token_id is None:
            raise ModelError(
                f"The tokenizer {tokenizer.name_or_path} has no mask token, so no masked LM can "
                "be trained with it. Use the tokenizer of a masked language model."
            )
        self.mask = int(tokenizer.mask_token_id)
        self.special = np.zeros(max(len(tokenizer), self.mask + 1), bool)
        self.special[list(tokenizer.all_special_ids)] = True
        self.words = np.flatnonzero(~self.special[: len(tokenizer)])

    def __call__(
        self, ids: Ints, choice: npt.NDArray[Any], word: npt.NDArray[Any], probability: float
    ) -> Ints:
        """Mask ``ids`` in place and return the labels (`IGNORE` where nothing is predicted).

        ``choice`` and ``word`` are uniform numbers in [0, 1) of the shape of ``ids``: the first
        chooses the positions and what becomes of them, the second the random subwords.
        """
        chosen = (choice < probability) & ~self.special[ids]
        labels = np.where(chosen, ids, IGNORE)
        masked = chosen & (choice < 0.8 * probability)
        random = chosen & ~masked & (choice < 0.9 * probability)
        ids[masked] = self.mask
        ids[random] = self.words[(word[random] * len(self.words)).astype(np.int64)]
        return labels


def mask(collated: Collated, masker: Masker, draws: npt.NDArray[Any], probability: float) -> None:
    """Mask a batch in place; ``draws`` has shape (2, sequences, length), see `Masker`."""
    collated.labels = masker(collated.ids, draws[0], draws[1], probability)
    collated.items = int((collated.labels != IGNORE).sum())
    collated.aligned = True


def draw(features: Rows, examples: int | None, rng: int) -> Ints:
    """The rows of ``examples`` examples drawn by ``rng``, or all rows; in the data's order.

    Draws are nested: a larger draw with the same ``rng`` contains the smaller one.
    """
    if examples is None:
        return np.arange(len(features))
    known = np.unique(features.example)
    chosen = seeds.generator(rng, seeds.DRAW).permutation(len(known))[:examples]
    return np.flatnonzero(np.isin(features.example, known[chosen]))


def epoch_order(
    features: Rows, rows: Ints, batch: int, *, group: bool, rng: int, place: tuple[int, ...]
) -> list[Ints]:
    """The batches of one epoch: every row once, in an order that depends on (rng, place) only.

    With ``group`` the shuffled rows are sorted by length inside pools of `POOL` batches, and the
    batches shuffled again.
    """
    draws = seeds.generator(rng, seeds.ORDER, *place)
    order = draws.permutation(rows)
    if group:
        for start in range(0, len(order), POOL * batch):
            pool = order[start : start + POOL * batch]
            order[start : start + POOL * batch] = pool[
                np.argsort(-features.lengths[pool], kind="stable")
            ]
    batches = [order[start : start + batch] for start in range(0, len(order), batch)]
    return [batches[index] for index in draws.permutation(len(batches))] if group else batches


def by_length(lengths: Ints, tokens: int) -> list[Ints]:
    """All rows, longest first, in batches of at most ``tokens`` padded subwords, or of one row.

    Where a row is several sequences, ``lengths`` are the rows' `sizes`, and ``tokens`` is exact
    only for rows of equally many sequences.

    Longest first, so that what does not fit the device fails at once.
    """
    order = np.argsort(-lengths, kind="stable")
    batches = []
    start = 0
    while start < len(order):
        size = max(1, tokens // max(1, int(lengths[order[start]])))
        batches.append(order[start : start + size])
        start += size
    return batches
