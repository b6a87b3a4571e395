"""What a kind is on the torch side: a trained head, or the bare encoder's sentence vectors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel

from sweeper.tasks import kinds
from sweeper.training.batches import Collated, Features, Ints, Masker, Rows, spans
from sweeper.training.forward import Batch, encode
from sweeper.training.retrieval import Representation, embeddings
from sweeper.training.vectors import Sides

Numbers = npt.NDArray[Any]


@dataclass(frozen=True)
class Head:
    """What a model predicts for one task: the task's name, its kind, its labels in order.

    ``options`` are those of the task's card, which change what is asked of the model.
    """

    task: str
    kind: str
    labels: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict, compare=False)

    def option(self, name: str) -> Any:
        """The card's value of one of the kind's options, or the kind's own."""
        return self.options.get(name, kinds.get(self.kind).options[name])


@dataclass
class Scored:
    """What a model said about one unit.

    Attributes:
        outputs: aligned with the feature rows, as `sweeper.tasks.kinds.Kind.evaluate` wants them.
        loss: mean cross-entropy in nats; None for retrieval.
        beside: the outputs of a second representation, if one was asked for (retrieval only).
    """

    outputs: list[Any]
    loss: float | None
    beside: list[Any] | None = None


class Collector(Protocol):
    """Takes what a model says batch by batch, and hands it back unit by unit."""

    def add(self, rows: Ints, collated: Collated, batch: Batch) -> None:
        """Run the model over a batch, the rows ``rows`` of the stream."""

    def scored(self) -> Iterator[Scored]:
        """Per unit, in order, what was said; called once, when all rows have been added."""


class TorchKind(ABC):
    """How the tasks of a kind meet a model."""

    auto: ClassVar[str]
    """The Hugging Face class of the model; ``AutoModel`` is the bare encoder, without pooler."""
    labelled: ClassVar[bool] = False
    """Whether the model has an output per label of the card, so that both must agree."""

    @property
    def bare(self) -> bool:
        """Whether the model is the encoder alone."""
        return self.auto == "AutoModel"

    def configure(self, config: Any, head: Head) -> None:
        """Set, in the model's own configuration, what is its head's (and not its parent's)."""
        # Without labels the configuration says two, which is what a span needs: start and end.
        labels = head.labels if self.labelled and head.labels else ("LABEL_0", "LABEL_1")
        config.id2label = dict(enumerate(labels))
        config.label2id = {label: index for index, label in enumerate(labels)}
        config.problem_type = None

    def rows(self, tables: Sequence[pa.Table]) -> Rows:
        """The feature tables of some units as rows to be drawn: one per feature here."""
        return Features(tables)

    @abstractmethod
    def collate(self, features: Any, rows: Ints, padding: int) -> Collated:
        """``rows`` of what `rows` gave, as a padded batch."""

    def masker(self, tokenizer: Any) -> Masker | None:
        """What hides subwords at random and makes the labels from them; None: nothing does."""
        return None

    @abstractmethod
    def collector(
        self,
        head: Head,
        model: PreTrainedModel,
        features: Any,
        how: Representation,
        beside: Representation | None = None,
    ) -> Collector:
        """What runs ``model`` over batches; the representations are for the bare encoder."""


# ---- trained heads -----------------------------------------------------------------------------


class Trained(TorchKind):
    """A kind whose head is trained by a cross-entropy.

    A batch's loss is a sum, and `Collated.items` its divisor: so a batch that is cut into pieces
    has the gradient of the whole one.
    """

    @abstractmethod
    def loss(self, model: PreTrainedModel, batch: Batch) -> Tensor:
        """The summed cross-entropy (nats, float32) of everything that the batch predicts."""

    @abstractmethod
    def predict(
        self, head: Head, model: PreTrainedModel, batch: Batch
    ) -> tuple[tuple[Tensor, ...], Tensor]:
        """Columns of outputs, and the cross-entropy of every item.

        Entries are in the order of the batch's rows; a row has `counts` entries in every column
        and `Collated.predicted` items.
        """

    def counts(self, collated: Collated) -> Ints:
        """How many entries each row of the batch has in the columns of `predict`."""
        return collated.predicted

    @abstractmethod
    def outputs(self, columns: Sequence[Numbers], counts: Ints) -> list[Any]:
        """A unit's outputs, one per feature, from its columns; ``counts`` entries per row."""

    def collector(
        self,
        head: Head,
        model: PreTrainedModel,
        features: Any,
        how: Representation,
        beside: Representation | None = None,
    ) -> Collector:
        """See `TorchKind.collector`."""
        return _Predictions(self, head, model, features)


