"""Sentence vectors and the nearest among them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel

from sweeper.errors import ModelError
from sweeper.training.batches import Ints
from sweeper.training.forward import Batch, encode

SIMILARITIES = 1 << 24
"""How many similarities one block may hold (64 MB in float32)."""


@dataclass(frozen=True)
class Representation:
    """Which hidden state stands for a sentence.

    Attributes:
        layer: share of the depth: 0 is the embeddings, 1 the last layer.
        pooling: ``mean`` over all subwords (<s> and </s> too) or ``cls`` (the first one).
    """

    layer: float = 1.0
    pooling: str = "mean"


def embed(encoder: PreTrainedModel, batch: Batch, how: Representation) -> Tensor:
    """The sentences' vectors, float32, length 1, shape (sentences, hidden).

    Raises:
        ModelError: an unknown pooling.
    """
    if how.pooling not in ("mean", "cls"):
        raise ModelError(f"There is no pooling {how.pooling!r}. Use 'mean' or 'cls'.")
    states = encode(encoder, batch, output_hidden_states=True).hidden_states
    hidden: Tensor = states[round(how.layer * (len(states) - 1))].float()
    if how.pooling == "cls":
        vectors = hidden[:, 0]
    elif batch.mask is None:
        vectors = hidden.mean(1)
    else:
        mask = batch.mask.unsqueeze(-1).float()
        vectors = (hidden * mask).sum(1) / mask.sum(1)
    return functional.normalize(vectors, dim=-1)


def nearest(queries: Tensor, candidates: Tensor) -> Ints:
    """Per query the number of the candidate with the largest dot product; ties: the first.

    In blocks of queries, so that the matrix of all similarities never exists.

    Raises:
        ModelError: there are queries but no candidates.
    """
    if len(queries) and not len(candidates):
        raise ModelError("Retrieval needs foreign sentences to choose from, and there are none.")
    block = max(1, SIMILARITIES // max(1, len(candidates)))
    found: list[Any] = [np.empty(0, np.int64)]
    for start in range(0, len(queries), block):
        similar = queries[start : start + block] @ candidates.T
        found.append(similar.argmax(1).cpu().numpy())
    return np.concatenate(found)
