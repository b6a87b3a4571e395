"""Masked LM: the subwords that were hidden."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel

from sweeper.errors import ModelError
from sweeper.training.batches import Collated, Features, Ints, Masker
from sweeper.training.forward import Batch, encode
from sweeper.training.kinds.base import Head, Numbers, Trained, unlabelled

LOGITS = 1 << 27
"""How many numbers one block of vocabulary logits may hold (0.5 GB in float32)."""


class MaskedLm(Trained):
    """The masked-LM head, at the hidden positions only: nothing else needs the vocabulary."""

    auto = "AutoModelForMaskedLM"

    def collate(self, features: Features, rows: Ints, padding: int) -> Collated:
        """See `TorchKind.collate`; the labels come with the masks."""
        return unlabelled(features, rows, padding)

    def masker(self, tokenizer: Any) -> Masker | None:
        """See `TorchKind.masker`."""
        return Masker(tokenizer)

    def loss(self, model: PreTrainedModel, batch: Batch) -> Tensor:
        """See `Trained.loss`."""
        logits = _vocabulary(model, _hidden(model, batch))
        return functional.cross_entropy(logits, batch.labels, reduction="sum")

    def predict(
        self, head: Head, model: PreTrainedModel, batch: Batch
    ) -> tuple[tuple[Tensor, ...], Tensor]:
        """One column: the cross-entropies.

        In blocks: all logits of a large batch would not fit.
        """
        hidden = _hidden(model, batch)
        block = max(1, LOGITS // int(model.config.vocab_size))
        losses = []
        for start in range(0, max(1, len(hidden)), block):
            logits = _vocabulary(model, hidden[start : start + block])
            labels = batch.labels[start : start + block]
            losses.append(functional.cross_entropy(logits, labels, reduction="none"))
        whole = torch.cat(losses)
        return (whole,), whole

    def outputs(self, columns: Sequence[Numbers], counts: Ints) -> list[Any]:
        """Per row the summed cross-entropy in nats, and the number of hidden subwords."""
        rows = np.repeat(np.arange(len(counts)), counts)
        # Rows without an item are legal: their sum is zero.
        sums = np.bincount(rows, weights=columns[0], minlength=len(counts))
        return list(zip(sums.tolist(), counts.tolist(), strict=True))


def _hidden(model: PreTrainedModel, batch: Batch) -> Tensor:
    """The last hidden states at the predicted positions."""
    hidden: Tensor = encode(model.base_model, batch).last_hidden_state.flatten(0, 1)
    return hidden if batch.positions is None else hidden.index_select(0, batch.positions)


def _vocabulary(model: PreTrainedModel, hidden: Tensor) -> Tensor:
    """The masked-LM head alone: ``lm_head`` in the RoBERTa family, ``cls`` in BERT's."""
    for name in ("lm_head", "cls"):
        head = getattr(model, name, None)
        if head is not None:
            return head(hidden).float()
    raise ModelError(
        f"sweeper does not know the masked-LM head of {type(model).__name__}. Use an encoder of "
        "the BERT or RoBERTa families."
    )


KIND = MaskedLm()