class Logits(Trained):
    """A head with a logit per label for every item, whose outputs are the labels' numbers."""

    labelled = True

    def loss(self, model: PreTrainedModel, batch: Batch) -> Tensor:
        """See `Trained.loss`."""
        return functional.cross_entropy(_logits(model, batch), batch.labels, reduction="sum")

    def predict(
        self, head: Head, model: PreTrainedModel, batch: Batch
    ) -> tuple[tuple[Tensor, ...], Tensor]:
        """One column: the likeliest label of every item."""
        logits = _logits(model, batch)
        losses = functional.cross_entropy(logits, batch.labels, reduction="none")
        return (logits.argmax(-1),), losses


def _logits(model: PreTrainedModel, batch: Batch) -> Tensor:
    """The logits of the predicted items, float32, shape (items, classes)."""
    logits = encode(model, batch).logits
    if batch.positions is not None:
        logits = logits.flatten(0, 1).index_select(0, batch.positions)
    return logits.float()


class _Predictions:
    """Keeps what a head says on the device until the end: a batch never waits for another."""

    def __init__(self, kind: Trained, head: Head, model: PreTrainedModel, features: Rows) -> None:
        self._kind, self._head, self._model, self._features = kind, head, model, features
        self._columns: list[tuple[Tensor, ...]] = []
        self._losses: list[Tensor] = []
        self._rows: list[Ints] = []
        self._counts: list[Ints] = []
        self._items: list[Ints] = []

    def add(self, rows: Ints, collated: Collated, batch: Batch) -> None:
        columns, losses = self._kind.predict(self._head, self._model, batch)
        self._columns.append(columns)
        self._losses.append(losses)
        self._rows.append(rows)
        self._counts.append(self._kind.counts(collated))
        self._items.append(collated.predicted)

    def scored(self) -> Iterator[Scored]:
        starts = self._features.starts
        if not self._rows:
            yield from (Scored([], None) for _ in starts[1:])
            return
        order = np.concatenate(self._rows)
        place = np.empty(len(order), np.int64)
        place[order] = np.arange(len(order))
        columns = [torch.cat(column).cpu().numpy() for column in zip(*self._columns, strict=True)]
        losses = torch.cat(self._losses).cpu().double().numpy()
        entries = _Entries(np.concatenate(self._counts))
        items = _Entries(np.concatenate(self._items))
        for start, stop in pairwise(starts):
            mine = place[start:stop]
            mean = losses[items.of(mine)]
            at = entries.of(mine)
            outputs = self._kind.outputs([c[at] for c in columns], entries.counts[mine])
            yield Scored(outputs, float(mean.sum()) / len(mean) if len(mean) else None)


class _Entries:
    """Where the entries of each row are, if row n has ``counts[n]`` of them, in order."""

    def __init__(self, counts: Ints) -> None:
        self.counts = counts
        self._starts = np.cumsum(counts) - counts

    def of(self, rows: Ints) -> Ints:
        """The places of the entries of ``rows``, row by row."""
        return spans(self._starts[rows], self.counts[rows])


# ---- sentence vectors --------------------------------------------------------------------------


class Embedded(TorchKind):
    """A kind that compares the encoder's vectors of two sides of sentences (column ``side``)."""

    auto = "AutoModel"

    def collate(self, features: Features, rows: Ints, padding: int) -> Collated:
        """See `TorchKind.collate`."""
        return unlabelled(features, rows, padding)

    @abstractmethod
    def find(self, head: Head, sides: Sides) -> Iterator[list[Any]]:
        """The outputs of every unit, one per feature; see the kind's `evaluate`."""

    def collector(
        self,
        head: Head,
        model: PreTrainedModel,
        features: Any,
        how: Representation,
        beside: Representation | None = None,
    ) -> Collector:
        """See `TorchKind.collector`."""
        hows = [how] if beside is None else [how, beside]
        return _Sentences(self, head, model, features, hows)


class _Sentences:
    """Keeps the vectors of all sentences, in files, and then looks for neighbours."""

    def __init__(
        self,
        kind: Embedded,
        head: Head,
        model: PreTrainedModel,
        features: Features,
        hows: Sequence[Representation],
    ) -> None:
        self._kind, self._head, self._model, self._hows = kind, head, model, hows
        size = int(model.config.hidden_size)
        self._sides = [Sides(features, size, model.device) for _ in hows]

    def add(self, rows: Ints, collated: Collated, batch: Batch) -> None:
        vectors = embeddings(self._model, batch, self._hows)
        for sides, found in zip(self._sides, vectors, strict=True):
            sides.put(rows, found.cpu().numpy())

    def scored(self) -> Iterator[Scored]:
        try:
            for found in zip(*(self._kind.find(self._head, s) for s in self._sides), strict=True):
                yield Scored(found[0], None, found[1] if len(found) > 1 else None)
        finally:
            for sides in self._sides:
                sides.close()


def unlabelled(features: Features, rows: Ints, padding: int) -> Collated:
    """``rows`` as a batch without labels."""
    nothing = np.zeros(len(rows), np.int64)
    return Collated(features.tokens(rows, padding), features.lengths[rows], nothing, len(rows))
