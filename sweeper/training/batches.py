"""From prepared features to padded batches, in NumPy: rows, their order, masks.

The tables stay memory-mapped: a batch copies its own tokens and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

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
        example: the example a row belongs to, shape (rows,); distinct across units.
    """

    def __init__(self, tables: Sequence[pa.Table]) -> None:
        self._tokens: list[npt.NDArray[Any]] = []
        self._labels: list[npt.NDArray[Any]] = []
        parts: list[Ints] = []
        starts: list[Ints] = []
        lengths: list[Ints] = []
        examples: list[Ints] = []
        names = set(tables[0].column_names)
        seen = 0
        for table in tables:
            number = np.asarray(table["example"], dtype=np.int64)
            examples.append(number + seen)
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
        self._part = np.concatenate(parts) if parts else np.empty(0, np.int64)
        self._start = np.concatenate(starts) if starts else np.empty(0, np.int64)
        self.lengths = np.concatenate(lengths) if lengths else np.empty(0, np.int64)
        self.example = np.concatenate(examples)
        self.label = _scalar(tables, "label") if "label" in names else None
        self.side = _scalar(tables, "side") if "side" in names else None
        self.has_labels = "labels" in names

    def __len__(self) -> int:
        return len(self.lengths)

    def tokens(self, rows: Ints, fill: int) -> Ints:
        """The subwords of ``rows``, padded with ``fill``: shape (rows, longest of them)."""
        return self._padded(self._tokens, rows, fill)

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


def _scalar(tables: Sequence[pa.Table], column: str) -> Ints:
    return np.concatenate([np.asarray(table[column], dtype=np.int64) for table in tables])


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

    Attributes:
        ids: shape (rows, length).
        lengths: subwords per row, shape (rows,).
        labels: shape (rows,) or (rows, length); `IGNORE` where nothing is predicted.
        items: how many are predicted: the divisor of the batch's loss.
    """

    ids: Ints
    lengths: Ints
    labels: Ints
    items: int

    def __len__(self) -> int:
        return len(self.lengths)

    def piece(self, start: int, stop: int) -> Collated:
        """Rows ``start`` to ``stop``, cut to the longest of them."""
        lengths = self.lengths[start:stop]
        longest = int(lengths.max())
        labels = self.labels[start:stop]
        if labels.ndim == 2:
            labels = labels[:, :longest]
        return Collated(self.ids[start:stop, :longest], lengths, labels, self.items)


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


def collate(features: Features, rows: Ints, kind: str, padding: int) -> Collated:
    """``rows`` as a batch of ``kind``; a masked-LM batch is masked by the caller."""
    ids = features.tokens(rows, padding)
    lengths = features.lengths[rows]
    if kind == "token_classification":
        labels = features.token_labels(rows)
        return Collated(ids, lengths, labels, int((labels != IGNORE).sum()))
    if kind == "classification" and features.label is not None:
        return Collated(ids, lengths, features.label[rows], len(rows))
    return Collated(ids, lengths, np.empty((len(rows), 0), np.int64), len(rows))


def draw(features: Features, examples: int | None, rng: int) -> Ints:
    """The rows of ``examples`` examples drawn by ``rng``, or all rows; in the data's order.

    Draws are nested: a larger draw with the same ``rng`` contains the smaller one.
    """
    if examples is None:
        return np.arange(len(features))
    known = np.unique(features.example)
    chosen = seeds.generator(rng, seeds.DRAW).permutation(len(known))[:examples]
    return np.flatnonzero(np.isin(features.example, known[chosen]))


def epoch_order(
    features: Features, rows: Ints, batch: int, *, group: bool, rng: int, place: tuple[int, ...]
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


def by_length(lengths: Ints, tokens: int, most: int | None = None) -> list[Ints]:
    """All rows, longest first, in batches of at most ``tokens`` padded subwords and ``most`` rows.

    Longest first, so that what does not fit the device fails at once.
    """
    order = np.argsort(-lengths, kind="stable")
    batches = []
    start = 0
    while start < len(order):
        size = max(1, tokens // max(1, int(lengths[order[start]])))
        size = min(size, most) if most else size
        batches.append(order[start : start + size])
        start += size
    return batches
